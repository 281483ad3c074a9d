// Loads one question after the other, shows it, and sends the answer. Text from the ledger is put on the
// page as text, never as HTML.

import { Boxes } from "./boxes.js";

const part = Object.fromEntries([...document.querySelectorAll("[id]")].map((each) => [each.id, each]));
const { job, run } = document.body.dataset;
const path = `/ledger/v1/${job.split("/").map(encodeURIComponent).join("/")}/labeling/${run}`;
const STORED_AS = { name: "jobledger.annotator", token: "jobledger.token" };
const boxes = new Boxes(part.canvas, part.image, part.list, chosenLabel, showProblem);
const state = { task: null, question: null, annotator: null, after: 0, sending: false, sure: 0 };

class Refused extends Error {
  constructor(http, reason, message) {
    super(message);
    Object.assign(this, { http, reason });
  }
}

async function ask(url, body) {
  const token = sessionStorage.getItem(STORED_AS.token);
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  if (body) headers["content-type"] = "application/json";
  const options = body ? { method: "POST", body: JSON.stringify(body) } : {};
  let answer;
  try {
    answer = await fetch(url, { headers, ...options });
  } catch {
    throw new Refused(0, "", "The server cannot be reached. Try again in a moment.");
  }
  const json = await answer.json().catch(() => ({}));
  if (answer.ok) return json;
  const { message = `The server answered ${answer.status}.`, details = [] } = json.error ?? {};
  throw new Refused(answer.status, details[0]?.reason ?? "", message);
}

function showProblem(text) {
  part.problem.textContent = text;
  part.problem.hidden = !text;
  if (text) part.problem.scrollIntoView({ block: "nearest" });
}

// Asks for the annotator's name, or for a token.
function askForName(what, why = "") {
  showProblem(why);
  part.status.textContent = "";
  part.task.hidden = true;
  part.who.hidden = false;
  part.who.dataset.what = what;
  part["who-label"].textContent =
    what === "token" ? "Your token (from jobledger token create)" : "Your name, which is kept with your answers";
  const field = part["who-value"];
  field.type = what === "token" ? "password" : "text";
  field.value = "";
  field.focus();
}

part.who.addEventListener("submit", (event) => {
  event.preventDefault();
  const value = part["who-value"].value.trim();
  if (!value) return showProblem(part.who.dataset.what === "token" ? "Enter your token." : "Enter your name.");
  sessionStorage.setItem(STORED_AS[part.who.dataset.what], value);
  part.who.hidden = true;
  showProblem("");
  next();
});

// Shows the next question; after the last one, those that were put off.
async function next() {
  try {
    let page = await read();
    if (!page.questions.length && state.after) {
      state.after = 0;
      page = await read();
    }
    if (page.task.isOpen && !page.annotator) return askForName("name");
    Object.assign(state, { task: page.task, annotator: page.annotator });
    if (page.questions.length) show(page);
    else finish(page.task);
  } catch (refused) {
    failed(refused);
  }
}

function read() {
  const query = new URLSearchParams({ after: state.after, pageSize: 1 });
  const name = sessionStorage.getItem(STORED_AS.name);
  if (name) query.set("annotator", name);
  return ask(`${path}?${query}`);
}

function failed(refused) {
  if (!(refused instanceof Refused)) throw refused;
  if (refused.http === 401) {
    const given = sessionStorage.getItem(STORED_AS.token);
    sessionStorage.removeItem(STORED_AS.token);
    return askForName("token", given ? `Not let in: ${refused.message}.` : "");
  }
  if (refused.http === 403) {
    sessionStorage.removeItem(STORED_AS.token);
    return askForName("token", `Not allowed: ${refused.message}.`);
  }
  if (refused.reason === "INVALID_FIELD" && refused.message.startsWith("annotator:")) {
    sessionStorage.removeItem(STORED_AS.name);
    return askForName("name", refused.message);
  }
  showProblem(refused.message);
}

function finish(task) {
  state.question = null;
  part.task.hidden = true;
  part.status.textContent = task.isOpen
    ? "You have answered all your questions. Others still have questions to answer. Thank you."
    : "This task is closed; it takes no more answers. Thank you.";
}

function show({ task, questions: [question], answeredCount, remainingCount, annotator }) {
  state.question = question;
  const total = answeredCount + remainingCount;
  part.person.textContent = `, answered by ${annotator}`;
  part.status.textContent = "";
  part.instruction.textContent = task.instruction;
  part.instruction.hidden = !task.instruction;
  part.place.textContent = `${answeredCount + 1} of ${total}`;
  part.progress.max = total;
  part.progress.value = answeredCount;
  showExample(task, question.shown);
  showLabels(task);
  part.drawn.hidden = !task.boxes;
  part.canvas.toggleAttribute("hidden", !task.boxes); // SVG elements have no `hidden` property.
  boxes.clear();
  part.task.hidden = false;
  part.place.focus();
}

function showExample(task, { kind, value }) {
  const isImage = kind === "image";
  part.picture.hidden = !isImage;
  part.text.hidden = isImage;
  part.image.removeAttribute("src");
  if (isImage) part.image.src = value;
  else if (task.dataType === "IMAGE") part.text.textContent = `This cannot be shown as an image: ${value}`;
  else part.text.textContent = task.dataType === "TEXT" ? value : indented(value);
}

part.image.addEventListener("load", () => boxes.show());
part.image.addEventListener("error", () => {
  if (part.image.hasAttribute("src")) showProblem("This image cannot be shown.");
});

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function showLabels(task) {
  const several = task.multiLabel && !task.boxes;
  part.legend.textContent = task.boxes
    ? "The label of the next box"
    : several ? "All labels that apply" : "The label that applies";
  const before = task.boxes ? chosenLabel() : null; // The next image often has boxes of the same label.
  part.labels.replaceChildren(
    ...(task.labels.length ? task.labels.map((label, n) => choice(label, n, several)) : [freeText(several)]),
  );
  for (const input of part.labels.querySelectorAll("[name=label]")) input.checked = input.value === before;
}

function choice(label, number, several) {
  const line = document.createElement("label");
  const input = document.createElement("input");
  const name = document.createElement("span");
  Object.assign(input, { type: several ? "checkbox" : "radio", name: "label", value: label });
  name.textContent = label;
  line.append(input, name);
  if (number < 9) {
    const key = document.createElement("kbd");
    key.textContent = `${number + 1}`;
    line.append(key);
  }
  return line;
}

// A text field, for tasks without a set of labels.
function freeText(several) {
  const input = document.createElement("input");
  Object.assign(input, { type: "text", name: "free" });
  input.setAttribute("aria-label", several ? "Labels, with commas between them" : "Label");
  return input;
}

function chosen() {
  const free = part.labels.querySelector("[name=free]");
  if (!free) return [...part.labels.querySelectorAll(":checked")].map((each) => each.value);
  const texts = state.task.multiLabel && !state.task.boxes ? free.value.split(",") : [free.value];
  return texts.map((each) => each.trim()).filter(Boolean);
}

function chosenLabel() {
  return chosen()[0] ?? null;
}

function answer() {
  if (state.task.boxes) return boxes.answer();
  return state.task.multiLabel ? chosen() : chosenLabel();
}

const CLOSED_MESSAGES = {
  TASK_CLOSED: "This task was closed meanwhile; your last answer was not kept.",
  ANSWERED_TWICE: "You answered that question before, and differently; your first answer stays.",
  ENOUGH_ANSWERS: "Enough others answered that question meanwhile; your answer to it was not kept.",
};

async function send() {
  if (state.sending || !state.question) return;
  const given = answer();
  if (given === null) return showProblem("Choose a label first.");
  if (state.task.boxes && !part.image.naturalWidth) {
    return showProblem("The image cannot be loaded, so boxes cannot be drawn. Choose Later, and report it to the owner of this task.");
  }
  if (!given.length && state.sure !== state.question.sample) {
    state.sure = state.question.sample;
    return showProblem(`Nothing is ${state.task.boxes ? "drawn" : "chosen"}. If that is the answer, send it again.`);
  }
  showProblem("");
  state.sending = part.send.disabled = true;
  try {
    const answers = [{ sample: state.question.sample, answer: given }];
    await ask(`${path}:answer`, { annotator: state.annotator, answers });
    await next();
  } catch (refused) {
    if (CLOSED_MESSAGES[refused.reason]) {
      await next();
      showProblem(CLOSED_MESSAGES[refused.reason]);
    } else failed(refused);
  } finally {
    state.sending = part.send.disabled = false;
  }
}

part.question.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
part.add.addEventListener("click", () => boxes.add());
part.skip.addEventListener("click", () => {
  showProblem("");
  state.after = state.question.sample;
  next();
});

document.addEventListener("keydown", (event) => {
  const types = event.target.matches?.("input:not([type=radio], [type=checkbox]), button");
  if (part.task.hidden || types || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter") {
    event.preventDefault();
    if (!event.repeat) part.question.requestSubmit();
  } else if (/^[1-9]$/.test(event.key)) {
    const input = part.labels.querySelectorAll("[name=label]")[event.key - 1];
    if (!input) return;
    event.preventDefault();
    input.checked = input.type === "radio" || !input.checked;
    showProblem("");
  }
});

next();
