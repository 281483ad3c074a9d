// Loads parts of a page: a newer request cancels an older one, and an unreachable server is tried again.

const RETRY_MILLISECONDS = 2000;
const gone = document.getElementById("gone");
let shownFor = null; // The part whose problem is shown, "server" while the server cannot be reached, or null.

export class Refused extends Error {}

// A part of a page that is loaded repeatedly.
export class Part {
  #asked = null;

  // The JSON at that address; it never comes if a newer request is made meanwhile.
  async json(address) {
    const text = await this.read(address);
    return text === null ? new Promise(() => {}) : JSON.parse(text);
  }

  // The text at that address; null if a newer request was made meanwhile. Throws Refused with the server's message.
  async read(address) {
    this.#asked?.abort();
    const controller = (this.#asked = new AbortController());
    for (;;) {
      try {
        const text = await request(address, controller.signal);
        hideProblem(this);
        return text;
      } catch (error) {
        if (controller.signal.aborted) return null;
        if (error instanceof Refused) throw error;
        showUnreachable();
        await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS));
        if (controller.signal.aborted) return null;
      }
    }
  }
}

// The same, but a request that was refused gives null, too, and the page says why.
export async function readOrExplain(part, address) {
  try {
    return await part.read(address);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    showProblem(error.message, part);
    return null;
  }
}

export const parseHtml = (text) => text && new DOMParser().parseFromString(text, "text/html");

async function request(address, signal) {
  const answer = await send(address, signal);
  if (answer.status >= 502) throw new TypeError(answer.statusText);
  hideUnreachable();
  if (answer.status >= 400) throw new Refused(messageOf(answer.responseText, answer.status));
  return answer.responseText;
}

// Sends a request. XMLHttpRequest returns the text about 2 ms sooner than fetch, which reads it in several tasks.
function send(address, signal) {
  return new Promise((resolve, reject) => {
    const sent = new XMLHttpRequest();
    sent.open("GET", address);
    sent.setRequestHeader("x-part", "1");
    sent.onload = () => resolve(sent);
    sent.onerror = sent.onabort = () => reject(new TypeError(`${address} was not answered`));
    signal.addEventListener("abort", () => sent.abort());
    sent.send();
  });
}

function messageOf(text, status) {
  try {
    return JSON.parse(text).error.message;
  } catch {
    return text || `The server answered ${status}.`;
  }
}

// Shows a problem at the top of the page; "" hides it. The problem of a part is hidden when that part is read
// again; other requests that succeed meanwhile leave it.
export function showProblem(text, part = null) {
  gone.textContent = text;
  gone.hidden = !text;
  shownFor = part;
}

export const showUnreachable = () =>
  showProblem("The server cannot be reached; trying again. The page shows what was last received.", "server");

export const hideUnreachable = () => hideProblem("server");

function hideProblem(part) {
  if (shownFor === part) showProblem("");
}

// Calls `work` once there was no call for that long.
export function debounce(milliseconds, work) {
  let timer;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), milliseconds);
  };
}
