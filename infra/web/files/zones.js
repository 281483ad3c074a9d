// Times as text: in UTC, in the reader's zone, or relative to another.

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

// `2026-06-04 03:12:00`, or `2 h 5 min ago`; `at` and `now` are milliseconds.
export function shownTime(at, zone, now) {
  if (zone === "relative") return at <= now ? `${elapsed((now - at) / 1000)} ago` : `in ${elapsed((at - now) / 1000)}`;
  if (zone === "local") return written(new Date(at - new Date(at).getTimezoneOffset() * 60000));
  return `${written(new Date(at))} UTC`;
}

function written(date) {
  return date.toISOString().slice(0, 19).replace("T", " ");
}

// The two greatest units, in whole numbers.
export function elapsed(seconds) {
  const said = [];
  let left = Math.floor(seconds);
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count && said.length < 2) said.push(`${count} ${unit}`);
    else if (said.length) break;
  }
  return said.join(" ") || "0 s";
}
