// The fleet's chart of a window of time, and the cursor at the moment that the list shows.

import { address, listData, part } from "jobledger/address";
import { Chart } from "jobledger/chart";
import { morph } from "jobledger/morph";
import { Part, parseHtml, readOrExplain } from "jobledger/requests";

const CURSOR_MAX = 100000; // The largest value of the range input.
const charting = new Part();
let chart = null;

export const cursor = () => part("cursor");

// The begin and the end of the window, in milliseconds.
export const span = () => [part("over-time").dataset.begin, part("over-time").dataset.end].map(Date.parse);

// Draws the chart; `on` has the functions that it calls, as for Chart.
export function startChart(on) {
  if (!part("plot")) return;
  chart = new Chart(part("plot"), on);
  chart.draw();
}

// Draws the chart of the window, filter and moment that the list shows: a later call makes an earlier one needless.
export async function redraw() {
  const found = parseHtml(await readOrExplain(charting, address("/fleet/chart")))?.getElementById("over-time");
  if (!found) return;
  morph(part("over-time"), found, ({ id }) => id === "plot" || id === "cursor");
  chart?.draw();
  if (!cursor()) return;
  if (document.activeElement !== cursor()) placeCursor(Date.parse(listData().time));
  else drawCursor();
}

export function placeCursor(time) {
  const [begin, end] = span();
  const share = (time - begin) / (end - begin);
  cursor().value = CURSOR_MAX * share;
  drawCursor();
  const outside = part("outside");
  outside.hidden = share >= -0.0001 && share <= 1.0001;
  part("cursor-line").style.visibility = outside.hidden ? "" : "hidden";
  if (outside.hidden) return;
  outside.className = `outside ${share < 0 ? "left" : "right"}`;
  outside.firstElementChild.textContent = share < 0 ? "◀ the moment" : "the moment ▶";
}

// Draws the line at the cursor.
export function drawCursor() {
  const [line, place] = [part("cursor-line"), `${(100 * cursor().value) / CURSOR_MAX}%`];
  if (line.getAttribute("x1") === place) return;
  for (const side of ["x1", "x2"]) line.setAttribute(side, place);
}

// The time at the cursor, in milliseconds.
export function cursorTime() {
  const [begin, end] = span();
  return begin + (cursor().value / CURSOR_MAX) * (end - begin);
}

// The moment at the cursor, in the form of `asOf`; in valid time, with the position up to which the page knows events.
export function cursorMoment() {
  const { clock, position } = listData();
  const time = new Date(cursorTime()).toISOString();
  return clock === "occurred" ? `${time}@${position}` : time;
}
