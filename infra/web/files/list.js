// The fleet's list: a newer one takes its place, row by row, and the rest of the page follows it.

import { address, keepQuery, listData, listQuery, part, pause, remember } from "jobledger/address";
import { morph, toContent } from "jobledger/morph";
import { cursor, placeCursor, redraw } from "jobledger/over_time";
import { writeTimes } from "jobledger/page";
import { Part, Refused, debounce, parseHtml, readOrExplain, showProblem } from "jobledger/requests";

const REST_MILLISECONDS = 50;
const [listing, counting, facts] = Array.from({ length: 3 }, () => new Part());
let loading = null; // A promise while lists are loaded.
let pending = null;
let focusedJob = null; // The job whose row has the focus.
document.addEventListener("focusin", (event) => (focusedJob = event.target.closest("[data-job]")?.dataset.job ?? null));

export const isLoading = () => loading !== null;

// Shows the list as of another moment, or of another filter. Changes that come while a request is on its way
// are gathered for the next one, so that the list follows a cursor that is dragged.
export function show(changed) {
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
    const found = parseHtml(await listing.read(address("/fleet/list", changed) + counted));
    if (found) showAnswer(found, changed);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if ("at" in changed) showText("moment-problem", `The moment ${error.message.replace(/^asOf: /, "")}`);
    else showProblem(error.message, listing);
  }
}

function showAnswer(found, changed) {
  const fresh = found.getElementById("list");
  const { problem } = fresh.dataset;
  const below = rowsBelow();
  showText("problem", problem);
  showText("moment-problem", "");
  // An invalid filter leaves the list unchanged.
  if (problem) return;
  if (Object.keys(changed).length) showProblem("");
  keepQuery(changed);
  morph(part("chips"), found.getElementById("chips"));
  showRows(fresh, below);
  followList();
  void part("list").offsetHeight; // Laid out while the next frame is waited for, which then only paints.
}

function showText(id, text) {
  if (!part(id) || part(id).textContent === text) return;
  part(id).textContent = text;
  part(id).hidden = !text;
}

// The rows below the window. They are found before anything changes, as the page must be laid out for that.
function rowsBelow() {
  return new Set([...part("list").querySelectorAll("[data-job]")].filter((row) => row.getBoundingClientRect().top > innerHeight));
}

// Shows a list: at once what is in the window, and the rows below it as soon as the cursor rests.
function showRows(fresh, below) {
  morph(part("list"), fresh, (row) => below.has(row));
  part("list").ariaBusy = "true";
  showAll(fresh);
}

const showAll = debounce(REST_MILLISECONDS, (fresh) => {
  morph(part("list"), fresh);
  writeTimes(part("list"));
  focusJob();
});

// The focus stays at its job, whose row may be another one now.
function focusJob() {
  const focused = document.activeElement.closest("[data-job]");
  if (!focused || focused.dataset.job === focusedJob) return;
  const row = [...part("list").querySelectorAll("[data-job]")].find((each) => each.dataset.job === focusedJob);
  if (row) row.querySelector("a").focus({ preventScroll: true });
  else toContent();
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
export const count = debounce(100, async () => {
  if (!("partial" in listData())) return;
  const found = await readOfList(counting, "/fleet/list", "&counted=1");
  if (found) showRows(found.getElementById("list"), rowsBelow());
});

export const summarize = debounce(300, async () => {
  const found = part("facts") && (await readOfList(facts, "/fleet/facts"));
  if (found) morph(part("facts"), found.getElementById("facts"));
  writeTitle();
  if (new URLSearchParams(listQuery()).get("filter")) await redraw();
});

// What belongs to the list shown; null if meanwhile the list shows another moment or filter.
async function readOfList(of, path, more = "") {
  const before = listQuery();
  const found = parseHtml(await readOrExplain(of, `${path}${before}${more}`));
  return listQuery() === before ? found : null;
}

// Puts the number of failed jobs into the title, which the browser shows in the tab.
export function writeTitle() {
  const title = part("facts")?.dataset.title;
  if (title && document.title !== title) document.title = title;
}
