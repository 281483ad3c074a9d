"""Receipts checked in a real browser: it must say of each what Python says, and name what is not as recorded."""

from __future__ import annotations

import base64
import json
import struct
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import resources
from random import Random
from typing import Any, Final, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jobledger.domain.proof import merkle
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra import Ledger
from jobledger.infra.errors import ProofError
from jobledger.infra.eventstore.json_view import event_json
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.receipts import FIRST_LINE, Receipt, make_receipt
from jobledger.infra.proof.signing.algorithms import COSIGNATURE, SIGNATURE
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.notes import (
    MAX_NOTE,
    Signature,
    SigningKey,
    VerifierKey,
    encode_hashes,
)
from jobledger.infra.proof.signing.origin import name_log
from jobledger.infra.retention.erase import STREAM, erase
from jobledger.infra.settings import Settings
from playwright.sync_api import Browser, Error, Page, Route

from tests.checkout import shared
from tests.ledgers import new_ledger
from tests.servers import Server, serving

MODULE: Final = resources.files("jobledger.infra.web").joinpath("files", "verify.js")
ORIGIN: Final = "example.com/jobs"
MIDDLE: Final = "projects/p/jobs/middle"
CHANGED: Final = 150
"""So many bytes of a receipt are changed, one at a time."""
PLACE: Final = "http://127.0.0.1:1/"
CHECK: Final = """async (said) => {
  const { verifyReceipt, Refused } = await import("/verify.js");
  const [texts, keys] = JSON.parse(said), found = [];
  for (const text of texts) {
    try {
      found.push(await verifyReceipt(text, keys));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      found.push(error.message);
    }
  }
  return found;
}"""
CHECK_EVENT: Final = """async (said) => {
  const { verifyReceipt, verifyEvent, Refused } = await import("/verify.js");
  const [text, keys, event] = JSON.parse(said);
  try {
    return await verifyEvent(await verifyReceipt(text, keys), event);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return error.message;
  }
}"""
CANONICAL: Final = """async (said) => {
  const { canonical } = await import("/verify.js");
  return JSON.parse(said).map(canonical);
}"""
INCLUDES: Final = """async (said) => {
  const { includes } = await import("/verify.js");
  const bytes = (text) => Uint8Array.from(atob(text ?? ""), (each) => each.charCodeAt(0));
  return Promise.all(JSON.parse(said).map(([leaf, index, size, proof, root]) =>
    includes(bytes(leaf), index, size, (proof ?? []).map(bytes), bytes(root))));
}"""


class Reader(NamedTuple):
    """Somebody with a browser, who asks nobody."""

    page: Page

    def ask(self, script: str, expected: Any) -> Any:
        # As JSON, which holds any text there is, and any name of a field.
        return self.page.evaluate(script, json.dumps(expected))

    def check(self, text: str, keys: list[str]) -> JsonObject | str:
        """What it proves, or why it is refused."""
        [found] = self.ask(CHECK, [[text], keys])
        verdict: JsonObject | str = found
        return verdict

    def check_event(self, receipt: str, keys: list[str], event: JsonObject) -> JsonObject | str:
        verdict: JsonObject | str = self.ask(CHECK_EVENT, [receipt, keys, event])
        return verdict


def opened(browser: Browser, place: str) -> Iterator[Reader]:
    def answer(route: Route) -> None:
        if route.request.url.endswith("/verify.js"):
            route.fulfill(content_type="text/javascript; charset=utf-8", body=MODULE.read_text())
        else:
            route.fulfill(content_type="text/html", body="<!doctype html><title>Reader</title>")

    page = browser.new_page()
    page.route("**/*", answer)
    page.goto(place)
    yield Reader(page)
    page.close()


@pytest.fixture(scope="module")
def reader(browser: Browser) -> Iterator[Reader]:
    yield from opened(browser, PLACE)


class Log(NamedTuple):
    """A server that signs, and the keys that it names."""

    server: Server
    keys: list[str]

    @property
    def ledger(self) -> Ledger:
        return self.server.ledger

    @property
    def verifiers(self) -> list[VerifierKey]:
        return [VerifierKey.parse(key) for key in self.keys]

    def shown(self, name: str) -> list[JsonObject]:
        """A job's events as everybody gets them."""
        with self.server.client() as client:
            answer = client.get(f"/ledger/v1/{name}/events").raise_for_status()
        events: list[JsonObject] = answer.json()["events"]
        return events

    def receipt(self, name: str, version: int | None = None) -> str:
        return str(self.ledger.receipt(name, version))


@pytest.fixture(scope="module")
def log(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """With some 300 events, of which MIDDLE's are in the middle."""
    with pytest.MonkeyPatch.context() as patch, new_ledger(dsn) as name:
        patch.setenv("JOBLEDGER_HOME", str(tmp_path_factory.mktemp("home")))
        with Ledger.open(dsn, name) as ledger:
            with ledger.connection() as connection:
                name_log(connection, Settings(), ORIGIN)
            fill(ledger)
            with serving(ledger, dsn) as server:
                with server.client() as client:
                    keys = client.get("/ledger/v1/log").json()["keys"]
                yield Log(server, keys)


def fill(ledger: Ledger) -> None:
    for number in range(300):
        if number == 150:
            tell_middle(ledger)
        ledger.create(f"projects/p/jobs/{number}")


def tell_middle(ledger: Ledger) -> None:
    """Two events: of the first nothing is known that need not be, of the second all is."""
    ledger.create(MIDDLE)
    ledger.started(
        MIDDLE,
        occurred_time=datetime(2024, 2, 29, 23, 59, 59, 7, UTC),
        actor="Zoë <z@example.org>",
        request_id="r-1",
        trace_parent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )


def is_accepted(text: str, keys: list[VerifierKey]) -> bool:
    """What Python says."""
    try:
        Receipt.parse(text).verify(keys)
    except ProofError:
        return False
    return True


def test_a_receipt_holds_every_field_of_its_event(reader: Reader, log: Log) -> None:
    text = log.receipt(MIDDLE)
    receipt = Receipt.parse(text)
    checkpoint, _ = receipt.verify(log.verifiers)
    event = log.shown(MIDDLE)[1]
    body = reader.check(text, log.keys)
    assert isinstance(body, dict)
    names = ("name", "version", "type", "occurredTime", "recordedTime", "actor", "requestId")
    assert body == {
        "origin": ORIGIN,
        "size": checkpoint.size,
        "root": in_base64(checkpoint.root),
        "index": event["position"] - 1,
        "position": event["position"],
        "entry": {
            **{name: event[name] for name in names},
            "schema": receipt.entry.schema,
            "traceParent": receipt.entry.trace_parent,
            "commitment": in_base64(receipt.entry.commitment),
        },
        "salt": in_base64(receipt.salt),
        "signedBy": [ORIGIN],
    }
    assert event["occurredTime"] == "2024-02-29T23:59:59.000007Z"
    assert 100 < body["position"] < 200 < body["size"]


def test_every_event_of_a_ledger_is_the_one_its_receipt_is_for(reader: Reader, log: Log) -> None:
    receipts = [log.receipt(MIDDLE, 1), log.receipt(MIDDLE, 2), log.receipt("projects/p/jobs/0")]
    events = [*log.shown(MIDDLE), *log.shown("projects/p/jobs/0")]
    for n, text in enumerate(receipts):
        for m, event in enumerate(events):
            verdict = reader.check_event(text, log.keys, event)
            assert (verdict == {"data": "checked"}) is (n == m)


DATA: Final[dict[str, JsonObject]] = {
    "nothing": {},
    "scalars": {"null": None, "true": True, "false": False, "zero": 0, "minus": -7},
    "fractions": {"all": [0.1, 1.5, -2.25, 100.0, 1 / 3, 333333333.3333333, 0.000001, 1e-7]},
    "exponents": {"all": [1e21, 1e20, 1e300, 5e-324, 1.7976931348623157e308, -1e-300, 123e45]},
    "integers": {"all": [2**53 - 1, -(2**53) + 1, 2**31, 10**15]},
    "minus zero": {"all": [-0.0]},
    "texts": {"all": ["", 'ü\n\t\r\b\f"\\/', "\u2028\u2029\x7f\x80\x1f", "\U0001f600", "</script>"]},
    "names by UTF-16": {"\ufb33": 1, "\U0001f600": 2, "\u20ac": 3, "\r": 4, "1": 5, "10": 6, "2": 7, "": 8},
    "names of objects": {"__proto__": {"constructor": 1}, "toString": 2, "length": 3},
    "nested": {"a": [[], {}, [[{"z": [1, {"y": 2.5, "b": None}]}]], {"b": {"a": {}}}]},
}  # fmt: skip


@pytest.mark.parametrize("kind", DATA)
def test_any_data_is_checked(reader: Reader, log: Log, kind: str) -> None:
    name = f"projects/p/jobs/data-{list(DATA).index(kind)}"
    log.ledger.create(name, {"team": "a"}, {"free": DATA[kind]})
    [event] = log.shown(name)
    text = log.receipt(name)
    assert reader.check_event(text, log.keys, event) == {"data": "checked"}
    event["data"]["spec"]["free"]["more"] = 0
    assert "is not as recorded: its data" in reader.check_event(text, log.keys, event)


def test_canonical_json_is_the_same_as_in_python(reader: Reader) -> None:
    random = Random(8785)
    numbers = [struct.unpack(">d", random.randbytes(8))[0] for _ in range(3_000)]
    values = [{"all": [each for each in numbers if abs(each) < 1e308]}, *DATA.values()]
    assert reader.ask(CANONICAL, values) == [canonical.encode(each).decode() for each in values]


@pytest.mark.parametrize("expected", ["[1e999]", '["\\ud800"]', '{"\\udc00":1}'])
def test_values_that_python_refuses_have_no_canonical_text(reader: Reader, expected: str) -> None:
    with pytest.raises(Error, match="has no canonical text"):
        reader.page.evaluate(CANONICAL, f"[{expected}]")


def test_each_changed_byte_is_judged_as_python_does(reader: Reader, log: Log) -> None:
    text = log.receipt(MIDDLE).encode()
    changed = list(damaged(text))
    assert len(changed) >= CHANGED
    ours = [is_accepted(each, log.verifiers) for each in changed]
    theirs = reader.ask(CHECK, [changed, log.keys])
    assert [isinstance(each, dict) for each in theirs] == ours
    # Only of the salt a receipt itself proves nothing; it goes with the data.
    assert 0 < sum(ours) < len(ours) / 10
    event = log.shown(MIDDLE)[1]
    for each, accepted in zip(changed, ours, strict=True):
        if accepted:
            verdict = reader.check_event(each, log.keys, event)
            assert verdict != {"data": "checked"}


def damaged(text: bytes) -> Iterator[str]:
    """With a byte changed here and there, and read as browsers read what is no UTF-8."""
    for number, at in enumerate(range(0, len(text), len(text) // CHANGED)):
        byte = text[at] ^ (1 << number % 8)
        yield (text[:at] + bytes([byte]) + text[at + 1 :]).decode(errors="replace")


LINES: Final[dict[str, Callable[[str], str]]] = {
    "empty": lambda text: "",
    "other text": lambda text: "hello\n",
    "no end of line": lambda text: text[:-1],
    "trailing garbage": lambda text: text + "x",
    "another end of the last line": lambda text: text[:-1] + " ",
    "a line more": lambda text: text + "\n",
    "a signature more": lambda text: text + "\u2014 x AAAA\n",
    "a space at a line's end": lambda text: text.replace("\n", " \n", 1),
    "the ends of lines of DOS": lambda text: text.replace("\n", "\r\n"),
    "a byte order mark": lambda text: "\ufeff" + text,
    "an index with zeros": lambda text: text.replace("index ", "index 0"),
    "a negative index": lambda text: text.replace("index ", "index -"),
    "an index beyond the size": lambda text: text.replace("index ", "index 9"),
    "an index of 20 digits": lambda text: text.replace("index ", "index 10000000000000000"),
    "an index in other digits": lambda text: text.replace("index ", "index \u0661"),
    "no extra": lambda text: text.replace("extra ", "extra"),
    "cut in the head": lambda text: text[: text.index("index")],
    "cut before the note": lambda text: text[: text.index("\n\n") + 1],
    "cut behind the head": lambda text: text[: text.index("\n\n") + 2],
    "cut in the note": lambda text: text[: text.index(ORIGIN) + 5],
    "a hash less": lambda text: "\n".join(text.split("\n")[:3] + text.split("\n")[4:]),
    "a hash twice": lambda text: "\n".join(text.split("\n")[:4] + text.split("\n")[3:]),
    "64 hashes": lambda text: text.replace("\n\n", "\n" + f"{'A' * 43}=\n" * 64 + "\n", 1),
    "half a pair": lambda text: text.replace(ORIGIN, "\ud800", 1),
}  # fmt: skip


@pytest.mark.parametrize("how", LINES)
def test_an_invalid_receipt_is_refused_in_one_sentence(reader: Reader, log: Log, how: str) -> None:
    whole = log.receipt(MIDDLE)
    text = LINES[how](whole)
    assert text != whole
    assert not is_accepted(text, log.verifiers)
    refusal = reader.check(text, log.keys)
    assert isinstance(refusal, str)
    assert refusal.endswith(".")


def key_of(name: str, type_: int = SIGNATURE, seed: int = 1) -> SigningKey:
    private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    public = private.public_key().public_bytes_raw()
    return SigningKey(VerifierKey.made(name, type_, public), private.private_bytes_raw())


OWN: Final = key_of(ORIGIN)
WITNESS: Final = key_of("example.com/witness", COSIGNATURE, 2)
STRANGER: Final = key_of(ORIGIN, SIGNATURE, 3)
ODD: Final = key_of("ex\ufeff\u00e4mple/\U0001f600", SIGNATURE, 4)
NAMESAKE: Final = key_of(ORIGIN, COSIGNATURE, 5)
KNOWN: Final = [key.verifier for key in (OWN, WITNESS, ODD, NAMESAKE)]
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""Of the group of Ed25519."""


def in_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def entry(**fields: bytes | None) -> bytes:
    """Of any bytes."""
    usual: dict[str, bytes | None] = {
        "name": b"n", "version": struct.pack(">i", 1), "type": b"Started", "schema": struct.pack(">h", 1),
        "occurred": bytes(8), "recorded": bytes(8), "actor": None, "request": None, "trace": None,
    }  # fmt: skip
    encoded = b"".join(
        b"\xff\xff\xff\xff" if value is None else struct.pack(">i", len(value)) + value
        for value in (usual | fields).values()
    )
    return b"\1" + encoded + bytes(32)


def at(when: datetime | int) -> bytes:
    """As an entry has it, the microseconds since 2000."""
    if isinstance(when, datetime):
        whole = when.replace(microsecond=0) - datetime(2000, 1, 1, tzinfo=UTC)
        when = (whole.days * 86_400 + whole.seconds) * 1_000_000 + when.microsecond
    return struct.pack(">q", when)


FIRST: Final = datetime(1, 1, 1, tzinfo=UTC)
LAST: Final = datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)


def one_before(when: datetime) -> bytes:
    return at(int.from_bytes(at(when), signed=True) - 1)


def one_after(when: datetime) -> bytes:
    return at(int.from_bytes(at(when), signed=True) + 1)


def made(
    encoded: bytes | None = None,
    *more: str,
    size: str = "1",
    levels: int = 0,
    key: SigningKey = OWN,
    under: Callable[[str], list[Signature | str]] | None = None,
) -> str:
    """A receipt for the first entry of a log, of that size, with more lines in its checkpoint."""
    encoded = entry() if encoded is None else encoded
    proof, root = [bytes([n]) * 32 for n in range(levels)], merkle.hash_leaf(encoded)
    for sibling in proof:
        root = merkle.hash_children(root, sibling)
    checkpoint = Checkpoint(key.verifier.name, 1, root).text.replace("\n1\n", f"\n{size}\n")
    expected = checkpoint + "".join(f"{line}\n" for line in more)
    signatures = [key.sign(expected)] if under is None else under(expected)
    extra = in_base64(bytes(32) + encoded)
    head = f"{FIRST_LINE}\nextra {extra}\nindex 0\n{encode_hashes(proof)}\n"
    return f"{head}{expected}\n{''.join(map(str, signatures))}"


def line_of(name: str, signature: bytes = bytes(8)) -> str:
    return f"\u2014 {name} {in_base64(signature)}\n"


def malleable(expected: str) -> Signature:
    """Holds by the equation alone; RFC 8032 has its second half below the order."""
    name, key_id, signed = OWN.sign(expected)
    half = int.from_bytes(signed[32:], "little") + ORDER
    return Signature(name, key_id, signed[:32] + half.to_bytes(32, "little"))


def cosigned(expected: str, cut: int | None = None) -> Signature:
    whole = WITNESS.sign(expected, 2**63 + 1)
    return whole._replace(made=whole.made[:cut])


MADE: Final[dict[str, tuple[bool, Callable[[], str]]]] = {
    "an entry": (True, made),
    "an entry of another version": (False, lambda: made(b"\2" + entry()[1:])),
    "an empty text": (True, lambda: made(entry(actor=b""))),
    "texts that are absent": (True, lambda: made(entry(occurred=None))),
    "a byte order mark in a text": (True, lambda: made(entry(actor=b"\xef\xbb\xbfx"))),
    "no UTF-8": (False, lambda: made(entry(actor=b"\xff"))),
    "UTF-8 that is too long": (False, lambda: made(entry(actor=b"\xc0\x80"))),
    "half a pair in UTF-8": (False, lambda: made(entry(actor=b"\xed\xa0\x80"))),
    "no name": (False, lambda: made(entry(name=None))),
    "no type": (False, lambda: made(entry(type=None))),
    "no version": (False, lambda: made(entry(version=None))),
    "no recorded time": (False, lambda: made(entry(recorded=None))),
    "a negative version": (True, lambda: made(entry(version=struct.pack(">i", -1)))),
    "a short version": (False, lambda: made(entry(version=bytes(3)))),
    "a long schema": (False, lambda: made(entry(schema=bytes(4)))),
    "a time of no bytes": (False, lambda: made(entry(occurred=b""))),
    "a short time": (False, lambda: made(entry(occurred=bytes(7)))),
    "a time before 2000": (True, lambda: made(entry(occurred=at(-1)))),
    "the first time": (True, lambda: made(entry(occurred=at(FIRST)))),
    "a time before the first": (False, lambda: made(entry(occurred=one_before(FIRST)))),
    "the last time": (True, lambda: made(entry(occurred=at(LAST)))),
    "a time after the last": (False, lambda: made(entry(occurred=one_after(LAST)))),
    "a time beyond all time": (False, lambda: made(entry(occurred=at(-(2**63))))),
    "a byte less": (False, lambda: made(entry()[:-1])),
    "a byte more": (False, lambda: made(entry() + b"\0")),
    "a field beyond the end": (False, lambda: made(entry()[:4] + b"\x7f" + entry()[5:])),
    "only a beginning": (False, lambda: made(entry()[:9])),
    "nothing": (False, lambda: made(b"")),
    "lines after the third": (True, lambda: made(None, "more", "\x7f")),
    "an empty line": (False, lambda: made(None, "", "more")),
    "half a pair instead of what replaces it": (
        False, lambda: made(None, "\ufffd").replace("\ufffd", "\ud800")),
    "a tab": (False, lambda: made(None, "a\tb")),
    "a size with a zero": (False, lambda: made(size="01")),
    "a size of nothing": (False, lambda: made(size="0")),
    "a size beyond the proof": (False, lambda: made(size="2")),
    "a size of 2 to the 62": (True, lambda: made(size=str(2**62), levels=62)),
    "one more than that": (False, lambda: made(size=str(2**62 + 1), levels=62)),
    "63 hashes": (True, lambda: made(size=str(2**63), levels=63)),
    "64 hashes": (False, lambda: made(size="9" * 19, levels=64)),
    "a size of 20 digits": (False, lambda: made(size="1" + "0" * 19)),
    "an odd name of the log": (True, lambda: made(key=ODD)),
    "long in UTF-16 only": (True, lambda: made(None, "\U0001f600" * (MAX_NOTE - 400))),
    "too long": (False, lambda: made(None, "x" * MAX_NOTE)),
    "no signature": (False, lambda: made(under=lambda said: [])),
    "a stranger's signature": (False, lambda: made(under=lambda said: [STRANGER.sign(said)])),
    "a stranger's beside its own": (
        True, lambda: made(under=lambda said: [STRANGER.sign(said), OWN.sign(said)])),
    "a signature of something else": (False, lambda: made(under=lambda said: [OWN.sign(said + "x\n")])),
    "its own twice": (True, lambda: made(under=lambda said: [OWN.sign(said)] * 2)),
    "one that holds and one that does not": (
        False, lambda: made(under=lambda said: [OWN.sign(said), OWN.sign(said + "x\n")])),
    "a malleable signature": (False, lambda: made(under=lambda said: [malleable(said)])),
    "a short signature": (
        False, lambda: made(under=lambda said: [OWN.sign(said)._replace(made=bytes(63))])),
    "a witness's": (True, lambda: made(under=lambda said: [OWN.sign(said), cosigned(said)])),
    "a witness's alone": (False, lambda: made(under=lambda said: [cosigned(said)])),
    "alone a witness's of the log's name": (
        False, lambda: made(under=lambda said: [NAMESAKE.sign(said, 1)])),
    "a witness's of something else": (
        False, lambda: made(under=lambda said: [OWN.sign(said), cosigned(said + "x\n")])),
    "a short one of a witness": (
        False, lambda: made(under=lambda said: [OWN.sign(said), cosigned(said, 71)])),
    "a very short one of a witness": (
        False, lambda: made(under=lambda said: [OWN.sign(said), cosigned(said, 1)])),
    "100 signatures": (True, lambda: made(under=lambda said: [OWN.sign(said), *[line_of("x")] * 99])),
    "101 signatures": (False, lambda: made(under=lambda said: [OWN.sign(said), *[line_of("x")] * 100])),
    "a signature of 4 bytes": (False, lambda: made(under=lambda said: [OWN.sign(said), line_of("x", bytes(4))])),
    "a signature of 5 bytes": (True, lambda: made(under=lambda said: [OWN.sign(said), line_of("x", bytes(5))])),
    "a name with a plus": (False, lambda: made(under=lambda said: [OWN.sign(said), line_of("a+b")])),
    "a name with a next line": (False, lambda: made(under=lambda said: [OWN.sign(said), line_of("a\x85b")])),
    "a name with a wide space": (False, lambda: made(under=lambda said: [OWN.sign(said), line_of("a\u3000b")])),
    "a name with a joiner": (True, lambda: made(under=lambda said: [OWN.sign(said), line_of("a\ufeff\u200b")])),
    "no name of a signer": (False, lambda: made(under=lambda said: [OWN.sign(said), line_of("")])),
    "no dash": (False, lambda: made(under=lambda said: [OWN.sign(said), "- x AAAAAAAA\n"])),
    "base64 without padding": (False, lambda: made(under=lambda said: [OWN.sign(said), "\u2014 x AAAAAAA\n"])),
    "base64 with bits to spare": (False, lambda: made(under=lambda said: [OWN.sign(said), "\u2014 x AAAAAAB=\n"])),
    "base64 with a space": (False, lambda: made(under=lambda said: [OWN.sign(said), "\u2014 x AAAA AAAA\n"])),
    "base64 for addresses": (False, lambda: made(under=lambda said: [OWN.sign(said), "\u2014 x AAAA_AAA\n"])),
}  # fmt: skip


@pytest.mark.parametrize("what", MADE)
def test_odd_receipts_are_judged_as_python_does(reader: Reader, what: str) -> None:
    expected, make = MADE[what]
    text = make()
    assert is_accepted(text, KNOWN) is expected
    assert isinstance(reader.check(text, [str(key) for key in KNOWN]), dict) is expected


def test_times_are_compared_to_the_microsecond(reader: Reader) -> None:
    times = {
        at(-1): "1999-12-31T23:59:59.999999Z",
        at(FIRST): "0001-01-01T00:00:00.000000Z",
        at(LAST): "9999-12-31T23:59:59.999999Z",
        at(datetime(1969, 12, 31, 23, 59, 59, 1, UTC)): "1969-12-31T23:59:59.000001Z",
    }
    for encoded, expected in times.items():
        body = reader.check(made(entry(occurred=encoded)), [str(OWN.verifier)])
        assert isinstance(body, dict)
        assert body["entry"]["occurredTime"] == expected


def test_texts_are_compared_to_the_last_byte(reader: Reader) -> None:
    text = "\ufeff\0\U0001f600"
    body = reader.check(made(entry(actor=text.encode())), [str(OWN.verifier)])
    assert isinstance(body, dict)
    assert body["entry"]["actor"] == text


def test_witnesses_are_named_with_the_log(reader: Reader) -> None:
    text = made(under=lambda expected: [OWN.sign(expected), cosigned(expected), OWN.sign(expected)])
    body = reader.check(text, [str(key) for key in KNOWN])
    assert isinstance(body, dict)
    assert body["signedBy"] == [ORIGIN, "example.com/witness"]


VKEY: Final = str(OWN.verifier)
KEYS: Final[dict[str, tuple[bool, list[str]]]] = {
    "its own": (True, [VKEY]),
    "its own between spaces": (True, [f"\x1c\u2003{VKEY}\x85\n"]),
    "its own beside others": (True, [str(STRANGER.verifier), VKEY]),
    "a byte order mark before it": (False, ["\ufeff" + VKEY]),
    "none": (False, []),
    "a stranger's of that name": (False, [str(STRANGER.verifier)]),
    "of another log": (False, [str(ODD.verifier)]),
    "a witness's": (False, [str(WITNESS.verifier)]),
    "a witness's of that name": (False, [str(key_of(ORIGIN, COSIGNATURE).verifier)]),
    "no key": (False, [VKEY, "hello"]),
    "empty": (False, [VKEY, ""]),
    "cut off": (False, [VKEY[:-6]]),
    "of another id": (False, [VKEY.replace("+", "+0", 1)]),
    "its id in capitals": (False, ["+".join([ORIGIN, VKEY.split("+")[1].upper(), VKEY.split("+", 2)[2]])]),
    "beside its own under another id": (False, [VKEY, VKEY.replace(VKEY.split("+")[1], "00000000")]),
    "private": (False, [OWN.secret]),
    "of no known type": (False, [str(VerifierKey.made(ORIGIN, 2, OWN.verifier.public))]),
    "beside its own of no known type": (False, [VKEY, str(VerifierKey.made(ORIGIN, 2, bytes(32)))]),
    "no point of the curve": (False, [str(VerifierKey.made(ORIGIN, 1, b"\2" + bytes(31)))]),
}  # fmt: skip


@pytest.mark.parametrize("which", KEYS)
def test_keys_are_judged_as_python_does(reader: Reader, which: str) -> None:
    expected, keys = KEYS[which]
    try:
        accepted = is_accepted(made(), [VerifierKey.parse(key) for key in keys])
    except ProofError:
        accepted = False
    assert accepted is expected
    assert isinstance(reader.check(made(), keys), dict) is expected


FIELDS: Final[dict[str, Any]] = {
    "name": "projects/p/jobs/other",
    "version": 3,
    "type": "Failed",
    "occurredTime": "2024-02-29T23:59:59.000008Z",
    "recordedTime": "2024-02-29T23:59:59.000008Z",
    "actor": None,
    "requestId": "r-2",
    "position": 1,
    "data": {"more": 1},
    "schema": 99,
    "traceParent": None,
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_changed_field_is_named(reader: Reader, log: Log, field: str) -> None:
    event = log.shown(MIDDLE)[1]
    text = log.receipt(MIDDLE)
    wrong = reader.check_event(text, log.keys, event | {field: FIELDS[field]})
    assert isinstance(wrong, str)
    assert wrong.startswith(f"{MIDDLE} v2 is not as recorded: its {field}")
    if field in event:
        missing = {name: value for name, value in event.items() if name != field}
        assert reader.check_event(text, log.keys, missing) == wrong


def test_the_first_changed_field_is_named(reader: Reader, log: Log) -> None:
    event = log.shown(MIDDLE)[1] | {"data": {}, "requestId": "x", "type": "Failed"}
    verdict = reader.check_event(log.receipt(MIDDLE), log.keys, event)
    assert verdict == f"{MIDDLE} v2 is not as recorded: its type."


def test_personal_parts_are_compared_where_they_are_shown_as_stored(
    reader: Reader, log: Log
) -> None:
    name = "projects/p/jobs/personal"
    value = {"subject": "user:alice", "value": {"name": "Alice"}}
    log.ledger.create(name, {}, {"owner": {"@personal": value}, "size": 1})
    text = log.receipt(name)
    [stored] = log.ledger.history(name)
    assert reader.check_event(text, log.keys, event_json(stored)) == {"data": "checked"}
    [event] = log.shown(name)
    assert event["data"]["spec"]["owner"] == {"name": "Alice"}
    # It cannot be told from changed data.
    assert "it holds personal values" in reader.check_event(text, log.keys, event)

    erase(log.ledger, "user:alice")
    event = until_erased(log, name)
    assert reader.check_event(text, log.keys, event) == {"data": "sealed"}
    wrong = event | {"type": "Failed"}
    assert "its type" in reader.check_event(text, log.keys, wrong)
    for unlike in (1, {}, {"key": 1}, {"key": "a b"}, {"key": "k", "more": 1}):
        event["data"]["spec"]["owner"] = {"@erased": unlike}
        assert "its data" in reader.check_event(text, log.keys, event)


def test_a_value_that_resembles_an_erased_one_is_compared_as_stored(
    reader: Reader, log: Log
) -> None:
    name = "projects/p/jobs/looks-erased"
    log.ledger.create(name, {}, {"of": [{"@erased": {"key": "k1"}}], "size": 1})
    text = log.receipt(name)
    [event] = log.shown(name)
    assert reader.check_event(text, log.keys, event) == {"data": "checked"}
    event["data"]["spec"]["size"] = 2
    assert reader.check_event(text, log.keys, event) == {"data": "sealed"}


def until_erased(log: Log, name: str) -> JsonObject:
    """A server shows for two seconds what it knows."""
    for _ in range(100):
        [event] = log.shown(name)
        if "@erased" in event["data"]["spec"]["owner"]:
            return event
        time.sleep(0.1)
    pytest.fail("it is still shown")


def test_an_event_of_no_job_is_the_same_but_for_its_data(reader: Reader, log: Log) -> None:
    name = "projects/p/jobs/erased"
    value = {"subject": "user:bob", "value": "Bob"}
    log.ledger.create(name, {}, {"owner": {"@personal": value}})
    position = erase(log.ledger, "user:bob").position
    log.ledger.seal()
    with log.ledger.connection() as connection:
        text = str(make_receipt(connection, Tree(), STREAM))
    with log.server.client() as client:
        answer = client.get("/ledger/v1/events", params={"after": position - 1}).json()
    event = answer["events"][0]
    assert event["occurredTime"] is event["data"] is None
    assert reader.check_event(text, log.keys, event) == {"data": "sealed"}
    assert "its data" in reader.check_event(text, log.keys, event | {"data": {}})


def test_exactly_the_published_proofs_of_inclusion_that_hold_are_accepted(reader: Reader) -> None:
    paths = sorted(shared("vectors/rfc6962/inclusion").rglob("*.json"))
    cases = [json.loads(path.read_text()) for path in paths]
    body = [
        (case["leafHash"], str(case["leafIdx"]), str(case["treeSize"]), case["proof"], case["root"])
        for case in cases
    ]
    verdicts = reader.ask(INCLUDES, body)
    wrong = [
        str(path)
        for path, case, accepted in zip(paths, cases, verdicts, strict=True)
        if accepted is case["wantErr"]
    ]
    assert wrong == []
    assert len(cases) > 70


def test_a_proof_longer_than_its_path_is_refused(reader: Reader) -> None:
    leaf, sibling = bytes(32), b"\1" * 32
    root = merkle.hash_children(sibling, leaf)
    assert not merkle.includes(leaf, 0, 1, [sibling], root)
    expected = (in_base64(leaf), "0", "1", [in_base64(sibling)], in_base64(root))
    assert reader.ask(INCLUDES, [expected]) == [False]


def test_an_unsupported_browser_is_reported(browser: Browser) -> None:
    for reader in opened(browser, "http://jobledger.example/"):
        refusal = reader.check(made(), [VKEY])
        assert isinstance(refusal, str)
        assert "https" in refusal
