// Two texts, line by line: what both have, what only the first has, and what only the second has.

const MAX_LINE_LETTERS = 80;
const MAX_LINES = 400;

// Whether a value is better compared line by line.
export function isLong(value) {
  return typeof value === "string" ? value.length > MAX_LINE_LETTERS || value.includes("\n") : value !== null && typeof value === "object" && JSON.stringify(value).length > MAX_LINE_LETTERS;
}

const linesOf = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 1)).split("\n");

// Runs of lines, each with its sign: "-" only before, "+" only after, " " both.
export function lineDiff(before, after) {
  const [a, b] = [linesOf(before), linesOf(after)];
  // Very long texts are shown whole: comparing them takes time proportional to the product of their lines.
  if (a.length > MAX_LINES || b.length > MAX_LINES) return [{ sign: "-", texts: a }, { sign: "+", texts: b }];
  const common = commonLengths(a, b);
  const found = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) append(found, " ", a[i++], j++);
    else if (j >= b.length || (i < a.length && common[i + 1][j] >= common[i][j + 1])) append(found, "-", a[i++]);
    else append(found, "+", b[j++]);
  }
  return found;
}

// The table of a longest common subsequence: at [i][j], how many lines a from i on and b from j on share.
function commonLengths(a, b) {
  const found = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      found[i][j] = a[i] === b[j] ? found[i + 1][j + 1] + 1 : Math.max(found[i + 1][j], found[i][j + 1]);
    }
  }
  return found;
}

function append(found, sign, text) {
  if (found.at(-1)?.sign === sign) found.at(-1).texts.push(text);
  else found.push({ sign, texts: [text] });
}
