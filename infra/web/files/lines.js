// A report's chart: lines with a crosshair. A click leads to the jobs of a bucket, and dragging zooms.

import uPlot from "uplot";
import { colour, round, ticks } from "jobledger/chart";
import { chosenZone } from "jobledger/page";
import { shownTime } from "jobledger/zones";

const DASHES = [undefined, [7, 4], [2, 3], [9, 3, 2, 3]]; // The same as in page.css, which styles the server's drawing.
const MIN_DRAG_PIXELS = 6;

export class Lines {
  #plot = null;
  #dragged = false;

  // Draws the numbers that the page holds over the server's drawing of them.
  constructor(place) {
    this.place = place;
    this.data = JSON.parse(document.getElementById("numbers").textContent);
    this.keys = [...document.querySelectorAll(".legend.lines .key")];
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    addEventListener("zonechange", () => this.draw());
  }

  draw() {
    this.#plot?.destroy();
    document.documentElement.classList.add("has-plot");
    const { times, lines, log } = this.data;
    const [low, high] = log ? decades(Object.values(lines).flat()) : [0, round(Math.max(...Object.values(lines).flat()))];
    // A logarithmic scale has no zero: it is drawn at the bottom.
    const rows = Object.values(lines).map((line) => line.map((value) => (value === null ? null : Math.max(value, low))));
    this.#plot = new uPlot(this.#options(low, high), [times, ...rows], this.place);
    this.#plot.over.addEventListener("click", (event) => this.#clicked(event));
  }

  #options(low, high) {
    const { begin, end, log, lines } = this.data;
    const axis = { stroke: colour("--quiet"), font: "11px system-ui", grid: { stroke: colour("--thin"), width: 1 }, ticks: { show: false } };
    return {
      ...this.#size(),
      padding: [8, 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 7 }, drag: { x: true, y: false, setScale: false } },
      tzDate: (at) => (chosenZone() === "local" ? new Date(at * 1000) : uPlot.tzDate(new Date(at * 1000), "Etc/UTC")),
      scales: { x: { range: () => [begin, end] }, y: { range: () => [low, high], distr: log ? 3 : 1 } },
      axes: [
        { ...axis, size: 24, gap: 4, values: ticks },
        { ...axis, size: 52, gap: 4, values: (_, splits) => splits.map((value) => value?.toLocaleString("en") ?? "") },
      ],
      series: [{}, ...Object.keys(lines).map((_, n) => this.#series(n))],
      hooks: { setCursor: [(plot) => this.#crosshair(plot)], setSelect: [(plot) => this.#selected(plot)] },
    };
  }

  #series(n) {
    return { stroke: this.#colour(n), width: 2, points: { show: this.data.times.length < 3 }, dash: DASHES[n % DASHES.length], spanGaps: true };
  }

  #colour(n) {
    return getComputedStyle(this.keys[n]).getPropertyValue("--of").trim() || colour("--accent");
  }

  #size() {
    return { width: this.place.clientWidth, height: this.place.clientHeight };
  }

  #selected(plot) {
    const { left, width } = plot.select;
    if (width < MIN_DRAG_PIXELS) return;
    this.#dragged = true;
    const address = new URL(document.getElementById("link").href);
    for (const [name, place] of [["from", left], ["to", left + width]]) {
      address.searchParams.set(name, new Date(plot.posToVal(place, "x") * 1000).toISOString());
    }
    location.assign(address);
  }

  #clicked(event) {
    if (this.#dragged) return (this.#dragged = false);
    const box = this.#plot.over.getBoundingClientRect();
    const place = (100 * (event.clientX - box.left)) / box.width;
    const hit = this.data.hits.find(([left, width]) => left <= place && place < left + width);
    if (hit) location.assign(hit[2]);
  }

  #crosshair(plot) {
    const box = document.getElementById("crosshair");
    const { left, idx } = plot.cursor;
    box.hidden = !(left >= 0) || idx == null;
    if (box.hidden) return;
    const rows = Object.entries(this.data.lines).map(([name, line], n) => this.#line(name, line[idx], n));
    const title = Object.assign(document.createElement("b"), { textContent: shownTime(this.data.times[idx] * 1000, chosenZone(), Date.now()) });
    box.replaceChildren(title, ...rows.filter(Boolean));
    const start = plot.over.offsetLeft + left;
    const right = left > plot.over.clientWidth / 2;
    box.style.left = right ? "auto" : `${start + 12}px`;
    box.style.right = right ? `${this.place.clientWidth - start + 12}px` : "auto";
  }

  #line(name, value, n) {
    if (value === null) return null;
    const line = Object.assign(document.createElement("span"), { textContent: `${value.toLocaleString("en")} ${name}` });
    line.style.setProperty("--of", this.#colour(n));
    return line;
  }
}

// The powers of ten that all positive values are between.
function decades(values) {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive, 1e9)));
  return [10 ** low, 10 ** Math.max(Math.ceil(Math.log10(Math.max(...positive, 1))), low + 1)];
}
