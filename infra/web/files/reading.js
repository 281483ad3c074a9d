// How pages ask for parts of themselves: the last question counts, and a server that is gone is asked again.

const RETRY_MILLISECONDS = 2000;
const gone = document.getElementById("gone");

export class Refused extends Error {}

// One place on a page that is asked for again and again.
export class Part {
  #asked = null;

  // The text at that address; null if something else was asked for meanwhile. Throws Refused, with a sentence.
  async read(address) {
    this.#asked?.abort();
    const asked = (this.#asked = new AbortController());
    for (;;) {
      try {
        return await answered(address, asked.signal);
      } catch (error) {
        if (asked.signal.aborted) return null;
        if (error instanceof Refused) throw error;
        tell("The server cannot be reached; trying again. The page shows what was last received.");
        await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS));
        if (asked.signal.aborted) return null;
      }
    }
  }
}

async function answered(address, signal) {
  // Not cached: the next request is another one.
  const answer = await fetch(address, { headers: { "x-part": "1" }, cache: "no-store", signal });
  const text = await answer.text();
  if (answer.status >= 502) throw new TypeError(answer.statusText);
  tell("");
  if (!answer.ok) throw new Refused(sentence(text, answer.status));
  return text;
}

function sentence(text, status) {
  try {
    return JSON.parse(text).error.message;
  } catch {
    return text || `The server answered ${status}.`;
  }
}

// What is wrong, where everybody sees it; "" is nothing.
export function tell(text) {
  gone.textContent = text;
  gone.hidden = !text;
}

// Waits until there was no call for that long.
export function settled(milliseconds, work) {
  let timer;
  return (...said) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...said), milliseconds);
  };
}
