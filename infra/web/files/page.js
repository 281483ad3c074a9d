// What every page has: how times are shown, the list of keys, buttons that copy.

import { shownTime } from "jobledger/zones";

const zone = document.getElementById("zone");
const dialog = document.getElementById("keys");
const help = document.getElementById("help");

// Writes the times below `root` in the chosen zone; relative times are relative to the page's moment.
export function writeTimes(root = document) {
  const now = Date.parse(document.getElementById("list")?.dataset.time ?? "") || Date.now();
  for (const time of root.querySelectorAll("time[datetime]:not(.ago)")) {
    time.dataset.utc ??= time.textContent;
    time.textContent = chosenZone() === "utc" ? time.dataset.utc : shownTime(Date.parse(time.dateTime), chosenZone(), now);
  }
}

export function chosenZone() {
  return localStorage.getItem("zone") ?? "utc";
}

if (zone) {
  zone.hidden = false;
  zone.value = chosenZone();
  zone.addEventListener("change", () => {
    localStorage.setItem("zone", zone.value);
    writeTimes();
    dispatchEvent(new Event("zonechange"));
  });
  writeTimes();
}

if (help) {
  help.hidden = false;
  help.addEventListener("click", () => dialog.showModal());
}

const isTyping = (target) => target.closest("input:not([type=range], [type=radio], [type=checkbox]), textarea, select");

document.addEventListener("keydown", (event) => {
  // A link with the role of a button is pressed by Space, as buttons are.
  if (event.key === " " && event.target.matches("a[role=button]")) {
    event.preventDefault();
    return event.target.click();
  }
  if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "?" && dialog && !dialog.open) dialog.showModal();
  if (event.key === "/" && !dialog?.open) {
    event.preventDefault();
    document.querySelector(".search input[name=filter]")?.focus();
  }
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = button.dataset.copy === "link" ? new URL(document.getElementById("link").href).href : button.dataset.copy;
  await copy(text);
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = before), 1500);
});

// After a link to another form of the same page was followed by key, the same link gets the focus again.
const FORMS = ".segments, .tabs, .legend, .chips, .counts, .facts, .pages, thead, .bar-end";
const wordsOf = (link) => link.textContent.replace(/[^\p{L}\p{N} ]/gu, "").trim();

document.addEventListener("click", (event) => {
  const link = event.target.closest(`:is(${FORMS}) a`);
  // `detail` counts presses of the mouse; it is 0 for a click by key.
  if (!link || event.detail) return;
  const place = FORMS.split(", ").find((each) => link.closest(each));
  sessionStorage.setItem("focus", JSON.stringify([place, link.id, wordsOf(link)]));
});

function restoreFocus() {
  const [place, id, words] = JSON.parse(sessionStorage.getItem("focus") ?? "[]");
  sessionStorage.removeItem("focus");
  if (!place) return;
  const links = [...document.querySelectorAll(`${place} a`)];
  const link = links.find((each) => (id ? each.id === id : wordsOf(each) === words)) ?? document.getElementById("main");
  link.focus({ preventScroll: true });
}

if (location.protocol !== "file:") restoreFocus();

// Browsers offer the clipboard on https and localhost only; elsewhere their older command copies.
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = Object.assign(document.createElement("textarea"), { value: text });
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
