// The fleet page: the cursor moves through time, and the list follows it. What its keys, buttons and forms do.

import { address, listData, live, part, pause, writeAddress } from "jobledger/address";
import { offer } from "jobledger/completion";
import { count, isLoading, show, summarize, writeTitle } from "jobledger/list";
import { cursor, cursorMoment, cursorTime, drawCursor, placeCursor, redraw, span, startChart } from "jobledger/over_time";
import { writeTimes } from "jobledger/page";
import { refreshing } from "jobledger/refresh";
import { Part, readOrExplain, showProblem } from "jobledger/requests";
import "jobledger/download";

const MIN_WINDOW_MILLISECONDS = 1000;
const filterForm = part("asked");
const [stepping, watching] = [new Part(), new Part()];
let steps = Promise.resolve();

// Each step begins where the one before it ended.
function step(by, failures) {
  pause();
  steps = steps.then(() => stepOnce(by, failures));
}

async function stepOnce(by, failures) {
  const text = await readOrExplain(stepping, address("/fleet/step", failures ? { by, failures } : { by }));
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
  end = Math.max(end, begin + MIN_WINDOW_MILLISECONDS);
  const range = { from: new Date(begin).toISOString(), to: new Date(end).toISOString() };
  writeAddress("pushState");
  document.querySelector(".segments [aria-current]")?.removeAttribute("aria-current");
  await show(range);
  await redraw();
}

function zoomBy(factor) {
  const [begin, end] = span();
  const middle = cursorTime();
  const half = ((end - begin) * factor) / 2;
  zoom(middle - half, middle + half);
}

function cursorMoved() {
  drawCursor();
  show({ at: cursorMoment() });
}

function pointAt(time) {
  placeCursor(time);
  cursorMoved();
}

const keys = { ArrowLeft: [-1], ArrowRight: [1], "[": [-1, 1], "]": [1, 1] };

document.addEventListener("keydown", (event) => {
  const elsewhere = event.target.closest("input:not(#cursor), textarea, select, [role=region], dialog");
  if (!keys[event.key] || elsewhere || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  // A key that is held down steps as fast as the list follows.
  if (!event.repeat || !isLoading()) step(...keys[event.key]);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-step], [data-zoom]");
  if (button?.dataset.step) step(Number(button.dataset.step), button.dataset.failures);
  if (button?.dataset.zoom) zoomBy(button.dataset.zoom === "in" ? 0.5 : 2);
});

document.addEventListener("input", (event) => event.target === cursor() && cursorMoved());

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
  filtered();
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

startChart({ zoom, point: pointAt });
writeTimes();
writeTitle();
// With very many jobs, the summary and the counts are loaded after the page.
if (part("list")) count();
if (part("facts")?.hasAttribute("data-partial")) summarize();

refreshing({
  isReady: () => live && !isLoading() && !document.activeElement?.closest("#asked, #when") && !document.querySelector("#timeline:active"),
  isUnchanged: async () => {
    const text = await readOrExplain(watching, `/ledger/v1/moment?${new URLSearchParams({ asOf: "now", clock: listData().clock })}`);
    return !text || JSON.parse(text).position === Number(listData().position);
  },
  refresh: async () => {
    await show({});
    await redraw();
  },
});
