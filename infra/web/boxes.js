// Boxes on an image, drawn by dragging or by keys. Coordinates are shares of the image's size, from 0 to 1.

const SVG = "http://www.w3.org/2000/svg";
const MIN_SIZE = 0.005; // A share of the image's width or height; smaller boxes are taken as clicks.
const STEP = 0.01;
const MOVES = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

const within = (part) => Math.min(Math.max(part, 0), 1);

export class Boxes {
  // `label()` is the label of the next box, null if none is chosen; `showProblem` shows an error.
  constructor(canvas, image, list, label, showProblem) {
    Object.assign(this, { canvas, image, list, label, showProblem });
    this.clear();
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    canvas.addEventListener("pointerup", (event) => this.end(event));
    canvas.addEventListener("pointercancel", () => this.cancel());
    canvas.addEventListener("keydown", (event) => this.press(event));
  }

  clear() {
    this.boxes = [];
    this.chosen = -1;
    this.from = null;
    this.show();
  }

  // The answer in the form in which it is sent.
  answer() {
    return this.boxes.map(({ label, x0, y0, x1, y1 }) => ({
      label,
      top_left: { x: x0, y: y0 },
      bottom_right: { x: x1, y: y1 },
    }));
  }

  // A box in the middle, for users who do not drag.
  add() {
    const label = this.label();
    if (label === null) return this.showProblem("Choose a label for the box first.");
    this.boxes.push({ label, x0: 0.25, y0: 0.25, x1: 0.75, y1: 0.75 });
    this.choose(this.boxes.length - 1);
    this.canvas.focus();
  }

  choose(place) {
    this.chosen = place;
    this.show();
  }

  remove(place) {
    this.boxes.splice(place, 1);
    this.choose(this.boxes.length - 1);
  }

  place(event) {
    const frame = this.canvas.getBoundingClientRect();
    return [
      within((event.clientX - frame.left) / frame.width),
      within((event.clientY - frame.top) / frame.height),
    ];
  }

  begin(event) {
    if (event.button !== 0 || this.from) return;
    event.preventDefault();
    this.canvas.focus();
    const label = this.label();
    if (label === null) return this.showProblem("Choose a label for the box first.");
    this.canvas.setPointerCapture(event.pointerId);
    this.from = { at: this.place(event), label };
  }

  drag(event) {
    if (this.from) this.show(this.drawn(event));
  }

  drawn(event) {
    const [[ax, ay], [bx, by]] = [this.from.at, this.place(event)];
    return {
      label: this.from.label,
      x0: Math.min(ax, bx), y0: Math.min(ay, by),
      x1: Math.max(ax, bx), y1: Math.max(ay, by),
    };
  }

  end(event) {
    if (!this.from) return;
    const box = this.drawn(event);
    this.from = null;
    if (box.x1 - box.x0 < MIN_SIZE || box.y1 - box.y0 < MIN_SIZE) return this.show();
    this.boxes.push(box);
    this.choose(this.boxes.length - 1);
  }

  cancel() {
    this.from = null;
    this.show();
  }

  press(event) {
    const box = this.boxes[this.chosen];
    if (!box) return;
    if (event.key === "Delete" || event.key === "Backspace") this.remove(this.chosen);
    else if (event.key in MOVES) this.move(box, ...MOVES[event.key], event.shiftKey);
    else return;
    event.preventDefault();
  }

  move(box, x, y, resizes) {
    if (resizes) {
      box.x1 = Math.max(within(box.x1 + x), box.x0 + STEP);
      box.y1 = Math.max(within(box.y1 + y), box.y0 + STEP);
    } else if (box.x0 + x >= 0 && box.x1 + x <= 1 && box.y0 + y >= 0 && box.y1 + y <= 1) {
      Object.assign(box, { x0: box.x0 + x, x1: box.x1 + x, y0: box.y0 + y, y1: box.y1 + y });
    }
    this.show();
  }

  // Draws all boxes, and the one that is being dragged.
  show(growing = null) {
    const width = this.image.naturalWidth || 1;
    const height = this.image.naturalHeight || 1;
    this.canvas.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const all = growing ? [...this.boxes, growing] : this.boxes;
    this.canvas.replaceChildren(...all.flatMap((box, n) => this.shape(box, n, width, height)));
    this.list.replaceChildren(...this.boxes.map((box, n) => this.line(box, n)));
  }

  shape(box, number, width, height) {
    const rect = document.createElementNS(SVG, "rect");
    const text = document.createElementNS(SVG, "text");
    const size = Math.max(width, height) / 30;
    const frame = {
      x: box.x0 * width, y: box.y0 * height,
      width: (box.x1 - box.x0) * width, height: (box.y1 - box.y0) * height,
    };
    for (const [name, value] of Object.entries(frame)) rect.setAttribute(name, value);
    if (number === this.chosen) rect.classList.add("chosen");
    text.setAttribute("x", frame.x + size / 4);
    text.setAttribute("y", frame.y + size);
    text.setAttribute("font-size", size);
    text.setAttribute("stroke-width", size / 5);
    text.textContent = `${number + 1}`;
    return [rect, text];
  }

  line(box, number) {
    const item = document.createElement("li");
    const name = document.createElement("span");
    name.textContent = box.label;
    item.append(
      name,
      this.button("Choose", `Choose box ${number + 1}`, () => {
        this.choose(number);
        this.canvas.focus();
      }),
      this.button("Delete", `Delete box ${number + 1}`, () => {
        this.remove(number);
        this.canvas.focus();
      }),
    );
    return item;
  }

  button(text, about, work) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.setAttribute("aria-label", about);
    button.addEventListener("click", work);
    return button;
  }
}
