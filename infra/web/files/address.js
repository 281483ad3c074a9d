// The address of the fleet page: what it shows, and whether it is live or stays at one moment.

import { debounce } from "jobledger/requests";

export const part = (id) => document.getElementById(id);

export let live = part("live")?.classList.contains("is-live") ?? false;
let pageQuery = new URLSearchParams(location.search);
let search = location.search;

// The data of the list shown: its moment, clock and position.
export const listData = () => part("list").dataset;

// The query of the list: its moment, filter and window, from its link.
export const listQuery = () => new URL(part("link").href).search;

// The query of what the page shows, with changed parameters; that of a live page has no moment.
function queryWith(changed) {
  const query = new URLSearchParams(live ? pageQuery : listQuery());
  if (Object.keys(changed).length) for (const name of ["page", "skip"]) query.delete(name);
  for (const [name, value] of Object.entries(changed)) {
    if (value === "") query.delete(name);
    else query.set(name, value);
  }
  return query;
}

export const address = (path, changed = {}) => `${path}?${queryWith(changed)}`;

// Keeps the changed parameters for the requests of a live page.
export function keepQuery(changed) {
  if (live) pageQuery = queryWith(changed);
}

export const remember = debounce(200, () => writeAddress("replaceState"));

// Puts into the address bar what the page shows; `how` is pushState or replaceState.
export function writeAddress(how) {
  history[how](null, "", live ? `/?${pageQuery}` : part("link").href);
  search = location.search;
}

// Stops polling: the page stays at one moment until the user chooses another.
export function pause() {
  if (!live) return;
  live = false;
  const button = part("live");
  button.classList.remove("is-live");
  button.textContent = "Paused";
  button.href = "/";
}

// A change of the fragment alone does not load the page again.
addEventListener("popstate", () => location.search !== search && location.reload());
