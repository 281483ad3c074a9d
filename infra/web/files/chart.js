// The fleet's chart: bars of jobs that ended over areas of live jobs, with a crosshair; dragging zooms.

import uPlot from "uplot";
import { chosenZone } from "jobledger/page";
import { shownTime } from "jobledger/zones";

const ENDED = 0.34; // The share of the height for the bars.
const LIVE = 0.62; // The share of the height for the areas.
const BOTTOM_STATES = ["FAILED", "EXPIRED", "CANCELLED"];
const MIN_DRAG_PIXELS = 6;
const HALF_LABEL_PIXELS = 18;
const MIN_BAR_HEIGHT = 0.06; // As a share of the bars' height.

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function colourOf(state) {
  const probe = document.createElement("i");
  probe.className = `s-${state}`;
  document.body.append(probe);
  const found = getComputedStyle(probe).getPropertyValue("--of").trim();
  probe.remove();
  return found;
}

export class Chart {
  #plot = null;
  #data = null;

  // `on.zoom` is called with two times, and `on.point` with one, in milliseconds.
  constructor(place, on) {
    this.place = place;
    this.on = on;
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    addEventListener("zonechange", () => this.draw());
  }

  // Draws the numbers that the page holds. The crosshair stays under the mouse.
  draw() {
    const numbers = document.getElementById("numbers");
    const pointed = this.#plot?.cursor;
    this.#plot?.destroy();
    this.#plot = null;
    document.documentElement.classList.toggle("has-plot", !!numbers);
    if (!numbers) return;
    this.#data = JSON.parse(numbers.textContent);
    const { times, live, ended } = this.#data;
    const areas = stacked(Object.entries(live));
    const bars = visible(stacked(Object.entries(ended).sort(([a], [b]) => rank(a) - rank(b))));
    const series = [...bars.map(bar), ...areas.map(area)];
    const rows = [...bars, ...areas].map(([, counts, isArea]) => [...counts, isArea ? counts.at(-1) : null]);
    this.#plot = new uPlot(this.#options(series, bars, areas, pointed), [times, ...rows], this.place);
    this.#plot.over.addEventListener("click", (event) => this.#clicked(event));
  }

  #options(series, bars, areas, pointed) {
    const most = (stack) => Math.max(1, ...(stack[0]?.[1] ?? [1]));
    const [top, high] = [round(most(areas)), round(most(bars))];
    const { begin, end } = this.#data;
    return {
      ...this.#size(),
      padding: [0, 0, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
      tzDate: (at) => (chosenZone() === "local" ? new Date(at * 1000) : uPlot.tzDate(new Date(at * 1000), "Etc/UTC")),
      scales: {
        x: { range: () => [begin, end] },
        live: { range: () => [0, top / LIVE] },
        ended: { range: () => [(-high * (1 - ENDED)) / ENDED, high] },
      },
      axes: [
        { stroke: colour("--quiet"), font: "11px system-ui", size: 20, gap: 2, grid: { stroke: colour("--thin"), width: 1 }, ticks: { show: false }, values: ticks },
        { scale: "live", show: false },
      ],
      series: [{}, ...series],
      hooks: {
        ready: [(plot) => pointed?.left >= 0 && plot.setCursor({ left: pointed.left, top: pointed.top })],
        draw: [(plot) => scales(plot, top, high)],
        setCursor: [(plot) => this.#crosshair(plot)],
        setSelect: [(plot) => this.#selected(plot)],
      },
    };
  }

  #size() {
    return { width: this.place.clientWidth, height: this.place.clientHeight };
  }

  #selected(plot) {
    const { left, width } = plot.select;
    if (width < MIN_DRAG_PIXELS) return;
    const [begin, end] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.dragged = true;
    this.on.zoom(begin * 1000, end * 1000);
  }

  #clicked(event) {
    if (this.dragged) return (this.dragged = false);
    const box = this.#plot.over.getBoundingClientRect();
    this.on.point(this.#plot.posToVal(event.clientX - box.left, "x") * 1000);
  }

  #crosshair(plot) {
    const box = document.getElementById("crosshair");
    const { left } = plot.cursor;
    box.hidden = !(left >= 0);
    if (box.hidden) return;
    const { times, live, ended } = this.#data;
    const at = plot.posToVal(left, "x");
    const n = Math.min(times.findLastIndex((time) => time <= at), times.length - 2);
    if (n < 0) return (box.hidden = true);
    const lines = [
      ...Object.entries(ended).map(([state, counts]) => [state, counts[n], "ended"]),
      ...Object.entries(live).map(([state, counts]) => [state, counts[n], ""]),
    ].filter(([, count]) => count);
    const title = Object.assign(document.createElement("b"), { textContent: shownTime(times[n] * 1000, chosenZone(), Date.now()) });
    box.replaceChildren(title, ...lines.map(([state, count, word]) => {
      const line = Object.assign(document.createElement("span"), { className: `s-${state}`, textContent: `${count.toLocaleString("en")} ${state} ${word}` });
      return line;
    }));
    const right = left > plot.over.clientWidth / 2;
    box.style.left = right ? "auto" : `${left + 12}px`;
    box.style.right = right ? `${plot.over.clientWidth - left + 12}px` : "auto";
  }
}

const rank = (state) => (BOTTOM_STATES.includes(state) ? BOTTOM_STATES.indexOf(state) : BOTTOM_STATES.length);

// Each state's counts on top of those before it; the highest first, so that the lower ones are drawn over it.
function stacked(states) {
  let below = null;
  return states
    .map(([state, counts]) => {
      below = counts.map((count, n) => count + (below?.[n] ?? 0));
      return [state, below];
    })
    .reverse();
}

// Gives every bar a minimum height, so that a single failure is visible among hundreds.
function visible(bars) {
  const least = MIN_BAR_HEIGHT * Math.max(1, ...(bars[0]?.[1] ?? [1]));
  return bars.map(([state, counts]) => [state, counts.map((count) => (count ? Math.max(count, least) : 0))]);
}

function area(each) {
  each[2] = true;
  return { scale: "live", fill: colourOf(each[0]), width: 0, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) };
}

function bar(each) {
  return { scale: "ended", fill: colourOf(each[0]), width: 0, points: { show: false }, fillTo: () => 0, paths: uPlot.paths.bars({ size: [0.85, 40, 2], align: 1 }) };
}

// The smallest round number that is not below `most`.
export function round(most) {
  const size = 10 ** String(Math.floor(most)).length;
  return [10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100].map((n) => (n * size) / 100).find((n) => n >= Math.max(most, 1));
}

export function ticks(plot, splits, _, __, step) {
  // Before the first drawing, the elements of the plot have no size yet.
  const [left, width] = [plot.bbox.left, plot.bbox.width].map((pixels) => pixels / devicePixelRatio);
  return splits.map((at) => {
    // A label that would be cut off at an edge is left out.
    const place = plot.valToPos(at, "x");
    if (place > width - HALF_LABEL_PIXELS || place + left < HALF_LABEL_PIXELS) return "";
    const text = shownTime(at * 1000, chosenZone() === "local" ? "local" : "utc", 0);
    const [day, clock] = [text.slice(5, 10), text.slice(11, 16)];
    if (step >= 86400 || clock === "00:00") return day;
    return step < 60 ? text.slice(11, 19) : clock;
  });
}

function scales(plot, top, high) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.font = `${11 * devicePixelRatio}px system-ui`;
  ctx.textBaseline = "top";
  ctx.textAlign = "left";
  ctx.lineWidth = 3 * devicePixelRatio;
  ctx.strokeStyle = colour("--ground");
  ctx.fillStyle = colour("--quiet");
  for (const [text, share] of [[`${high.toLocaleString("en")} ended`, 0], [`${top.toLocaleString("en")} live`, 1 - LIVE]]) {
    const place = [bbox.left + 4 * devicePixelRatio, bbox.top + bbox.height * share + 2 * devicePixelRatio];
    ctx.strokeText(text, ...place);
    ctx.fillText(text, ...place);
  }
  ctx.fillStyle = colour("--thin");
  ctx.fillRect(bbox.left, bbox.top + bbox.height * ENDED, bbox.width, devicePixelRatio);
  ctx.restore();
}
