// The band of a job's states: its cursor, and the moment under the pointer.

import { timeOf } from "jobledger/history";

export class Band {
  // `point` is called with the time, in milliseconds, that is clicked on or dragged to.
  constructor({ clock, scale }, point) {
    this.clock = clock;
    // The horizontal positions (per cent) of some times; those in between are interpolated.
    this.scale = scale.map(([time, place]) => [Date.parse(time), place]);
    this.line = document.getElementById("cursor-line");
    const drawing = document.getElementById("band");
    const report = (event) => {
      const box = drawing.getBoundingClientRect();
      point(this.time((100 * (event.clientX - box.left)) / box.width));
    };
    drawing.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      drawing.setPointerCapture(event.pointerId);
      report(event);
    });
    // A busy browser may leave out the last moves, so where the pointer is let go counts, too.
    for (const type of ["pointermove", "pointerup"]) {
      drawing.addEventListener(type, (event) => drawing.hasPointerCapture(event.pointerId) && report(event));
    }
  }

  // Puts the cursor at an event; null is before the first one.
  draw(event) {
    const at = event ? interpolate(this.scale, Date.parse(timeOf(event, this.clock))) : 0;
    for (const side of ["x1", "x2"]) this.line.setAttribute(side, `${at}%`);
  }

  time(place) {
    return interpolate(this.scale.map(([time, at]) => [at, time]), place);
  }
}

// Interpolates a value in pairs that both increase.
function interpolate(pairs, value) {
  const n = pairs.findLastIndex(([each]) => each <= value);
  if (n < 0) return pairs[0]?.[1] ?? 0;
  if (n === pairs.length - 1) return pairs[n][1];
  const [[begin, low], [end, high]] = [pairs[n], pairs[n + 1]];
  return low + ((value - begin) / (end - begin)) * (high - low);
}
