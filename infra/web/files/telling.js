// How a job and its events are written: as text in elements, never as HTML.

import { html, nothing } from "lit-html";
import { path } from "jobledger/history";

const LONG = 2000;
const TIMES = ["createTime", "startTime", "endTime", "updateTime", "deleteTime"];

// `2011-05-01 23:10:00.5`, of RFC 3339; nothing is cut but zeros at the end.
export function time(text) {
  if (!text) return "";
  const [whole, fraction = ""] = text.replace("T", " ").replace("Z", "").split(".");
  const rest = fraction.replace(/0+$/, "");
  return rest ? `${whole}.${rest}` : whole;
}

export function state(name) {
  return html`<span class="state s-${name}">${name}</span>`;
}

// A value as JSON; what is very long is shown whole only when asked for.
export function value(said) {
  const text = typeof said === "string" ? said : JSON.stringify(said, null, 1);
  if (text === undefined) return html`<span class="nothing">not there</span>`;
  if (text.length <= LONG) return text;
  return html`${text.slice(0, LONG)}…<details><summary>all ${text.length.toLocaleString("en")} characters</summary>${text}</details>`;
}

// A job's fields: what an event changed is marked, and beside each is the event that set it.
export function fields(job, { changes = [], since = null, go = null } = {}) {
  const marked = changes.map(({ keys }) => path(keys));
  const shown = Object.entries(job).flatMap(([key, said]) => spread(key, said));
  return html`<dl class="fields">
    ${shown.map(([keys, said]) => {
      const named = path(keys);
      const is = marked.some((each) => each === named || each.startsWith(`${named}.`) || named.startsWith(`${each}.`));
      return html`<div class=${is ? "changed" : ""}><dt>${named}</dt>${cell(keys[0], said)}${blame(keys, since, go)}</div>`;
    })}
  </dl>`;
}

function spread(key, said) {
  const many = ["labels", "spec"].includes(key) && said && Object.keys(said).length;
  return many ? Object.entries(said).map(([inner, each]) => [[key, inner], each]) : [[[key], said]];
}

function cell(key, said) {
  if (said === null || said === undefined) return html`<dd class="nothing">null</dd>`;
  if (key === "state") return html`<dd>${state(said)}</dd>`;
  return html`<dd>${TIMES.includes(key) ? time(said) : value(said)}</dd>`;
}

function blame(keys, since, go) {
  if (!since) return nothing;
  const named = [path(keys), ...(keys.length > 1 ? [`${keys[0]}.*`, keys[0]] : [])];
  const step = Math.max(0, ...named.map((each) => since.get(each) ?? 0));
  if (!step) return nothing;
  return html`<dd class="blame"><button type="button" class="plain" title="The event that set it" @click=${() => go(step)}>
    <span class="visually-hidden">${path(keys)} was set by </span>event ${step}</button></dd>`;
}

// What changed, before and after.
export function changesTable(changes) {
  if (!changes.length) return html`<p class="quiet">Nothing.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Changes"><table>
    <thead><tr><th scope="col">Field</th><th scope="col">Before</th><th scope="col">After</th></tr></thead>
    <tbody>${changes.map(
      ({ keys, before, after }) => html`<tr><th scope="row"><bdi>${path(keys)}</bdi></th>
        <td class="long was"><bdi>${shortly(before)}</bdi></td><td class="long"><bdi>${shortly(after)}</bdi></td></tr>`,
    )}</tbody></table></div>`;
}

function shortly(said) {
  return said === undefined ? nothing : value(said);
}

// Why a report that was contradicted changed nothing.
export function explained(event) {
  if (event.type !== "Contradicted") return "";
  const { report, state: was } = event.data ?? {};
  const by = event.actor ? ` by ${event.actor}` : "";
  return `${report} was reported${by}, though the job was ${was}: it is kept as a contradiction, and changed nothing else.`;
}

// Events as a list of lines.
export function feed(events, { cursor, seen, go }) {
  return html`<ol class="feed">${events.map((event) => {
    const wrong = event.failed ? "wrong" : "";
    const at = event.step === cursor ? "at" : "";
    return html`<li class="s-${event.state ?? ""} ${wrong} ${at}" aria-current=${at ? "step" : nothing}>
      <span><button type="button" class="plain" @click=${() => go(event.step)}>${event.step}</button>
        ${event.step > seen ? html`<b class="badge">new</b>` : nothing}</span>
      <span>${time(event.occurredTime)}</span>
      <span class="told"><b>${event.type}</b>${event.actor ? html` by <bdi>${event.actor}</bdi>` : nothing}
        ${event.state ? html` → ${state(event.state)}` : nothing} <span class="quiet">v${event.version} ${late(event)}</span></span>
      ${explained(event) ? html`<span class="explained">${explained(event)}</span>` : nothing}
      ${Object.keys(event.data ?? {}).length ? html`<span class="data">${value(JSON.stringify(event.data))}</span>` : nothing}
    </li>`;
  })}</ol>`;
}

function late({ occurredTime, recordedTime }) {
  const seconds = (Date.parse(recordedTime) - Date.parse(occurredTime)) / 1000;
  return seconds >= 60 ? `recorded ${lasting(seconds)} later` : "";
}

export function lasting(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.round(seconds)} s`;
}

export function table(events, { cursor, go }) {
  return html`<div class="scroll tall" tabindex="0" role="region" aria-label="Events"><table>
    <thead><tr>${["Event", "Version", "Type", "State", "Occurred", "Recorded", "Actor", "Position", "Data"].map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
    <tbody>${events.map(
      (event) => html`<tr aria-current=${event.step === cursor ? "step" : nothing}>
        <th scope="row"><button type="button" class="plain" @click=${() => go(event.step)}>${event.step}</button></th>
        <td>v${event.version}</td><td>${event.type}</td><td>${event.state ? state(event.state) : nothing}</td>
        <td>${time(event.occurredTime)}</td><td>${time(event.recordedTime)}</td><td><bdi>${event.actor ?? ""}</bdi></td>
        <td class="number">${event.position}</td><td class="long"><bdi>${value(event.data ?? {})}</bdi></td></tr>`,
    )}</tbody></table></div>`;
}

export function json(events) {
  const shown = events.map(({ step, failed, schema, ...event }) => event);
  return html`<pre class="json" tabindex="0">${JSON.stringify(shown, null, 2)}</pre>`;
}
