// Announces events of a job while its page is open, and shows them on request.

import { html, render } from "lit-html";
import { tell } from "jobledger/reading";

const AGAIN = 2000;

// Follows the feed of the job from where the page is; one that breaks off is taken up again.
export function follow(place, data, encoded) {
  let [events, last, feed] = [0, data.total, null];

  function open() {
    feed = new EventSource(`/ledger/v1/events:stream?${new URLSearchParams({ after: last, name: data.name })}`);
    for (const type of data.eventTypes) feed.addEventListener(type, come);
    feed.addEventListener("open", () => tell(""));
    feed.addEventListener("error", broken);
  }

  function broken() {
    tell("The server cannot be reached; trying again. The page shows what was last received.");
    // A server that refuses, as one does that is stopping, is not asked again by itself.
    if (feed.readyState === EventSource.CLOSED) setTimeout(open, AGAIN);
  }

  function come(event) {
    const { type, version } = JSON.parse(event.data);
    [events, last] = [events + 1, version];
    place.hidden = false;
    const address = `/jobs/${encoded}?${new URLSearchParams({ clock: data.clock, seen: data.total })}`;
    render(html`<b>${events}</b> new ${events === 1 ? "event" : "events"}, the last is ${type}. <a href=${address}>Show</a>`, place);
  }

  open();
  addEventListener("pagehide", () => feed.close());
}
