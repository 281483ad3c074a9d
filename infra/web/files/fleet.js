// The fleet page: the cursor moves through time, and the list follows it.

import { Chart } from "jobledger/chart";
import { offer } from "jobledger/completion";
import { showList } from "jobledger/list";
import { morph } from "jobledger/morph";
import { writeTimes } from "jobledger/page";
import { refreshing } from "jobledger/refresh";
import { Part, Refused, debounce, showProblem } from "jobledger/requests";
import "jobledger/download";

const part = (id) => document.getElementById(id);
const filterForm = part("asked");
const cursor = () => part("cursor");
const [list, stepping, charting, facts, counting, watching] = Array.from({ length: 6 }, () => new Part());
let pageQuery = new URLSearchParams(location.search);
let live = part("live")?.classList.contains("is-live") ?? false;
let loading = null; // A promise while lists are loaded.
let pending = null;

const listData = () => part("list").dataset;
const span = () => [part("over-time").dataset.begin, part("over-time").dataset.end].map(Date.parse);

// The query of what the page shows, with changed parameters; that of a live page has no moment.
function queryWith(changed) {
  const query = new URLSearchParams(live ? pageQuery : listQuery());
  if (Object.keys(changed).length) for (const name of ["page", "skip"]) query.delete(name);
  for (const [name, value] of Object.entries(changed)) {
    if (value === "") query.delete(name);
    else query.set(name, value);
  }
  return query;
}

const address = (path, changed = {}) => `${path}?${queryWith(changed)}`;

// The query of the list: its moment, filter and window, from its link.
const listQuery = () => new URL(part("link").href).search;

let search = location.search;
const remember = debounce(200, () => writeAddress("replaceState"));

// Puts into the address bar what the page shows; `how` is pushState or replaceState.
function writeAddress(how) {
  history[how](null, "", live ? `/?${pageQuery}` : part("link").href);
  search = location.search;
}

// Stops polling: the page stays at one moment until the user chooses another.
function pause() {
  if (!live) return;
  live = false;
  const button = part("live");
  button.classList.remove("is-live");
  button.textContent = "Paused";
  button.href = "/";
}

// Shows the list as of another moment, or of another filter. Changes that come while a request is on its way
// are gathered for the next one, so that the list follows a cursor that is dragged.
function show(changed) {
  if ("at" in changed) pause();
  pending = { ...pending, ...changed };
  loading ??= loadPending().finally(() => (loading = null));
  return loading;
}

async function loadPending() {
  while (pending) await load(takePending());
}

function takePending() {
  const changes = pending;
  pending = null;
  return changes;
}

async function load(changed) {
  try {
    // A refresh keeps its counts.
    const counted = Object.keys(changed).length ? "" : "&counted=1";
    const found = parseHtml(await list.read(address("/fleet/list", changed) + counted));
    if (!found) return;
    const { problem } = found.getElementById("list").dataset;
    showText("problem", problem);
    showText("moment-problem", "");
    // An invalid filter leaves the list unchanged.
    if (problem) return;
    if (Object.keys(changed).length) showProblem("");
    if (live) pageQuery = queryWith(changed);
    morph(part("chips"), found.getElementById("chips"));
    showList(found.getElementById("list"));
    followList();
    void part("list").offsetHeight; // Laid out while the next frame is waited for, which then only paints.
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if ("at" in changed) showText("moment-problem", `The moment ${error.message.replace(/^asOf: /, "")}`);
    else showProblem(error.message, list);
  }
}

const parseHtml = (text) => text && new DOMParser().parseFromString(text, "text/html");

function showText(id, text) {
  if (!part(id)) return;
  part(id).textContent = text;
  part(id).hidden = !text;
}

// Updates the form, the cursor and the address to what the list shows.
function followList() {
  const { at, time } = listData();
  if (part("at") && document.activeElement !== part("at")) part("at").value = at;
  if (cursor() && document.activeElement !== cursor()) placeCursor(Date.parse(time));
  if (cursor()) cursor().setAttribute("aria-valuetext", time);
  writeTimes(part("list"));
  remember();
  count();
  summarize();
}

// Looks at all jobs, and counts those that a search selects, after its first page is shown.
const count = debounce(100, async () => {
  if (!("partial" in listData())) return;
  const found = await readOfList(counting, "/fleet/list", "&counted=1");
  if (found) showList(found.getElementById("list"));
});

const summarize = debounce(300, async () => {
  const found = part("facts") && (await readOfList(facts, "/fleet/facts"));
  if (found) morph(part("facts"), found.getElementById("facts"));
  writeTitle();
  if (new URLSearchParams(listQuery()).get("filter")) await redraw();
});

// What belongs to the list shown; null if meanwhile the list shows another moment or filter.
async function readOfList(of, path, more = "") {
  const before = listQuery();
  const found = parseHtml(await read(of, `${path}${before}${more}`));
  return listQuery() === before ? found : null;
}

// The text at an address; null if a newer request was made, or if it was refused: the page says why.
async function read(of, address) {
  try {
    return await of.read(address);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    showProblem(error.message, of);
    return null;
  }
}

// Puts the number of failed jobs into the title, which the browser shows in the tab.
function writeTitle() {
  const title = part("facts")?.dataset.title;
  if (title && document.title !== title) document.title = title;
}

// The chart of the window, filter and moment that the list shows: a later call makes an earlier one needless.
async function redraw() {
  const found = parseHtml(await read(charting, address("/fleet/chart")))?.getElementById("over-time");
  if (!found) return;
  morph(part("over-time"), found, ({ id }) => id === "plot" || id === "cursor");
  chart.draw();
  if (document.activeElement !== cursor()) placeCursor(Date.parse(listData().time));
  else draw();
}

function placeCursor(time) {
  const [begin, end] = span();
  const share = (time - begin) / (end - begin);
  cursor().value = 100000 * share;
  draw();
  const outside = part("outside");
  outside.hidden = share >= -0.0001 && share <= 1.0001;
  outside.className = `outside ${share < 0 ? "left" : "right"}`;
  outside.firstElementChild.textContent = share < 0 ? "◀ the moment" : "the moment ▶";
  part("cursor-line").style.visibility = outside.hidden ? "" : "hidden";
}

function draw() {
  const line = part("cursor-line");
  for (const side of ["x1", "x2"]) line.setAttribute(side, `${cursor().value / 1000}%`);
}

// A time in the form of `asOf`; in valid time, with the position up to which the page knows events.
function moment(time) {
  const { clock, position } = listData();
  return clock === "occurred" ? `${new Date(time).toISOString()}@${position}` : new Date(time).toISOString();
}

function timeAt(share) {
  const [begin, end] = span();
  return begin + share * (end - begin);
}

let steps = Promise.resolve();

// Each step begins where the one before it ended.
function step(by, failures) {
  pause();
  steps = steps.then(() => stepOnce(by, failures));
}

async function stepOnce(by, failures) {
  const text = await read(stepping, address("/fleet/step", failures ? { by, failures } : { by }));
  if (!text) return;
  const { at, time } = JSON.parse(text);
  const what = failures ? "Nothing failed" : "Nothing happened";
  if (!at) return showProblem(`${what} ${by < 0 ? "before this." : "after this, as far as is known."}`);
  showProblem("");
  if (cursor()) placeCursor(Date.parse(time));
  await show({ at });
}

// Shows another window in place; the browser's back button leads to the previous one.
async function zoom(begin, end) {
  pause();
  if (end - begin < 1000) end = begin + 1000;
  const range = { from: new Date(begin).toISOString(), to: new Date(end).toISOString() };
  writeAddress("pushState");
  document.querySelector(".segments [aria-current]")?.removeAttribute("aria-current");
  await show(range);
  await redraw();
}

function zoomBy(factor) {
  const [begin, end] = span();
  const middle = timeAt(cursor().value / 100000);
  const half = ((end - begin) * factor) / 2;
  zoom(middle - half, middle + half);
}

function cursorMoved() {
  draw();
  show({ at: moment(timeAt(cursor().value / 100000)) });
}

function pointAt(time) {
  const [begin, end] = span();
  cursor().value = (100000 * (time - begin)) / (end - begin);
  cursorMoved();
}

const keys = { ArrowLeft: [-1], ArrowRight: [1], "[": [-1, 1], "]": [1, 1] };

document.addEventListener("keydown", (event) => {
  const elsewhere = event.target.closest("input:not(#cursor), textarea, select, [role=region], dialog");
  if (!keys[event.key] || elsewhere || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  // A key that is held down steps as fast as the list follows.
  if (!event.repeat || !loading) step(...keys[event.key]);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-step], [data-zoom]");
  if (button?.dataset.step) step(Number(button.dataset.step), button.dataset.failures);
  if (button?.dataset.zoom) zoomBy(button.dataset.zoom === "in" ? 0.5 : 2);
});

document.addEventListener("input", (event) => event.target === cursor() && cursorMoved());
// A change of the fragment alone does not load the page again.
addEventListener("popstate", () => location.search !== search && location.reload());

document.addEventListener("change", (event) => {
  if (event.target.id === "project") filterForm.submit();
  if (!event.target.closest("#columns")) return;
  const chosen = [...document.querySelectorAll("#columns input:checked")].map((each) => each.value);
  const labels = part("label-columns").value.split(",").map((each) => each.trim()).filter(Boolean);
  show({ columns: [...chosen, ...labels.map((each) => `labels.${each}`)].join() || "none", size: part("size").value });
});
part("columns")?.addEventListener("submit", (event) => event.preventDefault());

// A search begins with each key; while the server works, only the last key is remembered.
const filtered = () => show({ filter: filterForm.elements.filter.value });
filterForm.elements.filter.addEventListener("input", filtered);
filterForm.addEventListener("submit", (event) => {
  event.preventDefault();
  show({ filter: filterForm.elements.filter.value });
});
offer(filterForm.elements.filter, part("offers"), filtered);
part("when")?.addEventListener("submit", (event) => {
  event.preventDefault();
  part("at").blur();
  show({ at: part("at").value });
});
for (const clock of document.querySelectorAll(".clocks [name=clock]")) {
  // The same time on the other clock, whose events begin and end at other times.
  clock.addEventListener("change", () => location.assign(address("/", { clock: clock.value, at: listData().time, from: "", to: "" })));
}

const chart = new Chart(part("plot") ?? document.createElement("div"), { zoom, point: pointAt });
if (part("plot")) chart.draw();
writeTimes();
writeTitle();
// With very many jobs, the summary and the counts are loaded after the page.
if (part("list")) count();
if (part("facts")?.hasAttribute("data-partial")) summarize();

refreshing({
  isReady: () => live && !loading && !document.activeElement?.closest("#asked, #when") && !document.querySelector("#timeline:active"),
  isUnchanged: async () => {
    const text = await read(watching, `/ledger/v1/moment?${new URLSearchParams({ asOf: "now", clock: listData().clock })}`);
    return !text || JSON.parse(text).position === Number(listData().position);
  },
  refresh: async () => {
    await show({});
    await redraw();
  },
});
