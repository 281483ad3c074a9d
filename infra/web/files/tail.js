// Announces events of a job while its page is open, and shows them on request.

import { html, render } from "lit-html";
import { hideUnreachable, showUnreachable } from "jobledger/requests";

const RETRY_MILLISECONDS = 2000;

// Follows the feed of the job from the page's last event; a broken connection is opened again.
export function follow(place, data, encoded) {
  let [events, last, feed] = [0, data.total, null];

  function open() {
    feed = new EventSource(`/ledger/v1/events:stream?${new URLSearchParams({ after: last, name: data.name })}`);
    for (const type of data.eventTypes) feed.addEventListener(type, announce);
    feed.addEventListener("open", hideUnreachable);
    feed.addEventListener("error", reconnect);
  }

  function reconnect() {
    showUnreachable();
    // EventSource does not reconnect by itself after a refusal, as by a server that is stopping.
    if (feed.readyState === EventSource.CLOSED) setTimeout(open, RETRY_MILLISECONDS);
  }

  function announce(event) {
    const { type, version } = JSON.parse(event.data);
    [events, last] = [events + 1, version];
    place.hidden = false;
    const address = `/jobs/${encoded}?${new URLSearchParams({ clock: data.clock, seen: data.total })}`;
    render(html`<b>${events}</b> new ${events === 1 ? "event" : "events"}, the last is ${type}. <a href=${address}>Show</a>`, place);
  }

  open();
  addEventListener("pagehide", () => feed.close());
}
