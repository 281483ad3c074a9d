// What happens to a job while somebody looks: said, and shown when they want it.

import { html, render } from "lit-html";
import { tell } from "jobledger/reading";

export function follow(place, data, encoded) {
  const said = new URLSearchParams({ after: data.until, name: data.name });
  const feed = new EventSource(`/ledger/v1/events:stream?${said}`);
  let events = 0;
  const come = (event) => {
    events += 1;
    const { type } = JSON.parse(event.data);
    place.hidden = false;
    const address = `/jobs/${encoded}?${new URLSearchParams({ clock: data.clock, seen: data.total })}`;
    render(html`<b>${events}</b> new ${events === 1 ? "event" : "events"}, the last is ${type}. <a href=${address}>Show</a>`, place);
  };
  for (const type of EVENTS) feed.addEventListener(type, come);
  feed.addEventListener("open", () => tell(""));
  feed.addEventListener("error", () => {
    if (feed.readyState !== EventSource.CLOSED) tell("The server cannot be reached. It is tried again; what you see is what was there last.");
  });
  addEventListener("pagehide", () => feed.close());
}

const EVENTS = JSON.parse(document.getElementById("data").textContent).eventTypes;
