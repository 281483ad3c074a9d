// Writes a job and its events as text in elements, never as HTML.

import { html, nothing } from "lit-html";
import { path } from "jobledger/history";
import { elapsed } from "jobledger/zones";
import { isLong, lineDiff } from "jobledger/line_diff";

const MAX_SHOWN_LETTERS = 2000;
const TIMES = ["createTime", "startTime", "endTime", "updateTime", "deleteTime"];

// `2011-05-01 23:10:00.5`, of RFC 3339; only zeros at the end are cut off.
export function time(text) {
  if (!text) return "";
  const [whole, fraction = ""] = text.replace("T", " ").replace("Z", "").split(".");
  const rest = fraction.replace(/0+$/, "");
  return rest ? `${whole}.${rest}` : whole;
}

export function state(name) {
  return html`<span class="state s-${name}"><svg class="icon" aria-hidden="true"><use href="#i-${name}"></use></svg>${name}</span>`;
}

// Characters that are invisible, or that change the direction of others.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu;
const JOB = /^projects\/[^\s/]+\/(?:locations\/[^\s/]+\/)?[A-Za-z]+\/[^\s/]+$/;

// The text with such characters replaced by their code points.
export function visible(text) {
  return text.replace(HIDDEN, (character) => `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

// A value as JSON; a very long one is shown whole on request.
export function value(content) {
  const text = typeof content === "string" ? content : JSON.stringify(content, null, 1);
  if (text === undefined) return html`<span class="nothing">not there</span>`;
  // A value that names another job leads to it.
  if (typeof content === "string" && JOB.test(content) && location.protocol !== "file:") return html`<a href="/jobs/${content.split("/").map(encodeURIComponent).join("/")}">${content}</a>`;
  if (text.length <= MAX_SHOWN_LETTERS) return visible(text);
  return html`${visible(text.slice(0, MAX_SHOWN_LETTERS))}…<details><summary>all ${text.length.toLocaleString("en")} characters</summary>${visible(text)}</details>`;
}

// A job's fields: those that an event changed are marked, and each has a link to the event that set it.
export function fields(job, { changes = [], since = null, go = null } = {}) {
  const marked = changes.map(({ keys }) => path(keys));
  const shown = Object.entries(job).flatMap(([key, content]) => entriesOf(key, content));
  const row = ([keys, content]) => {
    const named = path(keys);
    const is = marked.some((each) => each === named || each.startsWith(`${named}.`) || named.startsWith(`${each}.`));
    return html`<div class=${is ? "changed" : ""}><dt>${visible(named)}</dt>${cell(keys[0], content)}${blame(keys, since, go)}</div>`;
  };
  const folded = ([keys, content]) => content === null || FOLDED.includes(keys[0]);
  return html`<dl class="fields">${shown.filter((each) => !folded(each)).map(row)}</dl>
    <details class="folded"><summary>${shown.filter(folded).length} more: version, etag, and what is null</summary>
    <dl class="fields">${shown.filter(folded).map(row)}</dl></details>`;
}

const FOLDED = ["etag", "version"];

function entriesOf(key, content) {
  const many = ["labels", "spec"].includes(key) && content && Object.keys(content).length;
  return many ? Object.entries(content).map(([inner, each]) => [[key, inner], each]) : [[[key], content]];
}

function cell(key, content) {
  if (content === null || content === undefined) return html`<dd class="nothing">null</dd>`;
  if (key === "state") return html`<dd>${state(content)}</dd>`;
  return html`<dd>${TIMES.includes(key) ? time(content) : value(content)}</dd>`;
}

function blame(keys, since, go) {
  if (!since) return nothing;
  const named = [path(keys), ...(keys.length > 1 ? [`${keys[0]}.*`, keys[0]] : [])];
  const step = Math.max(0, ...named.map((each) => since.get(each) ?? 0));
  if (!step) return nothing;
  return html`<dd class="blame"><button type="button" class="plain" title="The event that set it" @click=${() => go(step)}>
    <span class="visually-hidden">${path(keys)} was set by </span>event ${step}</button></dd>`;
}

// The changes, before and after; version and etag change with every event, so they are folded.
export function changesTable(changes) {
  if (!changes.length) return html`<p class="quiet">Nothing.</p>`;
  const usual = changes.filter(({ keys }) => ["etag", "version", "updateTime"].includes(keys[0]));
  const others = changes.filter((each) => !usual.includes(each));
  return html`${others.length ? changeRows(others) : html`<p class="quiet">Only its version.</p>`}
    ${usual.length ? html`<details class="folded"><summary>${usual.map(({ keys }) => path(keys)).join(", ")}</summary>${changeRows(usual)}</details>` : nothing}`;
}

function changeRows(changes) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Changes"><table>
    <thead><tr><th scope="col">Field</th><th scope="col">Before</th><th scope="col">After</th></tr></thead>
    <tbody>${changes.map(({ keys, before, after }) => html`<tr><th scope="row"><bdi>${visible(path(keys))}</bdi></th>${isLong(before) && isLong(after) ? html`<td colspan="2" class="long">${lines(before, after)}</td>` : html`
        <td class="long was"><bdi>${shortValue(keys, before)}</bdi></td><td class="long"><bdi>${shortValue(keys, after)}</bdi></td>`}</tr>`)}</tbody></table></div>`;
}

// Long texts line by line; equal lines are folded.
function lines(before, after) {
  return html`<div class="line-diff">${lineDiff(before, after).map(({ sign, texts }) => (sign === " " && texts.length > 3 ? html`<details><summary>${texts.length} lines that are the same</summary>${texts.map((each) => html`<div>  ${visible(each)}</div>`)}</details>` : texts.map((each) => html`<div class=${sign === "+" ? "added" : sign === "-" ? "removed" : ""}>${sign} ${visible(each)}</div>`)))}</div>`;
}

function shortValue(keys, content) {
  if (content === undefined) return nothing;
  return keys[0] === "state" && typeof content === "string" ? state(content) : value(content);
}

// Explains a report that was contradicted.
export function explanation(event) {
  if (event.type !== "Contradicted") return "";
  const { report, state: was } = event.data ?? {};
  const by = event.actor ? ` by ${event.actor}` : "";
  return `${report} was reported${by}, though the job was ${was}: it is kept as a contradiction, and changed nothing else.`;
}

// Events as a list of lines; runs of one type are folded, except failures, new events and the one at the cursor.
export function feed(events, { cursor, seen, go }) {
  const line = (event) => feedLine(event, { cursor, seen, go });
  const isAlone = ({ step, failed }) => step === cursor || step > seen || failed;
  return html`<ol class="feed">${runs(events, isAlone).map((run) => {
    if (run.length < MIN_RUN) return run.map(line);
    const [first, last] = [run[0], run.at(-1)];
    return html`<li class="run"><details><summary>${run.length.toLocaleString("en")} × ${first.type}
      <span class="quiet">events ${first.step} to ${last.step}, ${time(first.occurredTime)} to ${time(last.occurredTime)}</span></summary>
      <ol class="feed">${run.map(line)}</ol></details></li>`;
  })}</ol>`;
}

const MIN_RUN = 4;

// Groups consecutive events of one type; those for which `isAlone` holds are not grouped.
function runs(events, isAlone) {
  const found = [];
  for (const event of events) {
    const last = found.at(-1);
    const joins = last && last[0].type === event.type && !isAlone(event) && !isAlone(last[0]);
    if (joins) last.push(event);
    else found.push([event]);
  }
  return found;
}

function feedLine(event, { cursor, seen, go }) {
  const wrong = event.failed ? "wrong" : "";
  const at = event.step === cursor ? "at" : "";
  return html`<li class="s-${event.state ?? ""} ${wrong} ${at} event" aria-current=${at ? "step" : nothing}>
      <span><button type="button" class="plain" @click=${() => go(event.step)}>${event.step}</button>
        ${event.step > seen ? html`<b class="badge">new</b>` : nothing}</span>
      <span class="what"><b>${event.type}</b>${event.actor ? html` by <bdi>${visible(event.actor)}</bdi>` : nothing}
        ${event.state ? html` → ${state(event.state)}` : nothing}
        <span class="quiet"><span>${time(event.occurredTime)}</span> · v${event.version} ${delay(event)}</span></span>
      ${explanation(event) ? html`<span class="explained">${explanation(event)}</span>` : nothing}
      ${Object.keys(event.data ?? {}).length ? html`<span class="data">${value(JSON.stringify(event.data))}</span>` : nothing}
    </li>`;
}

function delay({ occurredTime, recordedTime }) {
  const seconds = (Date.parse(recordedTime) - Date.parse(occurredTime)) / 1000;
  return seconds >= 1 ? `recorded ${shortDuration(seconds)} later` : "";
}

export function shortDuration(seconds) {
  return elapsed(seconds).split(" ").slice(0, 2).join(" ");
}

export function table(events, { cursor, go }) {
  return html`<div class="scroll tall" tabindex="0" role="region" aria-label="Table of events"><table>
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
