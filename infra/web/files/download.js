// Downloads a chart: as SVG in the page's current colours, or as PNG of twice the size.

const COPIED_STYLES = ["fill", "stroke", "stroke-width", "opacity", "font-size", "font-family"];

for (const button of document.querySelectorAll("[data-draw]")) {
  button.addEventListener("click", () => download(button.dataset.draw, button.dataset.as));
}

export async function download(id, kind) {
  const drawing = document.getElementById(id);
  const svg = new Blob([standaloneSvg(drawing)], { type: "image/svg+xml" });
  save(kind === "svg" ? svg : await pngOf(svg, drawing.getBoundingClientRect()), `${id}.${kind}`);
}

// The drawing with its styles written into it, so that viewers need no style sheet; the time axis is below it.
function standaloneSvg(drawing) {
  const { width, height } = drawing.getBoundingClientRect();
  const whole = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const across = drawing.parentElement.querySelector(".across");
  whole.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  whole.setAttribute("width", width);
  whole.setAttribute("height", height + 24);
  whole.append(background(whole.namespaceURI));
  whole.append(withStyles(drawing, { width, height }));
  if (across) whole.append(withStyles(across, { y: height, width, height: 24 }));
  return new XMLSerializer().serializeToString(whole);
}

function background(namespace) {
  const rect = document.createElementNS(namespace, "rect");
  rect.setAttribute("width", "100%");
  rect.setAttribute("height", "100%");
  rect.setAttribute("fill", getComputedStyle(document.body).backgroundColor);
  return rect;
}

function withStyles(original, attributes) {
  const copy = original.cloneNode(true);
  const parts = [original, ...original.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((part, n) => {
    const style = getComputedStyle(parts[n]);
    for (const name of COPIED_STYLES) part.setAttribute(name, style.getPropertyValue(name));
  });
  for (const [name, value] of Object.entries(attributes)) copy.setAttribute(name, value);
  return copy;
}

async function pngOf(svg, { width, height }) {
  const image = new Image();
  image.src = URL.createObjectURL(svg);
  await image.decode();
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: 2 * width, height: 2 * (height + 24) });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
