// Receipts of events, checked here: the signature, the way to the root, and every field of what is shown.

import { html, nothing, render } from "lit-html";
import { Part } from "jobledger/reading";
import { Refused, verifyEvent, verifyReceipt } from "jobledger/verify";

const part = new Part();
const kept = new Map();
let shown = null;

// Offers to check the event; in a file, with the receipts that are in it.
export function proof(place, data, event, { online, listed }) {
  shown = event;
  if (!event) return render(nothing, place);
  const address = `/ledger/v1/${data.name.split("/").map(encodeURIComponent).join("/")}:receipt?version=${event.version}`;
  const check = () => checked(place, data, event, online, address);
  render(
    html`<p class="buttons">
        <button type="button" @click=${check}>Verify this event</button>
        <button type="button" @click=${() => all(place, data, listed(), online)}>Verify all events shown</button>
        ${online ? html`<a class="button" href=${address} download="v${event.version}.tlog-proof">Receipt</a>` : nothing}
      </p><p id="verdict" role="status"></p>`,
    place,
  );
}

async function checked(place, data, event, online, address) {
  say(place, "Checking…");
  try {
    const receipt = online ? await part.read(address) : data.receipts?.[event.version];
    if (receipt === null || shown !== event) return;
    if (!receipt) throw new Refused("This file holds no receipt of it.");
    say(place, right(await verified(data, event, receipt)));
  } catch (error) {
    say(place, wrong(error));
  }
}

async function verified(data, event, receipt) {
  const log = await keysOf(data);
  const said = await verifyReceipt(receipt, log);
  // What is shown decrypted was recorded encrypted.
  const sealed = event.stored !== undefined;
  await verifyEvent(said, sealed ? { ...event, data: JSON.parse(event.stored) } : event);
  return { ...said, sealed };
}

async function keysOf(data) {
  if (data.keys) return data.keys;
  if (!kept.has("keys")) kept.set("keys", JSON.parse(await new Part().read("/ledger/v1/log")).keys);
  return kept.get("keys");
}

function right({ position, size, origin, signedBy, sealed: isSealed }) {
  const sealed = isSealed ? " Its personal values were compared encrypted." : "";
  return html`<b class="right">✓ Verified in this browser.</b> Event ${position} of the ${size} that ${origin} signed for; signed by ${signedBy.join(", ")}.${sealed}
    <span class="quiet">The key is the one this server names: hold it against the one you were given.</span>`;
}

function wrong(error) {
  return html`<b class="problem">✗ Not verified:</b> ${error.message}`;
}

function say(place, what) {
  render(what, place.querySelector("#verdict"));
}

// Every event that the page lists, one after the other.
async function all(place, data, events, online) {
  let done = 0;
  for (const event of events) {
    const name = data.name.split("/").map(encodeURIComponent).join("/");
    try {
      const address = `/ledger/v1/${name}:receipt?version=${event.version}`;
      const receipt = online ? await new Part().read(address) : data.receipts?.[event.version];
      if (!receipt) throw new Refused(`This file holds no receipt of v${event.version}.`);
      await verified(data, event, receipt);
      done += 1;
      say(place, `Checked ${done} of ${events.length}…`);
    } catch (error) {
      return say(place, html`v${event.version}: ${wrong(error)}`);
    }
  }
  say(place, html`<b class="right">✓ All ${done} events shown are verified in this browser.</b>`);
}
