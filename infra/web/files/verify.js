// Receipts (C2SP tlog-proof) checked with Web Crypto alone: the log's signature, the way from the event's
// leaf to the root that was signed, and each field of the event that is shown. What is strict in
// `jobledger verify-receipt` is strict here. Nothing here knows of the page.

export class Refused extends Error {}

const FIRST_LINE = "c2sp.org/tlog-proof@v1";
const [SIGNATURE, COSIGNATURE] = [1, 4];
const SALT = 32;
const HASH = 32;
const MAX_PROOF = 63;
const MAX_NOTE = 64 * 1024;
const MAX_SIGNATURES = 100;
const NUMBER = /^(0|[1-9][0-9]{0,18})$/;
const NAME = /^[^\s+\x00-\x1f\x7f\ud800-\udfff]+$/u;
const DASH = "\u2014 ";
const ABSENT = 0xffffffff;
const EPOCH = 946684800000000n; // Microseconds from 1970 to 2000.

const utf8 = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));

// What a receipt proves, by the log's keys (vkeys) that are known. Throws Refused.
export async function verifyReceipt(text, keys) {
  const receipt = parseReceipt(text);
  const known = await Promise.all(keys.map(parseKey));
  const { origin, size, root } = parseCheckpoint(receipt.note.text);
  const logs = known.filter(({ name, type }) => type === SIGNATURE && name === origin);
  if (!logs.length) throw new Refused(`The receipt is of ${origin}, and none of its keys is known.`);
  if (!(await signers(receipt.note, logs)).length) throw new Refused("No known key of the log signed the checkpoint.");
  const leaf = await sha256([0], receipt.encoded);
  if (!(await includes(leaf, receipt.index, size, receipt.proof, root))) {
    throw new Refused("The event is not in the log that was signed: the proof does not lead there.");
  }
  const signedBy = (await signers(receipt.note, known)).map(({ name }) => name);
  return { ...receipt, origin, size, root, signedBy, position: receipt.index + 1n };
}

// Whether the event that is shown is the one the receipt is of, to the last byte. Throws Refused.
// `event.stored` is the data's text as it is stored, where that is not what is shown of it.
export async function verifyEvent({ entry, salt, position }, event) {
  const same = {
    name: event.name === entry.name,
    version: event.version === entry.version,
    type: event.type === entry.type,
    schema: event.schema === undefined || event.schema === entry.schema,
    "occurred time": event.occurredTime === entry.occurredTime,
    "recorded time": event.recordedTime === entry.recordedTime,
    actor: (event.actor ?? null) === entry.actor,
    "request id": (event.requestId ?? null) === entry.requestId,
    position: BigInt(event.position) === position,
    data: equal(await sha256(salt, utf8.encode(event.stored ?? canonical(event.data))), entry.commitment),
  };
  const wrong = Object.keys(same).find((field) => !same[field]);
  if (wrong) throw new Refused(`${event.name} v${event.version} is not as recorded: its ${wrong}.`);
  return { data: event.stored === undefined ? "checked" : "sealed" };
}

// RFC 8785: members sorted by UTF-16 code units; numbers and strings are ECMAScript's.
export function canonical(value) {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const members = Object.keys(value).sort().map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${members.join(",")}}`;
}

// Whether the proof leads from the leaf's hash, at that index, to the root (RFC 9162, section 2.1.3.2).
export async function includes(leaf, index, size, proof, root) {
  if (index < 0n || index >= size || [leaf, ...proof].some((hash) => hash.length !== HASH)) return false;
  let [place, last, found] = [index, size - 1n, leaf];
  for (const sibling of proof) {
    if (last === 0n) return false;
    if (place & 1n || place === last) {
      found = await sha256([1], sibling, found);
      while (!(place & 1n) && place) [place, last] = [place >> 1n, last >> 1n];
    } else {
      found = await sha256([1], found, sibling);
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  return last === 0n && equal(found, root);
}

function parseReceipt(text) {
  const cut = text.indexOf("\n\n");
  const lines = (cut < 0 ? text : text.slice(0, cut)).split("\n");
  if (lines[0] !== FIRST_LINE) throw new Refused(`The receipt does not begin with the line ${FIRST_LINE}.`);
  if (cut < 0 || lines.length < 3) throw new Refused("The receipt breaks off.");
  const [, extra, index, ...proof] = lines;
  if (!extra.startsWith("extra ") || !index.startsWith("index ")) throw new Refused("The receipt has not the lines extra and index.");
  const said = base64(extra.slice(6), "the extra line");
  if (said.length <= SALT) throw new Refused("The receipt's extra line is no entry of a job ledger.");
  if (proof.length > MAX_PROOF) throw new Refused(`The receipt has more than ${MAX_PROOF} hashes.`);
  const encoded = said.slice(SALT);
  return {
    salt: said.slice(0, SALT),
    encoded,
    entry: parseEntry(encoded),
    index: number(index.slice(6), "index"),
    proof: proof.map((line) => hash(line)),
    note: parseNote(text.slice(cut + 2)),
  };
}

// An event as its leaf has it: a byte 1, nine fields behind their lengths, and the commitment.
function parseEntry(encoded) {
  const view = new DataView(encoded.buffer, encoded.byteOffset, encoded.length);
  const fields = [];
  let at = 1;
  try {
    if (encoded[0] !== 1) throw new RangeError();
    for (let n = 0; n < 9; n++) {
      const length = view.getUint32(at);
      at += 4;
      fields.push(length === ABSENT ? null : encoded.slice(at, at + length));
      if (length === ABSENT) continue;
      at += length;
      if (at > encoded.length) throw new RangeError();
    }
    if (encoded.length - at !== HASH) throw new RangeError();
    return entryOf(fields, encoded.slice(at));
  } catch {
    throw new Refused("The receipt's extra line is no entry of a job ledger.");
  }
}

function entryOf([name, version, type, schema, occurred, recorded, ...texts], commitment) {
  const [actor, requestId, traceParent] = texts.map((each) => each && strict.decode(each));
  return {
    name: strict.decode(name),
    version: signed(version, 4),
    type: strict.decode(type),
    schema: signed(schema, 2),
    occurredTime: occurred && time(occurred),
    recordedTime: time(recorded),
    actor,
    requestId,
    traceParent,
    commitment,
  };
}

function signed(bytes, size) {
  if (bytes.length !== size) throw new RangeError();
  const view = new DataView(bytes.buffer, bytes.byteOffset, size);
  return size === 4 ? view.getInt32(0) : view.getInt16(0);
}

// RFC 3339 with microseconds, as the ledger writes times.
function time(bytes) {
  if (bytes.length !== 8) throw new RangeError();
  const all = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigInt64(0) + EPOCH;
  const rest = ((all % 1000000n) + 1000000n) % 1000000n;
  const whole = new Date(Number((all - rest) / 1000n)).toISOString();
  if (whole.length !== 24) throw new RangeError();
  return `${whole.slice(0, 19)}.${String(rest).padStart(6, "0")}Z`;
}

function parseNote(note) {
  const cut = note.lastIndexOf("\n\n");
  if ([...note].length > MAX_NOTE) throw new Refused(`The note is longer than ${MAX_NOTE} characters.`);
  if (/[\x00-\x09\x0b-\x1f]/.test(note)) throw new Refused("The note holds control characters.");
  if (!note.isWellFormed()) throw new Refused("The note is not UTF-8.");
  if (cut < 0 || !note.slice(cut + 2).endsWith("\n")) throw new Refused("The note is no signed note, or is cut off.");
  const lines = note.slice(cut + 2, -1).split("\n");
  if (lines.length > MAX_SIGNATURES) throw new Refused(`The note has more than ${MAX_SIGNATURES} signatures.`);
  return { text: `${note.slice(0, cut)}\n`, signatures: lines.map(parseSignature) };
}

function parseSignature(line) {
  const said = line.startsWith(DASH) ? line.slice(DASH.length) : "";
  const cut = said.indexOf(" ");
  const name = said.slice(0, Math.max(0, cut));
  const made = decoded(said.slice(cut + 1));
  if (!NAME.test(name) || !made || made.length < 5) throw new Refused(`${JSON.stringify(line.slice(0, 60))} is no signature.`);
  return { name, id: hex(made.slice(0, 4)), made: made.slice(4) };
}

function parseCheckpoint(text) {
  const lines = text.slice(0, -1).split("\n");
  if (lines.length < 3 || lines.includes("")) throw new Refused("The checkpoint has not the three lines origin, size and root.");
  return { origin: lines[0], size: number(lines[1], "size"), root: hash(lines[2]) };
}

async function parseKey(text) {
  const [name, id, ...rest] = text.trim().split("+");
  const material = decoded(rest.join("+"));
  if (!material || material.length !== 33 || !NAME.test(name)) throw new Refused(`${text.slice(0, 80)} is no key (NAME+ID+BASE64).`);
  if (![SIGNATURE, COSIGNATURE].includes(material[0])) throw new Refused(`The key of ${name} is not of Ed25519, or of no type known here.`);
  const own = hex((await sha256(utf8.encode(`${name}\n`), material)).slice(0, 4));
  if (own !== id) throw new Refused(`The key of ${name} is damaged: its id is not the one of its key.`);
  const key = await crypto.subtle.importKey("raw", material.slice(1), "Ed25519", false, ["verify"]);
  return { name, id, type: material[0], key };
}

// Which of the keys signed the note; one that is named and did not is a reason to refuse it.
async function signers({ text, signatures }, keys) {
  const found = [];
  for (const { name, id, made } of signatures) {
    const known = keys.findLast((each) => each.name === name && each.id === id);
    if (!known) continue;
    if (!(await holds(known, made, text))) throw new Refused(`The signature of ${name} does not hold.`);
    found.push(known);
  }
  return found;
}

async function holds({ type, key }, made, text) {
  if (type === SIGNATURE) return crypto.subtle.verify("Ed25519", key, made, utf8.encode(text));
  if (made.length !== 72) return false;
  const at = new DataView(made.buffer, made.byteOffset, 8).getBigUint64(0);
  return crypto.subtle.verify("Ed25519", key, made.slice(8), utf8.encode(`cosignature/v1\ntime ${at}\n${text}`));
}

function number(text, what) {
  if (!NUMBER.test(text)) throw new Refused(`${JSON.stringify(text.slice(0, 40))} is no ${what}.`);
  return BigInt(text);
}

function hash(line) {
  const found = decoded(line);
  if (!found || found.length !== HASH) throw new Refused(`${JSON.stringify(line.slice(0, 60))} is no SHA-256 hash in base64.`);
  return found;
}

function base64(text, what) {
  const found = decoded(text);
  if (!found) throw new Refused(`The receipt is damaged: ${what} is not base64.`);
  return found;
}

// RFC 4648, section 4; null also for what another base64 would have been written as.
function decoded(text) {
  try {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return btoa(String.fromCharCode(...bytes)) === text ? bytes : null;
  } catch {
    return null;
  }
}

function joined(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}

function equal(one, other) {
  return one.length === other.length && one.every((byte, n) => byte === other[n]);
}

function hex(bytes) {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
