"""Signed notes, keys, checkpoints and cosignatures: C2SP's examples, and invalid ones."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from jobledger.infra.errors import ProofError
from jobledger.infra.proof.signing.algorithms import COSIGNATURE, SIGNATURE
from jobledger.infra.proof.signing.checkpoints import Checkpoint, open_checkpoint
from jobledger.infra.proof.signing.notes import (
    MAX_NOTE,
    MAX_SIGNATURES,
    Note,
    Signature,
    SigningKey,
    VerifierKey,
    decode_hash,
    encode_hashes,
    parse_number,
)

# From C2SP signed-note, "Example", and tlog-cosignature.
EXAMPLE_KEY: Final = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE: Final = (
    "This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2O"
    "NncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
COSIGNED_EXAMPLE: Final = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "\u2014 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1g"
    "GzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "\u2014 witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1n"
    "PZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)

ORIGIN: Final = "jobledger/test/0123456789ab"
KEY: Final = SigningKey.generate(ORIGIN)
OTHER: Final = SigningKey.generate("example.com/other")
WITNESS: Final = SigningKey.generate("witness.example.com/w", COSIGNATURE)
CHECKPOINT: Final = Checkpoint(ORIGIN, 70_000, hashlib.sha256(b"root").digest())
NOTE: Final = Note(CHECKPOINT.text, (KEY.sign(CHECKPOINT.text),))
LINE: Final = str(NOTE.signatures[0])


def refused(act: Callable[[], object], what: str) -> ProofError:
    with pytest.raises(ProofError) as caught:
        act()
    assert caught.value.what == what
    assert_is_a_sentence(caught.value)
    return caught.value


def assert_is_a_sentence(error: ProofError) -> None:
    message = str(error)
    assert "\n" not in message
    assert len(message) < 300
    assert message.isprintable()


def opened(note: str | bytes, *keys: SigningKey) -> Checkpoint:
    return open_checkpoint(Note.parse(note), [key.verifier for key in keys or (KEY,)])


def test_the_published_example_verifies() -> None:
    key = VerifierKey.parse(EXAMPLE_KEY)
    assert (key.name, key.id.hex(), key.type) == ("example.com/foo", "530d903a", SIGNATURE)
    assert str(key) == EXAMPLE_KEY

    note = Note.parse(EXAMPLE)
    assert note.text == "This is an example message.\n"
    assert note.signed_by([key]) == [(key, note.signatures[0])]
    assert str(note) == EXAMPLE
    assert Note.parse(EXAMPLE.encode()) == note


def test_a_change_of_any_byte_of_the_published_example_is_found() -> None:
    key = VerifierKey.parse(EXAMPLE_KEY)
    encoded = EXAMPLE.encode()
    for at in range(len(encoded)):
        for bits in (1, 0x20, 0x80, 0xFF):
            changed = encoded[:at] + bytes([encoded[at] ^ bits]) + encoded[at + 1 :]
            try:
                assert Note.parse(changed).signed_by([key]) == []
            except ProofError as error:
                assert_is_a_sentence(error)


def test_a_change_of_any_character_of_the_published_key_is_found() -> None:
    for at in range(len(EXAMPLE_KEY)):
        for bits in (1, 0x20):
            changed = EXAMPLE_KEY[:at] + chr(ord(EXAMPLE_KEY[at]) ^ bits) + EXAMPLE_KEY[at + 1 :]
            refused(lambda changed=changed: VerifierKey.parse(changed), "key")  # type: ignore[misc]


def test_the_published_cosigned_checkpoint_is_read() -> None:
    note = Note.parse(COSIGNED_EXAMPLE)
    checkpoint = Checkpoint.parse(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert checkpoint.text == note.text
    assert [each.name for each in note.signatures] == [
        "example.com/behind-the-sofa",
        "witness.example.com/w1",
    ]
    assert note.signatures[1].time == 1_679_315_147
    assert str(note) == COSIGNED_EXAMPLE


@pytest.mark.parametrize("key", [KEY, OTHER, WITNESS], ids=lambda key: key.verifier.name)
def test_keys_are_parsed_from_their_text(key: SigningKey) -> None:
    assert SigningKey.parse(key.secret) == key
    assert SigningKey.parse(f" {key.secret}\n") == key
    assert VerifierKey.parse(str(key.verifier)) == key.verifier
    verifier = key.verifier
    named = f"{verifier.name}\n".encode() + bytes([verifier.type]) + verifier.public
    assert verifier.id == hashlib.sha256(named).digest()[:4]


def test_a_private_key_is_not_shown() -> None:
    secret = base64.b64encode(bytes([SIGNATURE]) + KEY.seed).decode()
    assert secret in KEY.secret
    assert secret not in f"{KEY!r} {KEY}"
    for damage in (KEY.secret[:-1], KEY.secret.replace("+KEY+", "+LOCK+"), f"{KEY.secret}x"):
        error = refused(lambda damage=damage: SigningKey.parse(damage), "key")  # type: ignore[misc]
        assert secret[:20] not in f"{error} {error.__cause__}"


def material(type_: int, public: bytes) -> str:
    return base64.b64encode(bytes([type_]) + public).decode()


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/foo",
        "example.com/foo+530d903a",
        "example.com/foo+530d903a+",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903aff+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+53 0d 90 3a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "\udcff+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+xxxxxxxx+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k=",
        "example.com/foo+530d903a+Aeky eRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        f"example.com/foo+530d903a+{material(2, bytes(32))}",
        f"example.com/foo+530d903a+{material(1, bytes(31))}",
        f"example.com/foo+530d903a+{material(1, bytes(33))}",
        "\u00fc" * 500,
    ],
)
def test_an_invalid_key_is_refused(text: str) -> None:
    refused(lambda: VerifierKey.parse(text), "key")
    refused(lambda: SigningKey.parse(text), "key")
    refused(lambda: SigningKey.parse(f"PRIVATE+KEY+{text}"), "key")


def test_a_cosignature_has_a_time() -> None:
    """Checked as tlog-cosignature has it, and not by its own maker."""
    time = 1_679_315_147
    signature = WITNESS.sign(CHECKPOINT.text, time)
    assert signature.time == time
    assert signature.made[:8] == time.to_bytes(8)
    signed = f"cosignature/v1\ntime {time}\n{CHECKPOINT.text}".encode()
    public = Ed25519PublicKey.from_public_bytes(WITNESS.verifier.public)
    public.verify(signature.made[8:], signed)

    verifier = WITNESS.verifier
    assert verifier.verifies(signature.made, CHECKPOINT.text)
    for made in (
        (time + 1).to_bytes(8) + signature.made[8:],
        signature.made[8:],
        signature.made + bytes(1),
        b"",
    ):
        assert not verifier.verifies(made, CHECKPOINT.text)
    assert not verifier.verifies(signature.made, CHECKPOINT._replace(size=1).text)

    cosigned = Note.parse(str(NOTE.with_signatures([signature])))
    assert cosigned.signed_by([verifier]) == [(verifier, signature)]
    assert opened(str(cosigned)) == CHECKPOINT


def test_a_witness_does_not_speak_for_the_log() -> None:
    namesake = SigningKey.generate(ORIGIN, COSIGNATURE)
    note = Note(CHECKPOINT.text, (namesake.sign(CHECKPOINT.text, 1),))
    refused(lambda: opened(str(note), namesake), "checkpoint")
    refused(lambda: opened(str(note), namesake, KEY), "checkpoint")


def test_signatures_of_unknown_keys_are_ignored() -> None:
    forged = Signature("example.com/unknown", b"\1\2\3\4", b"nonsense")
    same_name = Signature(ORIGIN, b"\1\2\3\4", b"nonsense")
    same_id = Signature("example.com/unknown", KEY.verifier.id, b"nonsense")
    note = Note(CHECKPOINT.text, (forged, same_name, same_id, *NOTE.signatures))
    assert opened(str(note)) == CHECKPOINT
    assert [key for key, _ in note.signed_by([KEY.verifier, OTHER.verifier])] == [KEY.verifier]


def test_an_invalid_signature_of_a_known_key_refuses_the_note() -> None:
    made = NOTE.signatures[0].made
    for failing in (bytes(64), made[:-1], made + b"x", made[:-1] + bytes([made[-1] ^ 1])):
        bad = Signature(ORIGIN, KEY.verifier.id, failing)
        for signatures in ((bad,), (*NOTE.signatures, bad), (bad, *NOTE.signatures)):
            note = str(Note(CHECKPOINT.text, signatures))
            refused(lambda note=note: opened(note), "signature")  # type: ignore[misc]


def test_two_keys_of_a_log_may_sign() -> None:
    second = SigningKey.generate(ORIGIN)
    both = Note(CHECKPOINT.text, (KEY.sign(CHECKPOINT.text), second.sign(CHECKPOINT.text)))
    for keys in ((KEY,), (second,), (KEY, second), (OTHER, second)):
        assert opened(str(both), *keys) == CHECKPOINT
    merged = NOTE.with_signatures(both.signatures)
    assert [each.key_id for each in merged.signatures] == [KEY.verifier.id, second.verifier.id]


def test_a_checkpoint_of_another_origin_is_refused() -> None:
    refused(lambda: opened(str(NOTE), OTHER), "checkpoint")
    foreign = Note(CHECKPOINT.text, (OTHER.sign(CHECKPOINT.text),))
    refused(lambda: opened(str(foreign), OTHER, KEY), "checkpoint")
    refused(lambda: open_checkpoint(NOTE, []), "checkpoint")


def test_every_cut_off_note_is_refused() -> None:
    whole = str(NOTE).encode()
    for end in range(len(whole)):
        refused(lambda end=end: Note.parse(whole[:end]), "note")  # type: ignore[misc]


@pytest.mark.slow
@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        "\n\n",
        "\n\n\n",
        CHECKPOINT.text,
        f"{CHECKPOINT.text}\n",
        f"{CHECKPOINT.text}{LINE}",
        f"{CHECKPOINT.text}\n{LINE.removesuffix(chr(10))}",
        f"{CHECKPOINT.text}\n{LINE}\n",
        f"{CHECKPOINT.text}\n{LINE}x\n",
        f"{CHECKPOINT.text}\r\n{LINE}",
        f"{CHECKPOINT.text}\n{LINE}".replace("jobledger", "job\0ledger"),
        f"{CHECKPOINT.text}\n{LINE}".replace("jobledger", "job\tledger"),
        f"{CHECKPOINT.text}\n{LINE}".replace("\u2014", "-"),
        f"{CHECKPOINT.text}\n\u2014 \n",
        f"{CHECKPOINT.text}\n\u2014 {ORIGIN}\n",
        f"{CHECKPOINT.text}\n\u2014 {ORIGIN} \n",
        f"{CHECKPOINT.text}\n\u2014 {ORIGIN} AAAA\n",
        f"{CHECKPOINT.text}\n\u2014 {ORIGIN} AAAAAA==x\n",
        f"{CHECKPOINT.text}\n\u2014 a+b AAAAAAAA\n",
        f"{CHECKPOINT.text}\n\u2014 a\u00a0b AAAAAAAA\n",
        f"{CHECKPOINT.text}\n\u2014  AAAAAAAA\n",
        f"{CHECKPOINT.text}\n{LINE * (MAX_SIGNATURES + 1)}",
        f"{'x' * MAX_NOTE}\n\n{LINE}",
    ],
)
def test_an_invalid_note_is_refused(note: str) -> None:
    refused(lambda: Note.parse(note), "note")
    refused(lambda: Note.parse(note.encode()), "note")


def test_a_note_is_utf_8() -> None:
    refused(lambda: Note.parse(str(NOTE).encode("utf-16")), "note")
    refused(lambda: Note.parse(str(NOTE).encode() + b"\xff\n"), "note")
    extended = str(NOTE).replace("\n\n", "\nan extension\udcff\n\n")
    refused(lambda: Note.parse(extended), "note")


def test_signatures_up_to_the_limit_are_read() -> None:
    others = [Signature(f"example.com/{n}", bytes(4), b"x") for n in range(MAX_SIGNATURES - 1)]
    assert opened(str(Note(CHECKPOINT.text, (*others, *NOTE.signatures)))) == CHECKPOINT


def test_a_text_may_hold_empty_lines_but_a_checkpoint_may_not() -> None:
    text = "one\n\n\ntwo\n"
    note = Note.parse(str(Note(text, (KEY.sign(text),))))
    assert note.text == text
    assert note.signed_by([KEY.verifier])
    refused(lambda: Checkpoint.parse(f"{CHECKPOINT.text}\nmore\n"), "checkpoint")


def test_lines_after_the_third_are_signed_and_ignored() -> None:
    text = f"{CHECKPOINT.text}an extension\n"
    note = str(Note(text, (KEY.sign(text),)))
    assert opened(note) == CHECKPOINT
    refused(lambda: opened(note.replace("an extension\n", "")), "signature")


ROOT: Final = base64.b64encode(CHECKPOINT.root).decode()


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{ORIGIN}\n",
        f"{ORIGIN}\n1\n",
        f"\n1\n{ROOT}\n",
        f"{ORIGIN}\n\n{ROOT}\n",
        *(
            f"{ORIGIN}\n{size}\n{ROOT}\n"
            for size in (
                "01", "00", "-1", "+1", "1.0", "1e3", " 1", "1 ", "x", "0x1", "1_0", "\u0663",
                "9" * 20, "9" * 5_000,
            )
        ),
        *(
            f"{ORIGIN}\n1\n{base64.b64encode(bytes(length)).decode()}\n"
            for length in (0, 1, 31, 33, 64)
        ),
        f"{ORIGIN}\n1\n{ROOT[:-1]}\n",
        f"{ORIGIN}\n1\n{ROOT}=\n",
        f"{ORIGIN}\n1\n {ROOT}\n",
        f"{ORIGIN}\n1\n{ROOT.replace('=', '')}\n",
        f"{ORIGIN}\n1\n" + "\u00fc" * 44 + "\n",
        f"{ORIGIN}\n1\n{'-_' * 21}A=\n",
    ],
)  # fmt: skip
def test_an_invalid_checkpoint_is_refused(text: str) -> None:
    refused(lambda: Checkpoint.parse(text), "checkpoint")


def test_non_canonical_base64_is_refused() -> None:
    """The last character before the padding has bits that mean nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = alphabet.index(ROOT[-2])
    for bits in (1, 2, 3):
        other = f"{ROOT[:-2]}{alphabet[last ^ bits]}="
        assert base64.b64decode(other) == CHECKPOINT.root
        refused(lambda other=other: decode_hash(other, "checkpoint"), "checkpoint")  # type: ignore[misc]


@pytest.mark.parametrize("size", [0, 1, 9, 10, 256, 2**53, 2**63 - 1])
def test_checkpoints_of_all_sizes_are_parsed_from_their_text(size: int) -> None:
    checkpoint = CHECKPOINT._replace(size=size)
    assert Checkpoint.parse(checkpoint.text) == checkpoint
    assert parse_number(str(size), "receipt") == size


def test_hashes_are_parsed_from_their_text() -> None:
    hashes = [hashlib.sha256(bytes([n])).digest() for n in range(3)]
    assert [decode_hash(line, "receipt") for line in encode_hashes(hashes).splitlines()] == hashes


SOUP: Final = st.text(
    st.sampled_from("\n\n\n\u2014  +=/0123456789abcXYZ\u00fc\0\r\u2028\ud800"), max_size=60
)
PIECES: Final = st.lists(
    st.sampled_from(
        [*CHECKPOINT.text.splitlines(True), LINE, "\n", "\n\n", "\u2014 ", ROOT, ORIGIN, "0", "=", "+"]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@pytest.mark.slow
@given(st.text(max_size=200) | st.binary(max_size=200) | SOUP | PIECES)
@settings(max_examples=400, deadline=None)
def test_only_signed_notes_are_opened(text: str | bytes) -> None:
    for act in (
        lambda: opened(text),
        lambda: Checkpoint.parse(text if isinstance(text, str) else text.decode("latin-1")),
        lambda: VerifierKey.parse(text if isinstance(text, str) else text.decode("latin-1")),
        lambda: SigningKey.parse(text if isinstance(text, str) else text.decode("latin-1")),
    ):
        try:
            found = act()
        except ProofError as error:
            assert_is_a_sentence(error)
        else:
            # Pieces may come together to what they were.
            assert found == CHECKPOINT or isinstance(found, Checkpoint)


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A valid note of which a stretch was changed, left out, doubled, or put elsewhere."""
    whole = str(NOTE).encode()
    first = draw(st.integers(0, len(whole)))
    end = draw(st.integers(first, min(len(whole), first + 8)))
    stretch = whole[first:end]
    other = draw(
        st.sampled_from([b"", stretch * 2, stretch[::-1], stretch.swapcase()])
        | st.binary(max_size=4)
        | SOUP.map(lambda text: text.encode("utf-8", "surrogatepass"))
    )
    changed = whole[:first] + other + whole[end:]
    if draw(st.booleans()):
        at = draw(st.integers(0, len(changed)))
        changed = changed[:at] + stretch + changed[at:]
    return changed


@pytest.mark.slow
@given(mutations())
@settings(max_examples=600, deadline=None)
def test_a_changed_note_says_the_same_or_is_refused(changed: bytes) -> None:
    try:
        checkpoint = opened(changed)
    except ProofError as error:
        assert_is_a_sentence(error)
    else:
        assert checkpoint == CHECKPOINT


@pytest.mark.slow
def test_a_change_of_any_byte_of_a_checkpoint_is_found() -> None:
    """But for nothing: even the lines' ends and the dash are as they must be."""
    whole = str(NOTE).encode()
    for at in range(len(whole)):
        for bits in (1, 2, 4, 8, 16, 32, 64, 128):
            changed = whole[:at] + bytes([whole[at] ^ bits]) + whole[at + 1 :]
            with pytest.raises(ProofError) as caught:
                opened(changed)
            assert_is_a_sentence(caught.value)


def test_a_signature_line_is_formatted_as_sent() -> None:
    assert re.fullmatch(f"\u2014 {re.escape(ORIGIN)} [A-Za-z0-9+/]+={{0,2}}\n", LINE)
