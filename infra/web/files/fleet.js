// The fleet page: the cursor moves through time, and the list follows it.

import { Idiomorph } from "idiomorph";
import { offer } from "jobledger/offers";
import { Part, Refused, settled, tell } from "jobledger/reading";
import "jobledger/drawing";

const asked = document.getElementById("asked");
const timeline = document.getElementById("timeline");
const cursor = document.getElementById("cursor");
const list = new Part();
const stepping = new Part();
let asking = false;
let wish = null;

const part = (id) => document.getElementById(id);
const shown = () => part("list").dataset;
const span = () => [Date.parse(timeline.dataset.begin), Date.parse(timeline.dataset.end)];

// The address of what the page shows, with some of it changed.
function address(path, changed = {}) {
  const said = new URLSearchParams(new FormData(asked));
  said.set("at", shown().at);
  const link = new URL(part("link").href);
  for (const kept of ["columns", "size"]) if (link.searchParams.has(kept)) said.set(kept, link.searchParams.get(kept));
  for (const [name, value] of Object.entries(changed)) said.set(name, value);
  return `${path}?${said}`;
}

const remember = settled(200, () => history.replaceState(null, "", part("link").href));

// Shows the list as of another moment, or of another filter. While it is asked for, only the last wish
// is kept: so the list follows a cursor that is dragged, however far away the server is.
async function show(changed) {
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
    Idiomorph.morph(part("list"), await list.read(address("/fleet/list", changed)));
    follow();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    tell(error.message);
  }
}

// The form, the cursor and the address say what the list shows.
function follow() {
  const { at, time, problem } = shown();
  asked.elements.at.value = at;
  part("problem").textContent = problem;
  part("problem").hidden = !problem;
  if (timeline && document.activeElement !== cursor) place(Date.parse(time));
  if (cursor) cursor.setAttribute("aria-valuetext", time);
  remember();
}

function place(time) {
  const [begin, end] = span();
  cursor.value = (100000 * (time - begin)) / (end - begin);
  draw();
}

function draw() {
  const line = part("cursor-line");
  for (const side of ["x1", "x2"]) line.setAttribute(side, `${cursor.value / 1000}%`);
}

// A time as the ledger takes it: as it happened, as far as is known where the page is.
function moment(time) {
  const { clock, position } = shown();
  return clock === "occurred" ? `${new Date(time).toISOString()}@${position}` : new Date(time).toISOString();
}

function timeAt(share) {
  const [begin, end] = span();
  return begin + share * (end - begin);
}

async function step(by) {
  try {
    const text = await stepping.read(address("/fleet/step", { by }));
    if (!text) return;
    const { at, time } = JSON.parse(text);
    if (!at) return tell(by < 0 ? "Nothing happened before this." : "Nothing happened after this, as far as is known.");
    if (timeline) place(Date.parse(time));
    await show({ at });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    tell(error.message);
  }
}

function zoom(begin, end) {
  if (end - begin < 1000) end = begin + 1000;
  const said = { from: new Date(begin).toISOString(), to: new Date(end).toISOString() };
  location.assign(address("/", said));
}

function zoomBy(factor) {
  const [begin, end] = span();
  const middle = timeAt(cursor.value / 100000);
  const half = ((end - begin) * factor) / 2;
  zoom(middle - half, middle + half);
}

function moved() {
  draw();
  show({ at: moment(timeAt(cursor.value / 100000)) });
}

const arrows = { ArrowLeft: -1, ArrowRight: 1 };

document.addEventListener("keydown", (event) => {
  const elsewhere = event.target.closest("input:not(#cursor), textarea, select, [role=region]");
  if (!arrows[event.key] || elsewhere || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  step(arrows[event.key]);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-step], [data-zoom]");
  if (button?.dataset.step) step(Number(button.dataset.step));
  if (button?.dataset.zoom) zoomBy(button.dataset.zoom === "in" ? 0.5 : 2);
});

document.addEventListener("change", (event) => {
  if (!event.target.closest("#columns")) return;
  const chosen = [...document.querySelectorAll("#columns input:checked")].map((each) => each.value);
  show({ columns: chosen.join() || "none", size: part("size").value });
});

const filtered = settled(250, () => show({ filter: asked.elements.filter.value }));
asked.elements.filter.addEventListener("input", filtered);
offer(asked.elements.filter, part("offers"), filtered);
for (const clock of asked.elements.clock) {
  // The same time on the other clock, which begins and ends elsewhere.
  clock.addEventListener("change", () => {
    Object.assign(asked.elements.at, { value: shown().time });
    for (const name of ["from", "to"]) asked.elements[name].value = "";
    asked.submit();
  });
}

if (timeline) {
  cursor.addEventListener("input", moved);
  brush(part("states"), part("brush"));
}

// Dragging in the chart zooms; a click puts the cursor there.
function brush(chart, rect) {
  let from = null;
  const share = (event) => {
    const box = chart.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };
  chart.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    from = share(event);
    chart.setPointerCapture(event.pointerId);
  });
  chart.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const [low, high] = [from, share(event)].sort((a, b) => a - b);
    rect.setAttribute("x", `${100 * low}%`);
    rect.setAttribute("width", `${100 * (high - low)}%`);
  });
  chart.addEventListener("pointercancel", () => {
    from = null;
    rect.setAttribute("width", 0);
  });
  chart.addEventListener("pointerup", (event) => {
    if (from === null) return;
    const [low, high] = [from, share(event)].sort((a, b) => a - b);
    from = null;
    rect.setAttribute("width", 0);
    if (high - low > 0.01) return zoom(timeAt(low), timeAt(high));
    cursor.value = 100000 * high;
    moved();
  });
}
