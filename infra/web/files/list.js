// The fleet's list: a newer one takes its place, row by row.

import { morph, toContent } from "jobledger/morph";
import { writeTimes } from "jobledger/page";
import { debounce } from "jobledger/requests";

const REST_MILLISECONDS = 50;
const list = () => document.getElementById("list");
let focusedJob = null; // The job whose row has the focus.
document.addEventListener("focusin", (event) => (focusedJob = event.target.closest("[data-job]")?.dataset.job ?? null));

// Shows a list: at once what is in the window, and the rows below it as soon as the cursor rests.
export function showList(fresh) {
  const below = new Set([...list().querySelectorAll("[data-job]")].filter((row) => row.getBoundingClientRect().top > innerHeight));
  morph(list(), fresh, (row) => below.has(row));
  list().ariaBusy = "true";
  showAll(fresh);
}

const showAll = debounce(REST_MILLISECONDS, (fresh) => {
  morph(list(), fresh);
  writeTimes(list());
  focusJob();
});

// The focus stays at its job, whose row may be another one now.
function focusJob() {
  const focused = document.activeElement.closest("[data-job]");
  if (!focused || focused.dataset.job === focusedJob) return;
  const row = [...list().querySelectorAll("[data-job]")].find((each) => each.dataset.job === focusedJob);
  if (row) row.querySelector("a").focus({ preventScroll: true });
  else toContent();
}
