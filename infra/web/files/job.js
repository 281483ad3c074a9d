// A job's page: a cursor moves among its events, and everything else shows the job at the cursor.

import { html, nothing, render } from "lit-html";
import { History, differences, timeOf } from "jobledger/history";
import { Part, Refused, debounce, showProblem } from "jobledger/requests";
import { Band } from "jobledger/band";
import "jobledger/page";
import { changesTable, explanation, feed, fields, json, state, table, time, visible } from "jobledger/job_view";
import { elapsed } from "jobledger/zones";
import { follow } from "jobledger/tail";
import { proof } from "jobledger/receipts";

const data = JSON.parse(document.getElementById("data").textContent);
const part = (id) => document.getElementById(id);
const online = location.protocol.startsWith("http") && !data.offline;
const encoded = data.name.split("/").map(encodeURIComponent).join("/");
const history_ = new History(data, online ? load : null);
const band = new Band(data, (time) => reporting(async () => go(await history_.stepBy(time))));
const views = { feed, table, json };
const parts = {};
const now = { step: data.cursor, seen: Number(new URLSearchParams(location.search).get("seen") ?? data.total) };

async function load(what, parameters) {
  // Windows of the history are read at the same time; of everything else only the last request counts.
  const of = `${what} ${parameters.window ?? ""}`;
  parts[of] ??= new Part();
  const query = new URLSearchParams({ clock: data.clock, until: data.until });
  for (const [key, each] of Object.entries(parameters)) if (each !== undefined && each !== "") query.set(key, each);
  return parts[of].json(`/parts/${what}/${encoded}?${query}`);
}

// Runs `work`, and shows the message of a refused request.
async function reporting(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    showProblem(error.message);
  }
}

async function go(step) {
  now.step = Math.min(Math.max(0, step), history_.total);
  part("scrubber").value = now.step;
  await reporting(show);
}

async function show() {
  const { step } = now;
  const { job, step: last } = await history_.at(step);
  const started = await startedAt(step);
  if (step !== now.step) return;
  now.started = started;
  showProblem("");
  const event = last?.event;
  part("scrubber").setAttribute("aria-valuetext", event ? `event ${step} of ${history_.total}: ${event.type}` : "before the first event");
  band.draw(event);
  drawError(job);
  drawFamily(job);
  render(standingLine(job, event), part("now"));
  drawJob(job, last);
  render(changesOf(last), part("changes"));
  performance.mark("ready");
  proof(part("proof"), data, event, { online, listed: () => now.listed });
  updateLink(event);
  await Promise.all([showEvents(), blame(job, last), showExact(), showReasons()]);
}

function standingLine(job, event) {
  if (!event) return html`<span>Before its first event: the job does not exist yet.</span>`;
  return html`<span class="big">${job.deleteTime ? html`<b>deleted</b>` : state(job.state)}</span>
    ${duration(job, event)}
    <span>event ${now.step} of ${history_.total}: <b>${event.type}</b></span>
    <span>${time(timeOf(event, data.clock))} UTC</span>
    ${event.actor ? html`<span>by <bdi>${visible(event.actor)}</bdi></span>` : nothing}
    ${job.attempt > 1 ? html`<span>attempt ${job.attempt}</span>` : nothing}
    ${now.started?.data?.worker ? html`<span>on <bdi>${visible(String(now.started.data.worker))}</bdi></span>` : nothing}
    ${data.contradicted ? html`<span class="badge">${data.contradicted} contradicted</span>` : nothing}`;
}

// How long the attempt ran; while it runs, up to the event at the cursor, and at the last event up to now.
function duration(job, event) {
  const { endTime } = job;
  const began = now.started ? (now.started.effectiveTime ?? now.started.occurredTime) : job.startTime;
  if (!began || job.state === "QUEUED" || job.state === "PENDING") return nothing;
  const isLast = now.step === history_.total && online;
  const until = endTime ?? (isLast ? new Date().toISOString() : (event.effectiveTime ?? event.occurredTime));
  const text = elapsed(Math.max(0, Date.parse(until) - Date.parse(began)) / 1000);
  if (endTime) return html`<span>after <b>${text}</b></span>`;
  const silent = elapsed(Math.max(0, Date.now() - Date.parse(timeOf(event, data.clock))) / 1000);
  return html`<span>for <b>${text}</b>${isLast ? html`, last heard ${silent} ago` : nothing}</span>`;
}

const linked = (name, stateName) => html`<a href=${`/jobs/${name.split("/").map(encodeURIComponent).join("/")}`} title=${name}>${stateName ? html`<svg class="icon s-${stateName}" aria-hidden="true"><use href="#i-${stateName}"></use></svg>` : nothing} <bdi>${name.split("/").at(-1)}</bdi></a> `;

// Its parents and children.
function drawFamily(job) {
  const parents = online ? (job.parents ?? []) : [];
  const { children = [], more = false } = now.family ?? {};
  part("family").hidden = !parents.length && !children.length;
  render(
    html`${parents.length ? html`Parents: ${parents.map((each) => linked(each))}` : nothing}
      ${children.length ? html`Children: ${children.map((each) => linked(each.name, each.state))}${more ? "and more" : ""}` : nothing}`,
    part("family"),
  );
}

async function readFamily() {
  now.family = await load("family", {});
  drawFamily((await history_.at(now.step)).job);
}

// The first line of the error, at the top of the page.
function drawError(job) {
  const text = job.errorMessage?.trim().split("\n")[0] ?? "";
  part("error").hidden = !text;
  part("error").textContent = visible(text.slice(0, 500));
}

function drawJob(job, last, since = null) {
  const shown = Object.keys(job).length ? fields(job, { changes: last?.changes, since, go }) : html`<p class="quiet">There is no job yet.</p>`;
  render(shown, part("job"));
}

// The JSON of the job, in a folded section.
async function showExact() {
  if (!part("exact").open) return;
  const wanted = now.step;
  const { job, step } = await history_.at(wanted);
  if (wanted !== now.step) return;
  const at = online && step && data.clock === "recorded" ? `/ledger/v1/${encoded}?asOf=v${step.event.version}` : "";
  render(
    html`${at ? html`<p><a href=${at}>${at}</a></p>` : nothing}
      <pre class="json" tabindex="0">${JSON.stringify(job, null, 2)}</pre>`,
    part("exactly"),
  );
}

async function blame(job, last) {
  const { step } = now;
  const since = await history_.blame(step);
  if (step === now.step) drawJob(job, last, since);
}

function changesOf(last) {
  if (!last) return html`<p class="quiet">Nothing happened yet.</p>`;
  const { event, changes } = last;
  return html`${explanation(event) ? html`<p class="problem">${explanation(event)}</p>` : nothing}${changesTable(changes)}`;
}

// The last Started event up to a step.
async function startedAt(step) {
  const started = data.starts.findLast((each) => each <= step);
  if (!started) return null;
  const { first, steps } = await history_.window(started);
  return steps[started - first].event;
}

function eventFilter() {
  const form = new FormData(part("events-asked"));
  const actor = form.get("actor");
  return { type: form.get("type"), actor: actor === "*" ? undefined : actor, failed: form.get("failed") ?? "" };
}

const isFiltered = ({ type, actor, failed }) => type || actor !== undefined || failed;

// Shows the events around the cursor; with a filter, the first that match.
async function showEvents(after = 0) {
  const wanted = eventFilter();
  const { step } = now;
  if (isFiltered(wanted)) {
    const found = await history_.find(wanted, after);
    if (step !== now.step) return;
    now.found = found.total;
    return drawEvents(found.events, found.more ? () => reporting(() => showEvents(found.events.at(-1).step)) : null);
  }
  const events = await history_.around(step);
  if (step === now.step) drawEvents(events, null);
}

function drawEvents(events, more) {
  const view = new FormData(part("events-asked")).get("view");
  const first = events[0]?.step ?? 0;
  const last = events.at(-1)?.step ?? 0;
  const around = !isFiltered(eventFilter());
  now.listed = events;
  render(
    html`<p class="quiet">${around ? `Events ${first} to ${last} of ${history_.total}.` : `${(now.found ?? 0).toLocaleString("en")} of ${history_.total.toLocaleString("en")} events`}
        ${around ? nothing : html`<button type="button" class="plain" @click=${clearFilter}>Show all</button>`}</p>
      ${events.length ? views[view](events, { cursor: now.step, seen: now.seen, go }) : nothing}
      <p class="buttons">
        ${around && first > 1 ? html`<button type="button" @click=${() => go(first - 1)}>Earlier events</button>` : nothing}
        ${around && last < history_.total ? html`<button type="button" @click=${() => go(last + 1)}>Later events</button>` : nothing}
        ${more ? html`<button type="button" @click=${more}>More</button>` : nothing}
      </p>`,
    part("events"),
  );
}

// Removes the filter of events.
function clearFilter() {
  const form = part("events-asked").elements;
  form.type.value = "";
  form.actor.value = "*";
  form.failed.checked = false;
  form.type.focus();
  reporting(showEvents);
}

// The link to this view: the step's version, and the position up to which the history is shown.
function link(event, changes = {}) {
  const parameters = { ledger: data.ledger, at: event ? `v${event.version}` : "v0", clock: data.clock, until: data.until };
  const { type, actor, failed } = eventFilter();
  const view = new FormData(part("events-asked")).get("view");
  Object.assign(parameters, { type, actor, failed, view: view === "feed" ? "" : view, with: part("other").value.trim() }, changes);
  const query = new URLSearchParams(Object.entries(parameters).filter(([, each]) => each !== undefined && each !== ""));
  return `/jobs/${encoded}?${query}`;
}

const writeAddress = debounce(200, (address) => online && history.replaceState(null, "", address));

function updateLink(event) {
  part("link").href = online ? link(event) : `#v${event?.version ?? 0}`;
  writeAddress(part("link").href);
}

async function jobAt(text) {
  const attempt = /^attempt\s+(\d+)$/i.exec(text);
  const version = /^v(\d+)$/.exec(text);
  if (attempt) return atStep(data.attempts[Number(attempt[1]) - 1], text);
  if (version && !online) return atStep(await stepOf(Number(version[1])), text);
  if (!online) throw new Refused("In a file, moments are versions (v3) and attempts (attempt 2).");
  const named = text.startsWith("projects/");
  const name = named ? text.split("/").map(encodeURIComponent).join("/") : encoded;
  const query = named ? "" : `?${new URLSearchParams({ asOf: text })}`;
  parts.other ??= new Part();
  const { asOf, clock, position, ...job } = await parts.other.json(`/ledger/v1/${name}${query}`);
  return job;
}

async function stepOf(version) {
  for (let step = 1; step <= history_.total; step++) {
    if ((await history_.at(step)).step.event.version === version) return step;
  }
  return undefined;
}

async function atStep(step, text) {
  if (!step) throw new Refused(`There is no ${text} of this job.`);
  return (await history_.at(step)).job;
}

async function compare() {
  const text = part("other").value.trim();
  if (!text) return render(nothing, part("differences"));
  try {
    const other = await jobAt(text);
    const { step } = now;
    const { job } = await history_.at(step);
    if (text !== part("other").value.trim()) return;
    render(html`<h3>From ${text} to event ${step}</h3>${changesTable(differences(other, job))}`, part("differences"));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    render(html`<p class="problem">${error.message}</p>`, part("differences"));
  }
}

async function showReasons() {
  if (part("panel-why").hidden || !online) return;
  const wanted = now.step;
  const { step } = await history_.at(wanted);
  const at = step ? `v${step.event.version}` : "";
  const { chain, conclusion, holds } = await load("why", { at });
  if (wanted !== now.step) return;
  render(html`<ol>${chain.map(({ sentence }) => html`<li>${visible(sentence)}</li>`)}</ol><p>${visible(conclusion)}</p>
    ${holds.map((sentence) => html`<p>${visible(sentence)}</p>`)}`, part("reasons"));
}

async function goToFailure(by) {
  const { step } = now;
  const found = await history_.find({ failed: "1" }, by > 0 ? step : 0);
  const steps = found.events.map((event) => event.step).filter((each) => (by > 0 ? each > step : each < step));
  const wanted = by > 0 ? steps[0] : steps.at(-1);
  if (wanted) await go(wanted);
}

// Chooses a tab, by ARIA's pattern of tabs: arrow keys go from one to the next.
function chooseTab(tab, { focus = false } = {}) {
  for (const each of document.querySelectorAll("[role=tab]")) {
    const is = each === tab;
    each.setAttribute("aria-selected", String(is));
    each.tabIndex = is ? 0 : -1;
    part(each.getAttribute("aria-controls")).hidden = !is;
  }
  if (focus) tab.focus();
  reporting(showReasons);
}

const tabs = [...document.querySelectorAll("[role=tab]")];
document.querySelector("[role=tablist]").addEventListener("click", (event) => event.target.closest("[role=tab]") && chooseTab(event.target.closest("[role=tab]")));
document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const shown = tabs.filter((each) => !each.hidden);
  if (!by) return;
  event.preventDefault();
  event.stopPropagation();
  chooseTab(shown[(shown.indexOf(event.target) + by + shown.length) % shown.length], { focus: true });
});

const keys = { ArrowLeft: () => now.step - 1, ArrowRight: () => now.step + 1, Home: () => 0, End: () => history_.total };
const buttons = { first: keys.Home, back: keys.ArrowLeft, on: keys.ArrowRight, last: keys.End };

document.addEventListener("keydown", (event) => {
  const elsewhere = event.target.closest("input:not(#scrubber), select, textarea, [role=region], pre, dialog");
  const by = { "[": -1, "]": 1 }[event.key];
  if (by && !elsewhere && !event.ctrlKey && !event.metaKey) return reporting(() => goToFailure(by));
  if (!keys[event.key] || elsewhere || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  go(keys[event.key]());
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-go], [data-step]");
  if (button?.dataset.go) go(buttons[button.dataset.go]());
  if (button?.dataset.step) go(Number(button.dataset.step));
});
part("scrubber").addEventListener("input", () => go(Number(part("scrubber").value)));
part("events-asked").addEventListener("change", () => reporting(async () => {
  await showEvents();
  updateLink((await history_.at(now.step)).step?.event);
}));
part("against").addEventListener("submit", (event) => {
  event.preventDefault();
  reporting(compare);
});
part("exact").addEventListener("toggle", () => reporting(showExact));
for (const clock of document.querySelectorAll("[name=clock]")) {
  clock.disabled = !online;
  clock.addEventListener("change", async () => {
    const { step } = await history_.at(now.step);
    location.assign(link(step?.event, { clock: clock.value }));
  });
}

// Sets the view from the address.
function start() {
  const query = new URLSearchParams(location.search);
  const form = part("events-asked").elements;
  if (views[query.get("view")]) form.view.value = query.get("view");
  if (query.has("type")) form.type.value = query.get("type");
  if (query.has("actor")) form.actor.value = query.get("actor");
  form.failed.checked = query.get("failed") === "1";
  part("tab-why").hidden = !online;
  part("other").value = query.get("with") ?? "";
  if (part("other").value) chooseTab(part("tab-compare"));
  go(now.step).then(() => part("other").value && reporting(compare));
  if (online) reporting(readFamily);
  if (online) follow(part("new"), data, encoded);
}

start();
