// Checks receipts of events in the browser: signature, inclusion proof, and every field that is shown.

import { html, nothing, render } from "lit-html";
import { Part } from "jobledger/requests";
import { Refused, verifyEvent, verifyReceipt } from "jobledger/verify";

const part = new Part();
const cache = new Map();
let shown = null;

// Shows the buttons that check the event; a file has its receipts in it.
export function proof(place, data, event, { online, listed }) {
  const isOther = shown !== event;
  shown = event;
  if (!event) return render(nothing, place);
  const address = `/ledger/v1/${data.name.split("/").map(encodeURIComponent).join("/")}:receipt?version=${event.version}`;
  const check = () => checkShown(place, data, event, online, address);
  render(
    html`<p class="buttons">
        <button type="button" @click=${check}>Verify this event</button>
        <button type="button" @click=${() => checkAll(place, data, listed(), online)}>Verify all events shown</button>
        ${online ? html`<a class="button" href=${address} download="v${event.version}.tlog-proof">Receipt</a>` : nothing}
      </p><p id="verdict" role="status"></p>`,
    place,
  );
  if (isOther) render(nothing, place.querySelector("#verdict"));
}

async function checkShown(place, data, event, online, address) {
  showVerdict(place, event, "Checking…");
  try {
    const receipt = online ? await part.read(address) : data.receipts?.[event.version];
    if (receipt === null || shown !== event) return;
    if (!receipt) throw new Refused(`This file holds no receipt of v${event.version}; save the page again once its event is signed.`);
    showVerdict(place, event, verdict(await verify(data, event, receipt)));
  } catch (error) {
    showVerdict(place, event, failure(error));
  }
}

async function verify(data, event, receipt) {
  const log = await keysOf(data);
  const proven = await verifyReceipt(receipt, log);
  // Values that are shown decrypted were recorded encrypted.
  const encrypted = event.stored !== undefined;
  await verifyEvent(proven, encrypted ? { ...event, data: JSON.parse(event.stored) } : event);
  return { ...proven, encrypted };
}

async function keysOf(data) {
  if (data.keys) return data.keys;
  if (!cache.has("keys")) cache.set("keys", JSON.parse(await new Part().read("/ledger/v1/log")).keys);
  return cache.get("keys");
}

function verdict({ position, size, origin, signedBy, encrypted }) {
  const note = encrypted ? " Its personal values were compared encrypted." : "";
  return html`<b class="right">✓ Verified in this browser.</b> Event ${position} of the ${size} that ${origin} signed for; signed by ${signedBy.join(", ")}.${note}
    <span class="quiet">The key is the one this server names: compare it with the one you were given.</span>`;
}

function failure(error) {
  return html`<b class="problem">✗ Not verified:</b> ${error.message}`;
}

// Shows a verdict while the page shows the event at which it was asked for.
function showVerdict(place, event, what) {
  if (shown === event) render(what, place.querySelector("#verdict"));
}

// Checks every event that the page lists, one after the other.
async function checkAll(place, data, events, online) {
  const begun = shown;
  let done = 0;
  for (const event of events) {
    if (shown !== begun) return;
    const name = data.name.split("/").map(encodeURIComponent).join("/");
    try {
      const address = `/ledger/v1/${name}:receipt?version=${event.version}`;
      const receipt = online ? await new Part().read(address) : data.receipts?.[event.version];
      if (!receipt) throw new Refused(`This file holds no receipt of v${event.version}.`);
      await verify(data, event, receipt);
      done += 1;
      showVerdict(place, begun, `Checked ${done} of ${events.length}…`);
    } catch (error) {
      return showVerdict(place, begun, html`v${event.version}: ${failure(error)}`);
    }
  }
  showVerdict(place, begun, html`<b class="right">✓ All ${done} events shown are verified in this browser.</b>`);
}
