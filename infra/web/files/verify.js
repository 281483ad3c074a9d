// Verifies receipts of events with the log's public keys and the event alone, without a server.
//
// It accepts exactly what infra/proof/receipts.py accepts. The formats are C2SP's
// tlog-proof, signed-note, tlog-checkpoint and tlog-cosignature; domain/leaves.py describes the entry.

const FIRST_LINE = "c2sp.org/tlog-proof@v1";
const HASH_SIZE = 32;
const SALT_SIZE = 32;
const MAX_PROOF = 63;
const MAX_NOTE = 64 * 1024;
const MAX_SIGNATURES = 100;
const SIGNATURE = 1; // Types of keys: of a log.
const COSIGNATURE = 4; // Of a witness.
const ML_DSA_44 = 6; // Of a log or a witness.
const KEY_SIZES = { [SIGNATURE]: 32, [COSIGNATURE]: 32, [ML_DSA_44]: 1312 };
const ABSENT = 0xffffffff;
const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
const EPOCH = 946_684_800_000_000n; // 2000-01-01, in microseconds since 1970.
const EARLIEST = -62_135_596_800_000_000n; // The years 1 to 9999.
const LATEST = 253_402_300_799_999_999n;
const KEY_ID = /^[A-Za-z0-9_-]{1,64}$/; // Of a subject's key (infra/privacy/envelope.py).
const NUMBER = /^(?:0|[1-9][0-9]{0,18})$/;
// White space as Python has it: \s lacks some of it, and has U+FEFF.
const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const AROUND = new RegExp(`^[${SPACE}]+|[${SPACE}]+$`, "g");
const NAME = new RegExp(`^[^${SPACE}+\\x00-\\x1f\\x7f\\ud800-\\udfff]+$`, "u");

// Something that was checked does not hold; the message says what, in one sentence.
export class Refused extends Error {}

function must(holds, sentence) {
  if (!holds) throw new Refused(sentence);
}

// Checks a receipt with these keys (vkeys), and returns what it proves. Throws Refused unless the log signed its entry.
export async function verifyReceipt(text, keys) {
  const { salt, encoded, entry, index, proof, note } = parseReceipt(text);
  const known = await Promise.all(keys.map(parseKey));
  const { origin, size, root } = await openCheckpoint(note, known);
  const leaf = await sha256(LEAF, encoded);
  must(
    await includes(leaf, index, size, proof, root),
    "The event is not in the log that was signed: the proof does not lead there.",
  );
  return {
    origin,
    size: Number(size),
    root: toBase64(root),
    index: Number(index),
    position: Number(index + 1n),
    entry,
    salt: toBase64(salt),
    signedBy: [...new Set(await signers(note, known))],
  };
}

// Throws Refused with the name of the first field that is not as recorded. Returns whether the data was
// "checked"; it is "sealed" if it was erased in part or belongs to no job, as its stored form is not shown then.
export async function verifyEvent(receipt, event) {
  const { commitment, schema, ...recorded } = receipt.entry;
  for (const [field, value] of Object.entries({ ...recorded, schema, position: receipt.position })) {
    // The server does not show these two everywhere.
    if (["schema", "traceParent"].includes(field) && event[field] === undefined) continue;
    must(event[field] === value, changed(receipt, field));
  }
  if (schema === 0) {
    must(event.data === null, changed(receipt, "data"));
    return { data: "sealed" };
  }
  return { data: await checkData(receipt, event.data) };
}

// Decrypted personal values cannot be distinguished from changed data, so they are refused. An erased value is marked
// as such; "sealed" does not exclude that somebody set such a mark to hide a change.
async function checkData(receipt, data) {
  const stored = new TextEncoder().encode(canonical(data ?? null));
  const commitment = toBase64(await sha256(fromBase64(receipt.salt), stored));
  if (commitment === receipt.entry.commitment) return "checked";
  must(
    holdsErased(data),
    changed(receipt, "data; or it holds personal values, which are recorded encrypted only"),
  );
  return "sealed";
}

function holdsErased(value) {
  if (value === null || typeof value !== "object") return false;
  const erased = Object.keys(value).join() === "@erased" ? value["@erased"] : null;
  if (typeof erased?.key === "string" && KEY_ID.test(erased.key) && Object.keys(erased).length === 1) return true;
  return Object.values(value).some(holdsErased);
}

function changed({ entry: { name, version } }, field) {
  return `${name} v${version} is not as recorded: its ${field}.`;
}

// The canonical text of JSON (RFC 8785), whose numbers and strings are JavaScript's. Throws Refused for other values.
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value !== null && typeof value === "object") {
    const names = Object.keys(value).sort();
    return `{${names.map((name) => `${canonical(name)}:${canonical(value[name])}`).join(",")}}`;
  }
  const is = value === null || typeof value === "boolean" || Number.isFinite(value);
  must(is || (typeof value === "string" && value.isWellFormed()), `A value of the type ${typeof value} is not JSON; it has no canonical text.`);
  return JSON.stringify(value);
}

// Whether the proof leads from the hash `leaf` at that index to that root (RFC 9162, section 2.1.3.2).
// Index and size are BigInt, numbers or decimal text.
export async function includes(leaf, index, size, proof, root) {
  let [place, last, found] = [BigInt(index), BigInt(size) - 1n, leaf];
  if (place < 0n || place > last || [leaf, ...proof].some((each) => each.length !== HASH_SIZE)) return false;
  for (const sibling of proof) {
    if (last === 0n) return false;
    if (place & 1n || place === last) {
      found = await sha256(NODE, sibling, found);
      while (place && !(place & 1n)) [place, last] = [place >> 1n, last >> 1n];
    } else found = await sha256(NODE, found, sibling);
    [place, last] = [place >> 1n, last >> 1n];
  }
  return last === 0n && toBase64(found) === toBase64(root);
}

function parseReceipt(text) {
  must(typeof text === "string", `The receipt is not text, but of the type ${typeof text}.`);
  const end = text.indexOf("\n\n");
  const [first, extra = "", index = "", ...proof] = text.slice(0, Math.max(end, 0)).split("\n");
  must(end >= 0, "The receipt is cut off: it has no empty line before its note.");
  must(first === FIRST_LINE, `The receipt does not begin with the line ${FIRST_LINE}.`);
  const isWhole = extra.startsWith("extra ") && index.startsWith("index ");
  must(isWhole, "The receipt lacks the lines 'extra' and 'index' after its first line.");
  must(proof.length <= MAX_PROOF, `The receipt has ${proof.length} hashes; at most ${MAX_PROOF} are allowed.`);
  const bytes = fromBase64(extra.slice("extra ".length));
  const encoded = bytes.subarray(SALT_SIZE);
  return {
    salt: bytes.subarray(0, SALT_SIZE),
    encoded,
    entry: parseEntry(encoded),
    index: toNumber(index.slice("index ".length)),
    proof: proof.map(toHash),
    note: parseNote(text.slice(end + 2)),
  };
}

function parseEntry(encoded) {
  const [fields, commitment] = fieldsOf(encoded);
  const [name, version, type, schema, occurred, recorded, ...texts] = fields;
  const [actor, requestId, traceParent] = texts.map((each) => each && toText(each));
  return {
    name: toText(name),
    version: viewOf(version, 4).getInt32(),
    type: toText(type),
    schema: viewOf(schema, 2).getInt16(),
    occurredTime: occurred && toTime(occurred),
    recordedTime: toTime(recorded),
    actor,
    requestId,
    traceParent,
    commitment: toBase64(commitment),
  };
}

// Nine fields, each after its length, null if absent; then the commitment, which ends the entry.
function fieldsOf(encoded) {
  mustBeEntry(encoded[0] === 1);
  const [fields, view] = [[], viewOf(encoded)];
  let at = 1;
  while (fields.length < 9) {
    mustBeEntry(at + 4 <= encoded.length);
    const length = view.getUint32(at);
    at += 4;
    mustBeEntry(length === ABSENT || at + length <= encoded.length);
    fields.push(length === ABSENT ? null : encoded.subarray(at, (at += length)));
  }
  mustBeEntry(encoded.length - at === HASH_SIZE);
  return [fields, encoded.subarray(at)];
}

function mustBeEntry(holds) {
  must(holds, "The receipt's extra line does not contain an entry of a job ledger.");
}

function viewOf(bytes, size = bytes?.length) {
  mustBeEntry(bytes !== null && bytes.length === size);
  return new DataView(bytes.buffer, bytes.byteOffset, size);
}

function toText(bytes) {
  mustBeEntry(bytes !== null);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return mustBeEntry(false);
  }
}

// RFC 3339 with microseconds, as the server shows times; a Date has only milliseconds.
function toTime(bytes) {
  const time = viewOf(bytes, 8).getBigInt64(0) + EPOCH;
  mustBeEntry(time >= EARLIEST && time <= LATEST);
  const rest = ((time % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = new Date(Number((time - rest) / 1000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(rest).padStart(6, "0")}Z`;
}

function parseNote(note) {
  must(note.isWellFormed() && !/[\x00-\x09\x0b-\x1f]/.test(note), "The note contains control characters or invalid UTF-16.");
  must([...note].length <= MAX_NOTE, `The note is longer than ${MAX_NOTE} characters.`);
  const end = note.lastIndexOf("\n\n");
  must(end >= 0 && note.endsWith("\n"), "The note is not a signed note, or is cut off.");
  const lines = note.slice(end + 2, -1).split("\n");
  must(lines.length <= MAX_SIGNATURES, `The note has ${lines.length} signatures; at most ${MAX_SIGNATURES} are allowed.`);
  return { text: note.slice(0, end + 1), signatures: lines.map(parseSignature) };
}

function parseSignature(line) {
  const [, name, material] = /^\u2014 ([^ ]*) (.*)$/s.exec(line) ?? [];
  const sentence = `The note's line ${JSON.stringify(line.slice(0, 60))} is not a signature (— NAME BASE64).`;
  must(name !== undefined && NAME.test(name), sentence);
  const bytes = fromBase64(material);
  must(bytes.length >= 5, sentence);
  return { name, id: toHex(bytes.subarray(0, 4)), made: bytes.subarray(4) };
}

async function parseKey(text) {
  const [, name, id, material] = /^([^+]*)\+([^+]*)\+(.*)$/s.exec(text.replace(AROUND, "")) ?? [];
  must(name !== undefined && NAME.test(name), `${JSON.stringify(text.slice(0, 60))} is not a key (NAME+ID+BASE64).`);
  const bytes = fromBase64(material);
  must(bytes.length === 1 + KEY_SIZES[bytes[0]], `The key of ${name} is neither an Ed25519 nor an ML-DSA-44 key.`);
  const digest = await sha256(new TextEncoder().encode(`${name}\n`), bytes);
  must(toHex(digest.subarray(0, 4)) === id, `The key of ${name} is damaged: its id is ${id}, but its bytes have the id ${toHex(digest.subarray(0, 4))}.`);
  return { name, id, type: bytes[0], bytes: bytes.subarray(1) };
}

// The checkpoint in the note, if one of the log's own keys signed it. Lines after the third are ignored.
async function openCheckpoint(note, keys) {
  const lines = note.text.slice(0, -1).split("\n");
  must(lines.length >= 3 && lines.every(Boolean), "The checkpoint lacks one of its three lines: origin, size and root.");
  const [origin, size, root] = lines;
  const checkpoint = { origin, size: toNumber(size), root: toHash(root) };
  const own = keys.filter(({ name, type }) => type !== COSIGNATURE && name === origin);
  must(own.length, `The receipt is from the log ${origin}, and no key of that log is known.`);
  must((await signers(note, own)).length, "No known key of its log signed the checkpoint.");
  return checkpoint;
}

// The names of those keys that signed the note; other signatures are ignored. Throws Refused if one is invalid.
async function signers({ text, signatures }, keys) {
  const known = new Map(keys.map((key) => [`${key.name} ${key.id}`, key]));
  const found = [];
  for (const { name, id, made } of signatures) {
    const key = known.get(`${name} ${id}`);
    if (!key) continue;
    must(await verifies(key, made, text), `The signature of ${name} is invalid.`);
    found.push(name);
  }
  return found;
}

async function verifies({ type, name, bytes }, made, text) {
  if (type === SIGNATURE) return isSigned("Ed25519", bytes, made, new TextEncoder().encode(text));
  if (made.length < 8) return false;
  const time = viewOf(made.subarray(0, 8)).getBigUint64(0);
  if (type === ML_DSA_44) return isSigned("ML-DSA-44", bytes, made.subarray(8), subtreeOf(name, time, text));
  const signed = new TextEncoder().encode(`cosignature/v1\ntime ${time}\n${text}`);
  return isSigned("Ed25519", bytes, made.subarray(8), signed);
}

// The `cosigned_message` of tlog-cosignature, of a whole tree.
function subtreeOf(name, time, text) {
  const [origin, size, root] = text.split("\n");
  const parts = ["subtree/v1\n\0", short(name), number(time), short(origin), number(0n), number(toNumber(size)), toHash(root)];
  return Uint8Array.from(parts.flatMap((part) => [...(typeof part === "string" ? new TextEncoder().encode(part) : part)]));
}

function short(text) {
  const bytes = new TextEncoder().encode(text);
  must(bytes.length >= 1 && bytes.length <= 255, `${JSON.stringify(text.slice(0, 60))} is not 1 to 255 bytes long.`);
  return [bytes.length, ...bytes];
}

function number(value) {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

async function isSigned(algorithm, bytes, signature, signed) {
  const key = await importKey(algorithm, bytes);
  return key !== null && subtle().verify(algorithm, key, signature, signed);
}

// Null if the bytes are not a point of the curve; some browsers find that only at the first signature.
async function importKey(algorithm, bytes) {
  try {
    return await subtle().importKey(algorithm === "Ed25519" ? "raw" : "raw-public", bytes, algorithm, false, ["verify"]);
  } catch (error) {
    const isUnknown = error.name === "NotSupportedError" || (algorithm !== "Ed25519" && error.name === "TypeError");
    must(!isUnknown, `This browser does not support ${algorithm}; use a newer one, or jobledger verify-receipt.`);
    if (error.name !== "DataError") throw error;
    return null;
  }
}

// Browsers offer Web Crypto only in secure contexts.
function subtle() {
  must(globalThis.crypto?.subtle, "Browsers check receipts only on pages from https or localhost; this page is neither.");
  return crypto.subtle;
}

async function sha256(...parts) {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await subtle().digest("SHA-256", whole));
}

function toNumber(text) {
  must(NUMBER.test(text), `${JSON.stringify(text.slice(0, 40))} is not a whole number without leading zeros.`);
  return BigInt(text);
}

function toHash(line) {
  const hash = fromBase64(line);
  must(hash.length === HASH_SIZE, `${JSON.stringify(line.slice(0, 60))} is not a SHA-256 hash in base64.`);
  return hash;
}

function toHex(bytes) {
  return Array.from(bytes, (each) => each.toString(16).padStart(2, "0")).join("");
}

function toBase64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

// Accepts only canonical base64: `atob` alone accepts spaces, missing padding and unused bits.
function fromBase64(text) {
  try {
    const decoded = atob(text);
    if (btoa(decoded) === text) return Uint8Array.from(decoded, (each) => each.charCodeAt(0));
  } catch (error) {
    must(error.name === "InvalidCharacterError", String(error));
  }
  throw new Refused(`${JSON.stringify(text.slice(0, 60))} is not canonical base64.`);
}
