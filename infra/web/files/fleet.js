// The fleet page: the cursor moves through time, and the list follows it.

import { Idiomorph } from "idiomorph";
import { Chart } from "jobledger/chart";
import { offer } from "jobledger/offers";
import { writeTimes } from "jobledger/page";
import { Part, Refused, settled, tell } from "jobledger/reading";
import "jobledger/drawing";

const LIVE = 3000;
const part = (id) => document.getElementById(id);
const asked = part("asked");
const cursor = () => part("cursor");
const [list, stepping, charting, facts, counting] = Array.from({ length: 5 }, () => new Part());
const begun = new URLSearchParams(location.search);
let live = part("live")?.classList.contains("is-live") ?? false;
let asking = false;
let wish = null;

const shown = () => part("list").dataset;
const span = () => [part("over-time").dataset.begin, part("over-time").dataset.end].map(Date.parse);

// The address of what the page shows, with some of it changed: a live page names no moment.
function address(path, changed = {}) {
  const said = new URLSearchParams(live ? begun : new URL(part("link").href).search);
  if (Object.keys(changed).length) for (const name of ["page", "skip"]) said.delete(name);
  for (const [name, value] of Object.entries(changed)) {
    if (value === "") said.delete(name);
    else said.set(name, value);
    if (live) begun.set(name, value);
  }
  return `${path}?${said}`;
}

let search = location.search;
const remember = settled(200, () => named("replaceState"));

// The address says what the page shows.
function named(how) {
  history[how](null, "", live ? `/?${begun}` : part("link").href);
  search = location.search;
}

// From now on the page shows one moment, until the user chooses another.
function pause() {
  if (!live) return;
  live = false;
  const button = part("live");
  button.classList.remove("is-live");
  button.textContent = "Paused";
  button.href = "/";
}

// Shows the list as of another moment, or of another filter. While it is asked for, only the last wish
// is kept: so the list follows a cursor that is dragged, however far away the server is.
async function show(changed) {
  if ("at" in changed) pause();
  wish = { ...wish, ...changed };
  if (asking) return;
  asking = true;
  try {
    while (wish) await ask(taken());
  } finally {
    asking = false;
  }
}

function taken() {
  const said = wish;
  wish = null;
  return said;
}

async function ask(changed) {
  try {
    // What is only brought up to date keeps its counts.
    const counted = Object.keys(changed).length ? "" : "&counted=1";
    const found = parsed(await list.read(address("/fleet/list", changed) + counted));
    if (!found) return;
    const { problem } = found.getElementById("list").dataset;
    say("problem", problem);
    say("moment-problem", "");
    // A filter that cannot be read leaves the list as it was.
    if (problem) return;
    for (const id of ["chips", "list"]) Idiomorph.morph(part(id), found.getElementById(id));
    follow();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if ("at" in changed) say("moment-problem", `The moment ${error.message.replace(/^asOf: /, "")}`);
    else tell(error.message);
  }
}

// What the list is of: its moment, filter and window, as its link says.
const listed = () => new URL(part("link").href).search;

const parsed = (text) => text && new DOMParser().parseFromString(text, "text/html");

function say(id, text) {
  if (!part(id)) return;
  part(id).textContent = text;
  part(id).hidden = !text;
}

// The form, the cursor and the address say what the list shows.
function follow() {
  const { at, time } = shown();
  if (part("at") && document.activeElement !== part("at")) part("at").value = at;
  if (cursor() && document.activeElement !== cursor()) place(Date.parse(time));
  if (cursor()) cursor().setAttribute("aria-valuetext", time);
  writeTimes(part("list"));
  remember();
  count();
  summarize();
}

// What a search finds among very many jobs is counted once its first page is there.
const count = settled(100, async () => {
  if (!("partial" in shown())) return;
  const before = listed();
  const found = parsed(await counting.read(`/fleet/list${before}&counted=1`))?.getElementById("list");
  if (!found || listed() !== before) return; // The list is of another moment or filter by now.
  Idiomorph.morph(part("list"), found);
  writeTimes(part("list"));
});

const summarize = settled(300, async () => {
  const found = part("facts") && parsed(await facts.read(address("/fleet/facts")));
  if (found) Idiomorph.morph(part("facts"), found.getElementById("facts"));
  writeTitle();
  if (new URLSearchParams(listed()).get("filter")) await redraw();
});

// The title says how many jobs failed, for those who have the page in a tab.
function writeTitle() {
  const title = part("facts")?.dataset.title;
  if (title && document.title !== title) document.title = title;
}

// The chart of another window, filter or moment.
async function redraw(changed = {}) {
  const text = await charting.read(address("/fleet/chart", changed));
  const found = parsed(text)?.getElementById("over-time");
  if (!found) return;
  const isNew = found.dataset.begin !== part("over-time").dataset.begin || found.dataset.end !== part("over-time").dataset.end;
  Idiomorph.morph(part("over-time"), found, { callbacks: { beforeNodeMorphed: (old) => old.id !== "plot" && old.id !== "cursor" } });
  chart.draw();
  if (document.activeElement !== cursor()) place(Date.parse(shown().time));
  else draw();
  return isNew;
}

function place(time) {
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

// A time as the ledger takes it: in valid time, as far as is known at the page's moment.
function moment(time) {
  const { clock, position } = shown();
  return clock === "occurred" ? `${new Date(time).toISOString()}@${position}` : new Date(time).toISOString();
}

function timeAt(share) {
  const [begin, end] = span();
  return begin + share * (end - begin);
}

async function step(by, failures) {
  pause();
  try {
    const text = await stepping.read(address("/fleet/step", failures ? { by, failures } : { by }));
    if (!text) return;
    const { at, time } = JSON.parse(text);
    const what = failures ? "Nothing failed" : "Nothing happened";
    if (!at) return tell(`${what} ${by < 0 ? "before this." : "after this, as far as is known."}`);
    tell("");
    if (cursor()) place(Date.parse(time));
    await show({ at });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    tell(error.message);
  }
}

// Shows another window in place; the browser's way back leads to the one before.
async function zoom(begin, end) {
  pause();
  if (end - begin < 1000) end = begin + 1000;
  const said = { from: new Date(begin).toISOString(), to: new Date(end).toISOString() };
  named("pushState");
  document.querySelector(".segments [aria-current]")?.removeAttribute("aria-current");
  await redraw(said);
  await show(said);
}

function zoomBy(factor) {
  const [begin, end] = span();
  const middle = timeAt(cursor().value / 100000);
  const half = ((end - begin) * factor) / 2;
  zoom(middle - half, middle + half);
}

function moved() {
  draw();
  show({ at: moment(timeAt(cursor().value / 100000)) });
}

function point(time) {
  const [begin, end] = span();
  cursor().value = (100000 * (time - begin)) / (end - begin);
  moved();
}

const keys = { ArrowLeft: [-1], ArrowRight: [1], "[": [-1, 1], "]": [1, 1] };

document.addEventListener("keydown", (event) => {
  const elsewhere = event.target.closest("input:not(#cursor), textarea, select, [role=region], dialog");
  if (!keys[event.key] || elsewhere || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  step(...keys[event.key]);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-step], [data-zoom]");
  if (button?.dataset.step) step(Number(button.dataset.step), button.dataset.failures);
  if (button?.dataset.zoom) zoomBy(button.dataset.zoom === "in" ? 0.5 : 2);
});

document.addEventListener("input", (event) => event.target === cursor() && moved());
// To another place in the page it is not loaded anew.
addEventListener("popstate", () => location.search !== search && location.reload());

document.addEventListener("change", (event) => {
  if (event.target.id === "project") asked.submit();
  if (!event.target.closest("#columns")) return;
  const chosen = [...document.querySelectorAll("#columns input:checked")].map((each) => each.value);
  const labels = part("label-columns").value.split(",").map((each) => each.trim()).filter(Boolean);
  show({ columns: [...chosen, ...labels.map((each) => `labels.${each}`)].join() || "none", size: part("size").value });
});
part("columns")?.addEventListener("submit", (event) => event.preventDefault());

// A key is searched for at once; of those that come while the server works, only the last one is.
const filtered = () => show({ filter: asked.elements.filter.value });
asked.elements.filter.addEventListener("input", filtered);
asked.addEventListener("submit", (event) => {
  event.preventDefault();
  show({ filter: asked.elements.filter.value });
});
offer(asked.elements.filter, part("offers"), filtered);
part("when")?.addEventListener("submit", (event) => {
  event.preventDefault();
  part("at").blur();
  show({ at: part("at").value });
});
for (const clock of document.querySelectorAll(".clocks [name=clock]")) {
  // The same time on the other clock, which begins and ends elsewhere.
  clock.addEventListener("change", () => location.assign(address("/", { clock: clock.value, at: shown().time, from: "", to: "" })));
}

const chart = new Chart(part("plot") ?? document.createElement("div"), { zoom, point });
if (part("plot")) chart.draw();
writeTimes();
writeTitle();
// Of very many jobs the sentence and the counts come later.
if (part("list")) count();
if (part("facts")?.hasAttribute("data-partial")) summarize();

// A live page polls while it is visible.
setInterval(async () => {
  if (!live || document.hidden || asking || document.activeElement?.closest("#asked, #when")) return;
  await show({});
  await redraw();
}, LIVE);
