// A job's history in windows of steps: the job before some events, and what each of them changed.

// For a step among the first of its window, the previous window is shown as well.
const FIRST_STEPS = 20;

// When an event took effect on a clock.
export function timeOf({ effectiveTime, occurredTime, recordedTime }, clock) {
  return clock === "occurred" ? (effectiveTime ?? occurredTime) : recordedTime;
}

export class History {
  // `data` is what the page was sent with; `read` loads more from the server, and is null in a file.
  constructor(data, read) {
    this.data = data;
    this.windows = new Map(Object.entries(data.windows).map(([number, window]) => [Number(number), window]));
    this.blames = new Map([[0, {}]]);
    this.read = read;
  }

  get total() {
    return this.data.total;
  }

  // The window that a step is in; steps are numbered from 1, and 0 is before the first.
  async window(step) {
    const number = Math.floor(Math.max(0, step - 1) / this.data.size);
    if (!this.windows.has(number)) this.windows.set(number, await this.#ask("window", number));
    return this.windows.get(number);
  }

  // The job after a step, the step's event, and what it changed.
  async at(step) {
    const window = await this.window(step);
    const steps = window.steps.slice(0, step - window.first + 1);
    const last = step ? steps.at(-1) : null;
    return { job: steps.reduce((job, { changes }) => changed(job, changes), window.job), step: last };
  }

  // For each field's path, the step that set the value it has after a step.
  async blame(step) {
    const window = await this.window(step);
    const number = Math.floor((window.first - 1) / this.data.size);
    const since = new Map(Object.entries(await this.#before(number)));
    for (let n = window.first; n <= step; n++) blameOn(since, window.steps[n - window.first].changes, n);
    return since;
  }

  async #before(number) {
    if (!this.blames.has(number)) this.blames.set(number, await this.#find(number));
    return this.blames.get(number);
  }

  async #find(number) {
    if (this.read && !this.windows.has(number - 1)) return (await this.#ask("blame", number)).since;
    const since = new Map(Object.entries(await this.#before(number - 1)));
    const { first, steps } = await this.window((number - 1) * this.data.size + 1);
    steps.forEach(({ changes }, n) => blameOn(since, changes, first + n));
    return Object.fromEntries(since);
  }

  // The number of steps up to a time, in milliseconds, on the page's clock.
  async stepBy(time) {
    if (this.read) return (await this.read("step", { at: new Date(time).toISOString() })).step;
    const windows = [...this.windows.values()].flatMap(({ steps }) => steps);
    return windows.filter(({ event }) => Date.parse(timeOf(event, this.data.clock)) <= time).length;
  }

  // The events of a step's window, and of the previous one if the step is among the first of its window.
  async around(step) {
    const window = await this.window(step);
    const isNear = window.first > 1 && step - window.first < FIRST_STEPS;
    return [...(isNear ? listed(await this.window(window.first - 1)) : []), ...listed(window)];
  }

  // The first events after a step that match: of a type, by an actor, or failures.
  async find(filter, after) {
    if (this.read) return this.read("steps", { ...filter, after });
    const found = [];
    for (let step = after + 1; step <= this.total; step++) {
      const { first, steps } = await this.window(step);
      const { event } = steps[step - first];
      if (matches(event, filter)) found.push({ step, ...event });
    }
    const shown = found.slice(0, this.data.size);
    return { events: shown, more: found.length > shown.length, total: found.length };
  }

  async #ask(part, window) {
    if (!this.read) throw new Error(`This file has no ${part} ${window}.`);
    return this.read(part, { window });
  }
}

function listed({ first, steps }) {
  return steps.map(({ event }, n) => ({ step: first + n, ...event }));
}

function matches(event, { type, actor, failed }) {
  return (!type || event.type === type) && (actor === undefined || (event.actor ?? "") === actor) && (!failed || event.failed);
}

// The job with these changes; unchanged values are shared with the previous one.
function changed(job, changes) {
  return changes.reduce((made, change) => withChange(made, change.keys, change), job);
}

function withChange(value, [key, ...keys], change) {
  const made = { ...value };
  if (keys.length) made[key] = withChange(made[key] ?? {}, keys, change);
  else if ("after" in change) made[key] = change.after;
  else delete made[key];
  return made;
}

const BY_KEY = ["labels", "spec"];

function blameOn(since, changes, step) {
  for (const { keys } of changes) {
    since.set(path(BY_KEY.includes(keys[0]) ? keys.slice(0, 2) : keys.slice(0, 1)), step);
    // An object that is replaced changes each of its keys.
    if (BY_KEY.includes(keys[0]) && keys.length === 1) since.set(`${keys[0]}.*`, step);
  }
}

const PLAIN = /^[\p{L}\p{N}_*@/+][\p{L}\p{N}_*@/+-]*$/u;

// A path as filters write it.
export function path(keys) {
  return keys.map((key) => (PLAIN.test(key) ? key : JSON.stringify(key))).join(".");
}

// The differences of two jobs: paths, and the values before and after.
export function differences(before, after, keys = []) {
  const found = [];
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [was, is] = [before[key], after[key]];
    if (isObject(was) && isObject(is)) found.push(...differences(was, is, [...keys, key]));
    else if (JSON.stringify(was) !== JSON.stringify(is)) found.push({ keys: [...keys, key], before: was, after: is });
  }
  return found;
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
