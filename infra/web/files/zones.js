// Times as text: in UTC, in the browser's zone, or relative to another time.

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

// `2026-06-04 03:12:00`, or `2 h 5 min ago`; `at` and `now` are milliseconds.
export function shownTime(at, zone, now) {
  if (zone === "relative") return at <= now ? `${elapsed((now - at) / 1000)} ago` : `in ${elapsed((at - now) / 1000)}`;
  if (zone === "local") return isoText(new Date(at - new Date(at).getTimezoneOffset() * 60000));
  return `${isoText(new Date(at))} UTC`;
}

function isoText(date) {
  return date.toISOString().slice(0, 19).replace("T", " ");
}

// A duration as text, in its two largest units.
export function elapsed(seconds) {
  const parts = [];
  let left = Math.floor(seconds);
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count && parts.length < 2) parts.push(`${count} ${unit}`);
    else if (parts.length) break;
  }
  return parts.join(" ") || "0 s";
}
