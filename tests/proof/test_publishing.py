"""Signed checkpoints are sent to witnesses, and published."""

from __future__ import annotations

import logging
import os
import shlex
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread, Timer
from typing import Final, NamedTuple

import pytest
from jobledger.infra import Ledger
from jobledger.infra.errors import ForkedError, LedgerUnavailableError, ProofError
from jobledger.infra.proof.http_post import MAX_ANSWER, send
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.publishing import announcer as announcing
from jobledger.infra.proof.publishing import publisher as publishing
from jobledger.infra.proof.publishing.announcer import Announcer
from jobledger.infra.proof.publishing.checkpointer import Checkpointer
from jobledger.infra.proof.publishing.publisher import parse_places, publish
from jobledger.infra.proof.signing.algorithms import COSIGNATURE
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.keys import create_key, find_keys
from jobledger.infra.proof.signing.notes import Note, SigningKey
from jobledger.infra.proof.signing.policy import Policy
from jobledger.infra.proof.signing.signer import read_kept
from jobledger.infra.proof.witness import cosigning
from jobledger.infra.proof.witness.cosigning import Witnesses
from jobledger.infra.proof.witness.state_file import EMPTY_STATE, Memory
from jobledger.infra.proof.witness.witness import RefusedError, Submission, Witness
from jobledger.infra.settings import Settings

from tests.proof.test_witness import Log

LOG: Final = Log(SigningKey.generate("example.com/log"))
NOTE: Final = str(LOG.note(7))
KEYS: Final = [SigningKey.generate(f"w{n}.example.com", COSIGNATURE) for n in range(4)]


class Asked(NamedTuple):
    """A received request."""

    method: str
    path: str
    type: str
    body: bytes


class Web:
    """A web server with scripted answers; its requests are in `asked`."""

    def __init__(self, answer: Callable[[Asked], tuple[int, bytes]]) -> None:
        self.asked: list[Asked] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                asked = Asked(self.command, self.path, self.headers["Content-Type"], body)
                outer.asked.append(asked)
                status, entries = answer(asked)
                self.send_response(status)
                self.send_header("Content-Length", str(len(entries)))
                if status == 302:
                    self.send_header("Location", outer.url + "/elsewhere")
                self.end_headers()
                self.wfile.write(entries)

            do_POST = do_GET = do_PUT

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def web(answer: Callable[[Asked], tuple[int, bytes]] = lambda asked: (204, b"")) -> Iterator[Web]:
    serving = Web(answer)
    thread = Thread(target=serving.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield serving
    finally:
        serving.server.shutdown()
        thread.join()
        serving.server.server_close()


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address without a listener, which stays reserved."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def program(source: str, *arguments: str) -> str:
    return f"exec:{shlex.join([sys.executable, '-c', source, *arguments])}"


# Publishing.


def test_destinations_are_separated_by_lines_or_as_in_a_shell() -> None:
    assert parse_places("") == []
    assert parse_places("  /a  https://example.com/b ") == ["/a", "https://example.com/b"]
    assert parse_places("'/a b' \"exec:put --to 'c d'\" e") == ["/a b", "exec:put --to 'c d'", "e"]
    assert parse_places("/a b\n\n  exec:put --to 'c d'\n") == ["/a b", "exec:put --to 'c d'"]


@pytest.mark.parametrize("text", ["'/a", "exec:", "exec:  \n", "ftp://example.com/a", "exec:'a\n"])
def test_an_invalid_destination_is_refused_at_once(text: str) -> None:
    with pytest.raises(ProofError) as caught:
        parse_places(text)
    assert caught.value.what == "publish"


def test_a_checkpoint_goes_to_a_folder_a_web_address_and_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBLEDGER_SIGNING_KEY", "secret")
    monkeypatch.setenv("OTHER", "seen")
    source = (
        "import os, sys, pathlib; e = os.environ; pathlib.Path(sys.argv[1]).write_text("
        "'\\n'.join([e['JOBLEDGER_ORIGIN'], e['JOBLEDGER_SIZE'], e['OTHER'],"
        " str('JOBLEDGER_SIGNING_KEY' in e), sys.stdin.buffer.read().decode('utf-8')]))"
    )
    expected = tmp_path / "told by it"
    folder = tmp_path / "new" / "folder"
    with web() as server:
        publish(NOTE, [str(folder), f"{server.url}/checkpoint", program(source, str(expected))])
    assert (folder / "checkpoint").read_text("utf-8") == NOTE
    assert server.asked == [Asked("PUT", "/checkpoint", "text/plain; charset=utf-8", NOTE.encode())]
    assert expected.read_text("utf-8") == f"example.com/log\n7\nseen\nFalse\n{NOTE}"


def test_the_file_is_replaced_whole_and_everybody_can_read_it(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        for size in (3, 12):
            publish(str(LOG.note(size)), [str(tmp_path)])
            with (tmp_path / "checkpoint").open() as opened:
                publish(NOTE, [str(tmp_path)])
                # Who opened the old one still has all of it.
                assert opened.read() == str(LOG.note(size))
    finally:
        os.umask(before)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
    assert stat.S_IMODE((tmp_path / "checkpoint").stat().st_mode) == 0o644


def test_a_failing_destination_is_logged_and_the_others_are_served(
    tmp_path: Path,
    nowhere: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publishing, "PROGRAM_TIMEOUT_SECONDS", 0.5)
    (tmp_path / "file").write_text("")
    answers = {
        "/refused": (403, b"not you"),
        "/moved": (302, b""),
        "/endless": (200, b"x" * 99_999),
    }
    with web(lambda asked: answers[asked.path]) as server:
        failing = {
            str(tmp_path / "file" / "folder"): "Not a directory",
            nowhere: "Connection refused",
            f"{server.url}/refused": "answered 403: not you",
            f"{server.url}/moved": "answered 302",
            f"{server.url}/endless": "its answer is longer than",
            program("import sys; sys.exit('no such bucket')"): "ended with 1: no such bucket",
            program("import time; time.sleep(60)"): "did not end within 0.5 s",
            "exec:/no/such/program": "No such file",
            "http://[": "cannot be reached",
        }
        publish(NOTE, [*failing, str(tmp_path / "works")])
    assert [asked.path for asked in server.asked if asked.path == "/elsewhere"] == []
    assert (tmp_path / "works" / "checkpoint").read_text("utf-8") == NOTE
    for place, why in failing.items():
        body = [text for text in caplog.messages if text.startswith(f"not published to {place}: ")]
        assert len(body) == 1, caplog.messages
        assert why in body[0]
        assert "\n" not in body[0]
    assert len(caplog.messages) == len(failing)


def test_only_web_addresses_are_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("secret")
    for url in (f"file://{tmp_path}/file", "data:,x", "ftp://127.0.0.1/x"):
        with pytest.raises(ProofError, match="cannot be reached"):
            send("GET", url, "", 1)


# Cosigning.


class Honest:
    """A real witness behind a test web server, with scripted faults."""

    def __init__(self, folder: Path, key: SigningKey) -> None:
        folder.mkdir()
        (folder / "state").write_text(EMPTY_STATE)
        memory = Memory(folder / "state", key.verifier)
        self.witness = Witness(key, [LOG.key.verifier], memory)
        self.olds: list[int] = []

    def __call__(self, asked: Asked) -> tuple[int, bytes]:
        assert asked.path == "/w/add-checkpoint"
        submission = Submission.parse(asked.body)
        self.olds.append(submission.old)
        try:
            return 200, str(self.witness.cosign(submission)).encode()
        except RefusedError as error:
            return (409, f"{error.size}\n".encode()) if error.size else (422, b"did not grow\n")


def policy_of(*urls: str, quorum: str = "none", log: SigningKey = LOG.key) -> str:
    named = enumerate(zip(KEYS, urls, strict=False))
    witnesses = "".join(f"witness w{n} {key.verifier} {url}\n" for n, (key, url) in named)
    return f"log {log.verifier}\n{witnesses}quorum {quorum}\n"


def prover(size: int) -> Callable[[int], list[bytes]]:
    return lambda old: list(LOG.prove(old, size))


def test_a_proof_for_a_witness_starts_at_its_last_known_size(tmp_path: Path) -> None:
    honest = Honest(tmp_path / "w", KEYS[0])
    with web(honest) as server:
        policy = Policy.parse(policy_of(f"{server.url}/w/", quorum="w0"))
        witnesses = Witnesses(policy)
        for size in (3, 8, 8):
            note = LOG.note(size)
            found = witnesses.cosign(note, prover(size))
            assert policy.check(note.with_signatures(found)) == Checkpoint.parse(note.text)
        assert honest.olds == [0, 3, 8]
        # A log without the size gets it from the witness, and retries.
        assert len(Witnesses(policy).cosign(LOG.note(9), prover(9))) == 1
        assert honest.olds[3:] == [0, 8]
        assert len(witnesses.cosign(LOG.note(12), prover(12))) == 1
        assert honest.olds[5:] == [8, 9]


def said_by(caplog: pytest.LogCaptureFixture, key: SigningKey) -> str:
    name = f"witness {key.verifier.name}"
    [expected] = [text for text in caplog.messages if text.startswith(name)]
    return expected


def test_witnesses_that_fail_are_logged_and_the_others_cosign(
    tmp_path: Path, nowhere: str, caplog: pytest.LogCaptureFixture
) -> None:
    note = LOG.note(8)
    with web(Honest(tmp_path / "w", KEYS[0])) as good, web(lambda asked: (422, b"no\nno\n")) as bad:
        urls = [f"{good.url}/w", nowhere, bad.url, "gopher://example.com"]
        policy = Policy.parse(policy_of(*urls))
        found = Witnesses(policy).cosign(note, prover(8))
    assert [signature.name for signature in found] == ["w0.example.com"]
    assert "Connection refused" in said_by(caplog, KEYS[1])
    assert "refused with 422: no" in said_by(caplog, KEYS[2])
    assert "not an http or https address" in said_by(caplog, KEYS[3])


def cosigned_by(key: SigningKey, note: Note, at: int = 1_800_000_000) -> bytes:
    return str(key.sign(note.text, at)).encode()


EIGHT: Final = LOG.note(8)
STRANGER: Final = SigningKey.generate(KEYS[0].verifier.name, COSIGNATURE)
LIES: Final[dict[str, tuple[int, bytes, str]]] = {
    "nothing": (200, b"", "is not a signature"),
    "no text": (200, b"\xff\n", "is not a signature"),
    "another's": (200, cosigned_by(STRANGER, EIGHT), "without a cosignature"),
    "of another note": (200, cosigned_by(KEYS[0], LOG.note(7)), "is not valid"),
    "without a time": (200, cosigned_by(KEYS[0], EIGHT, 0), "without a cosignature"),
    "of no time": (200, cosigned_by(KEYS[0], EIGHT, 2**63), "without a cosignature"),
    "too much": (200, b"x" * (MAX_ANSWER + 1), "longer than"),
    "a redirect": (302, cosigned_by(KEYS[0], EIGHT), "refused with 302"),
    "no size": (409, b"many\n", "is not a whole number"),
    "a size that is never it": (409, b"5\n", "each time"),
    "more than there is": (409, b"9\n", "has seen 9 events of the log, and this one has 8"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("status", "body", "why"), LIES.values(), ids=LIES)
def test_an_invalid_cosignature_is_ignored(
    status: int, body: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with web(lambda asked: (status, body)) as server:
        assert Witnesses(Policy.parse(policy_of(server.url))).cosign(EIGHT, prover(8)) == []
    assert why in said_by(caplog, KEYS[0])
    assert len(server.asked) == (3 if why == "each time" else 1)


def test_cosignatures_of_others_beside_its_own_are_left_out() -> None:
    both = cosigned_by(STRANGER, EIGHT) + cosigned_by(KEYS[0], EIGHT)
    with web(lambda asked: (200, both)) as server:
        [signature] = Witnesses(Policy.parse(policy_of(server.url))).cosign(EIGHT, prover(8))
    assert signature.key_id == KEYS[0].verifier.id


def test_a_silent_witness_times_out_and_has_one_request_at_a_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosigning, "TOTAL_TIMEOUT_SECONDS", 0.2)
    answers = Event()

    def silent(asked: Asked) -> tuple[int, bytes]:
        answers.wait(10)
        return 500, b""

    with web(silent) as server, web(Honest(tmp_path / "w", KEYS[1])) as good:
        witnesses = Witnesses(Policy.parse(policy_of(server.url, f"{good.url}/w")))
        for _ in range(2):
            began = time.monotonic()
            assert len(witnesses.cosign(EIGHT, prover(8))) == 1
            assert time.monotonic() - began < 8
        assert len(server.asked) == 1
        assert "has not answered yet" in said_by(caplog, KEYS[0])
        answers.set()


def test_a_log_that_cannot_prove_its_growth_still_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def prove(old: int) -> list[bytes]:
        raise ForkedError("forked", old, "tile 0 of level 0 is damaged")

    with web(lambda asked: (409, b"5\n")) as server:
        assert Witnesses(Policy.parse(policy_of(server.url))).cosign(EIGHT, prove) == []
    assert said_by(caplog, KEYS[0])


# Announcing.


def settings_of(folder: Path, policy: str | None = None) -> Settings:
    if policy is not None:
        (folder / "policy").write_text(policy)
    path = None if policy is None else folder / "policy"
    return Settings(home=folder, policy=path, publish=str(folder / "published"))


def published(folder: Path) -> Note:
    return Note.parse((folder / "published" / "checkpoint").read_text("utf-8"))


def test_a_note_is_published_and_kept_with_its_cosignatures(tmp_path: Path) -> None:
    with web(Honest(tmp_path / "w", KEYS[0])) as server:
        settings = settings_of(tmp_path, policy_of(f"{server.url}/w", quorum="w0"))
        kept: list[Note] = []
        returned = Announcer("", settings).announce(EIGHT, prover(8), kept.append)
    assert Policy.read(tmp_path / "policy").check(returned).size == 8
    assert kept == [returned] == [published(tmp_path)]


def test_without_a_quorum_it_is_published_all_the_same_and_that_is_logged(
    tmp_path: Path, nowhere: str, caplog: pytest.LogCaptureFixture
) -> None:
    def kept(note: Note) -> None:
        raise AssertionError("there is nothing new to keep")

    settings = settings_of(tmp_path, policy_of(nowhere, quorum="w0"))
    assert Announcer("", settings).announce(EIGHT, prover(8), kept) == EIGHT
    assert published(tmp_path) == EIGHT
    assert "not the policy's quorum: none cosigned" in caplog.text


def test_checkpoints_are_published_while_the_database_is_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def kept(note: Note) -> None:
        raise LedgerUnavailableError("away")

    with web(Honest(tmp_path / "w", KEYS[0])) as server:
        settings = settings_of(tmp_path, policy_of(f"{server.url}/w"))
        Announcer("", settings).announce(EIGHT, prover(8), kept)
    assert len(published(tmp_path).signatures) == 2
    assert "the cosignatures were not kept" in caplog.text


def test_only_the_newest_waiting_note_is_announced_before_closing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, goes_on = Event(), Event()
    sizes: list[int] = []

    def slowly(text: str, places: list[str]) -> None:
        sizes.append(Checkpoint.parse(Note.parse(text).text).size)
        began.set()
        goes_on.wait(10)
        if len(sizes) == 1:
            raise OSError("what goes wrong once is no reason to stop")

    monkeypatch.setattr(announcing, "publish", slowly)
    announcer = Announcer("", settings_of(tmp_path))
    connection, tree = None, Tree()
    announcer.after(connection, tree, LOG.note(1))  # type: ignore[arg-type]
    assert began.wait(10)
    for size in (2, 3, 4):
        announcer.after(connection, tree, LOG.note(size))  # type: ignore[arg-type]
    Timer(0.1, goes_on.set).start()
    announcer.close()
    assert sizes == [1, 4]


def test_closing_stops_waiting_after_a_time_limit(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = Event()
    monkeypatch.setattr(announcing, "publish", lambda text, places: goes_on.wait(10))
    announcer = Announcer("", settings_of(tmp_path))
    announcer.after(None, Tree(), EIGHT)  # type: ignore[arg-type]
    announcer.close(0.1)
    goes_on.set()
    assert "may not have been announced" in caplog.text


def test_settings_that_cannot_be_read_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match="policy"):
        Announcer("", settings_of(tmp_path, "quorum nobody\n"))
    with pytest.raises(ProofError, match="publish"):
        Announcer("", Settings(home=tmp_path, publish="ftp://example.com/"))


def test_a_ledgers_checkpoints_are_cosigned_stored_and_published(
    dsn: str,
    ledger_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("JOBLEDGER_HOME", str(tmp_path))
    monkeypatch.setenv("JOBLEDGER_SEAL", "false")
    monkeypatch.delenv("JOBLEDGER_SIGNING_KEY", raising=False)
    caplog.set_level(logging.WARNING)
    with Ledger.open(dsn, ledger_name) as ledger, ledger.connection() as connection:
        origin = Tree().log_state(connection).origin
        key = _key_of(tmp_path, origin)
        honest = Honest(tmp_path / "w", KEYS[0])
        honest.witness = Witness(KEYS[0], [key.verifier], honest.witness._memory)
        with web(honest) as server:
            policy = policy_of(f"{server.url}/w", quorum="w0", log=key)
            settings = settings_of(tmp_path, policy)
            sealer = Checkpointer(ledger.conninfo, settings)
            for size in (1, 2, 3):
                ledger.create(f"projects/p/jobs/j{size}")
                assert sealer.checkpoint() is not None
                _eventually(lambda size=size: honest.olds[-1:] == [size - 1])  # type: ignore[misc]
            sealer.close()
        note = read_kept(connection)
    assert note is not None
    assert Policy.read(tmp_path / "policy").check(note).size == 3
    assert published(tmp_path) == note
    assert caplog.messages == []


def _key_of(home: Path, origin: str) -> SigningKey:
    settings = Settings(home=home)
    return (find_keys(settings, origin) or [create_key(settings, origin)])[0]


def _eventually(expected: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not expected():
        assert time.monotonic() < until
        time.sleep(0.01)
