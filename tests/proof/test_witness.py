"""A real witness process: its cosignatures and refusals."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx
import pytest
from jobledger.domain.errors import InvalidFieldError, LedgerError
from jobledger.domain.proof import merkle
from jobledger.infra.cli.proof import witness as witnessing
from jobledger.infra.errors import ProofError
from jobledger.infra.http.witness_server import MAX_BODY
from jobledger.infra.proof.signing.algorithms import COSIGNATURE
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.notes import Note, SigningKey, VerifierKey, parse_signatures
from jobledger.infra.proof.witness.state_file import EMPTY_STATE, Memory, open_files, read_key
from jobledger.infra.proof.witness.witness import Submission, Witness

from tests.servers import new_client

COMMAND: Final = [str(Path(sys.executable).parent / "jobledger"), "witness"]
NAME: Final = "witness.example.com/w1"
TIMEOUT_SECONDS: Final = 30.0
SECRET: Final = 0o600


@dataclass
class Log:
    """A small log in memory; another `salt` makes another history under the same key."""

    key: SigningKey
    salt: str = ""
    more: tuple[SigningKey, ...] = field(default=())

    @property
    def origin(self) -> str:
        return self.key.verifier.name

    def node(self, level: int, number: int) -> bytes:
        first = number << level
        leaves = (f"{self.salt}{n}".encode() for n in range(first, first + (1 << level)))
        return merkle.root_of(b"".join(map(merkle.hash_leaf, leaves)))

    def note(self, size: int) -> Note:
        text = Checkpoint(self.origin, size, merkle.root(size, self.node)).text
        return Note(text, tuple(key.sign(text) for key in (self.key, *self.more)))

    def prove(self, old: int, size: int) -> tuple[bytes, ...]:
        return tuple(merkle.prove_consistency(old, size, self.node))

    def grown(self, old: int, size: int) -> Submission:
        return Submission(old, self.prove(old, size), self.note(size))


class Running:
    """A witness, and what it logged."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log
        body = self._await_listening()
        self.url: str = body["url"]
        self.key = VerifierKey.parse(body["key"])
        self.client = new_client(self.url, timeout=TIMEOUT_SECONDS)

    @property
    def said(self) -> list[dict[str, Any]]:
        lines = self._log.read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def _await_listening(self) -> dict[str, Any]:
        until = time.monotonic() + TIMEOUT_SECONDS
        while self.process.poll() is None and time.monotonic() < until:
            for record in self.said:
                if record["message"] == "listening":
                    return record
            time.sleep(0.02)
        raise AssertionError(self._log.read_text())

    def add(self, body: Submission | str | bytes) -> httpx.Response:
        content = body if isinstance(body, bytes) else str(body).encode()
        return self.client.post("/add-checkpoint", content=content)

    def show(self, origin: str) -> httpx.Response:
        return self.client.get(f"/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint")

    def stop(self, sig: int = signal.SIGTERM) -> int:
        self.client.close()
        self.process.send_signal(sig)
        return self.process.wait(TIMEOUT_SECONDS)


@contextmanager
def running(
    folder: Path, *logs: Log, options: tuple[str, ...] = ("--name", NAME)
) -> Iterator[Running]:
    """A witness with its files in a folder."""
    keys = folder / "logs"
    keys.write_text("# logs\n" + "".join(f"{log.key.verifier}\n" for log in logs[1:]))
    files = ["--key", str(folder / "key"), "--state", str(folder / "state.json")]
    trusted = ["--log", str(logs[0].key.verifier), "--log", str(keys)]
    message = folder / f"log-{time.monotonic_ns()}"
    with message.open("wb") as stderr:
        process = subprocess.Popen(
            [*COMMAND, *files, *trusted, "--port", "0", *options], stderr=stderr
        )
    try:
        witness = Running(process, message)
        try:
            yield witness
        finally:
            witness.client.close()
    finally:
        process.kill()
        process.wait()


LOGS: Final = [Log(SigningKey.generate(f"example.com/log{n}")) for n in range(64)]
_unused: Final = iter(LOGS)


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("witness"), *LOGS) as started:
        yield started


@pytest.fixture
def log() -> Log:
    """A log that the witness is configured for and has not seen."""
    return next(_unused)


def check_cosigned(witness: Running, answer: httpx.Response, note: Note) -> None:
    """The answer is the witness's cosignature on the note, made just now, and nothing else."""
    assert answer.status_code == 200, answer.text
    [signature] = parse_signatures(answer.text.removesuffix("\n").split("\n"))
    assert note._replace(signatures=(signature,)).signed_by([witness.key]) == [
        (witness.key, signature)
    ]
    assert abs(signature.time - time.time()) < 60


@pytest.mark.slow
def test_a_log_that_grows_is_cosigned_from_the_first_checkpoint_on(
    witness: Running, log: Log
) -> None:
    for old, size in [(0, 0), (0, 3), (3, 3), (3, 8), (8, 8), (8, 21), (21, 64)]:
        asked = log.grown(old, size)
        check_cosigned(witness, witness.add(asked), asked.note)


def test_monitors_get_the_last_checkpoint_with_both_signatures(witness: Running, log: Log) -> None:
    other = next(_unused)
    assert witness.show(log.origin).status_code == 404
    for size in (2, 5):
        answer = witness.add(log.grown(0 if size == 2 else 2, size))
    assert witness.show(other.origin).status_code == 404
    witness.add(other.grown(0, 9))
    shown = witness.show(log.origin)
    assert shown.status_code == 200
    assert shown.text == f"{log.note(5)}{answer.text}"
    assert Note.parse(witness.show(other.origin).text).text == other.note(9).text


def signed(log: Log, text: str, *keys: SigningKey) -> Note:
    return Note(text, tuple(key.sign(text) for key in keys or (log.key,)))


def forked(log: Log) -> Log:
    return Log(log.key, "other")


def with_proof(log: Log, change: Callable[[list[bytes]], list[bytes]]) -> Submission:
    asked = log.grown(5, 9)
    return asked._replace(proof=tuple(change(list(asked.proof))))


def damaged(log: Log) -> Note:
    """The log's own key is named, and did not sign."""
    note = log.note(9)
    [good] = note.signatures
    return note._replace(signatures=(good._replace(made=bytes(64)),))


STRANGER: Final = SigningKey.generate("example.com/stranger")
WRONG_ROOT: Final = hashlib.sha256(b"wrong").digest()
REFUSALS: Final[dict[str, tuple[int, Callable[[Log], Submission | str | bytes]]]] = {
    "of an unknown log": (404, lambda log: Log(STRANGER).grown(0, 9)),
    "signed by nobody known": (
        403,
        lambda log: log.grown(5, 9)._replace(note=signed(log, log.note(9).text, STRANGER)),
    ),
    "signed by another key of its name": (
        403,
        lambda log: Log(SigningKey.generate(log.origin)).grown(5, 9),
    ),
    "with a signature that does not hold": (
        403,
        lambda log: log.grown(5, 9)._replace(note=damaged(log)),
    ),
    "with one that holds and one that does not": (
        403,
        lambda log: log.grown(5, 9)._replace(note=log.note(9)._replace(
            signatures=(*log.note(9).signatures, *damaged(log).signatures))),
    ),
    "smaller than it was": (400, lambda log: Submission(5, (), log.note(4))),
    "smaller than a size never seen": (400, lambda log: Submission(12, (), log.note(9))),
    "from nothing": (409, lambda log: log.grown(0, 9)),
    "from less": (409, lambda log: log.grown(4, 9)),
    "from more": (409, lambda log: log.grown(6, 9)),
    "from more to the same": (409, lambda log: log.grown(9, 9)),
    "without a proof": (422, lambda log: with_proof(log, lambda proof: [])),
    "with a proof too short": (422, lambda log: with_proof(log, lambda proof: proof[:-1])),
    "with a proof too long": (422, lambda log: with_proof(log, lambda proof: [*proof, proof[0]])),
    "with a wrong proof": (422, lambda log: with_proof(log, lambda proof: proof[::-1])),
    "of another history": (422, lambda log: forked(log).grown(5, 9)),
    "of the same size and another root": (422, lambda log: forked(log).grown(5, 5)),
    "of the same size with a proof": (422, lambda log: Submission(5, (WRONG_ROOT,), log.note(5))),
    "with 64 hashes": (400, lambda log: Submission(5, (WRONG_ROOT,) * 64, log.note(9))),
    "with no body": (400, lambda log: b""),
    "without a note": (400, lambda log: "old 5\n\n"),
    "without an empty line": (400, lambda log: f"old 5\n{log.note(9)}".replace("\n\n", "\n")),
    "without the old size": (400, lambda log: str(log.grown(5, 9)).partition("\n")[2]),
    "with leading zeros": (400, lambda log: str(log.grown(5, 9)).replace("old 5", "old 05")),
    "with a negative size": (400, lambda log: str(log.grown(5, 9)).replace("old 5", "old -5")),
    "with two spaces": (400, lambda log: str(log.grown(5, 9)).replace("old 5", "old  5")),
    "with other line ends": (400, lambda log: str(log.grown(5, 9)).replace("\n", "\r\n")),
    "with a hash that is none": (400, lambda log: str(log.grown(5, 9)).replace("old 5", "old 5\nAA==")),
    "cut off in the note": (400, lambda log: str(log.grown(5, 9))[:-1]),
    "without signatures": (400, lambda log: str(log.grown(5, 9)._replace(note=Note(log.note(9).text, ())))),
    "that is no checkpoint": (400, lambda log: Submission(5, (), signed(log, f"{log.origin}\n9\n"))),
    "of no size": (400, lambda log: Submission(5, (), signed(log, log.note(9).text.replace("\n9\n", "\n+9\n")))),
    "that is not UTF-8": (400, lambda log: str(log.grown(5, 9)).encode() + b"\xff\n"),
    "longer than allowed": (413, lambda log: str(log.grown(5, 9)).encode() + b"x" * MAX_BODY),
}  # fmt: skip


def test_an_invalid_checkpoint_is_refused_and_changes_nothing(witness: Running, log: Log) -> None:
    witness.add(log.grown(0, 5)).raise_for_status()
    before = witness.show(log.origin).text
    for why, (status, body) in REFUSALS.items():
        answer = witness.add(body(log))
        assert answer.status_code == status, (why, answer.text)
        if status == 409:
            assert answer.text == "5\n"
            assert answer.headers["content-type"] == "text/x.tlog.size"
        else:
            assert "\u2014" not in answer.text
            assert answer.text.endswith("\n")
        assert witness.show(log.origin).text == before, why
    witness.add(log.grown(5, 9)).raise_for_status()


def test_a_new_logs_first_checkpoint_is_checked(witness: Running, log: Log) -> None:
    empty = Checkpoint(log.origin, 0, WRONG_ROOT).text
    for body in (
        Submission(0, (), signed(log, empty)),
        Submission(0, (WRONG_ROOT,), log.note(0)),
        Submission(0, (WRONG_ROOT,), log.note(3)),
    ):
        assert witness.add(body).status_code == 422
    answer = witness.add(log.grown(2, 3))
    assert (answer.status_code, answer.text) == (409, "0\n")
    assert witness.show(log.origin).status_code == 404
    assert witness.add(log.grown(0, 0)).status_code == 200
    # Now that nothing was cosigned, still no proof is needed from there.
    assert witness.add(log.grown(0, 3)).status_code == 200


def test_a_signed_fork_is_logged_with_both_checkpoints(witness: Running, log: Log) -> None:
    witness.add(log.grown(0, 5)).raise_for_status()
    asked = forked(log).grown(5, 7)
    assert witness.add(asked).status_code == 422
    assert str(asked) in [record.get("submission") for record in witness.said]


def test_unknown_signatures_and_extension_lines_are_ignored(witness: Running, log: Log) -> None:
    more = Log(log.key, more=(STRANGER, SigningKey.generate(log.origin)))
    answer = witness.add(more.grown(0, 6))
    check_cosigned(witness, answer, log.note(6))
    assert witness.show(log.origin).text == f"{log.note(6)}{answer.text}"
    extended = signed(log, f"{log.note(8).text}an extension\n")
    answer = witness.add(Submission(6, log.prove(6, 8), extended))
    check_cosigned(witness, answer, extended)


def test_other_addresses_and_methods_are_refused(witness: Running, log: Log) -> None:
    for path in ("/", "/add-checkpoint/", "/ab/checkpoint", f"/{'A' * 64}/checkpoint"):
        assert witness.client.get(path).status_code == 404
    assert witness.client.get("/add-checkpoint").status_code == 405
    assert witness.client.post(f"/{'a' * 64}/checkpoint").status_code == 405


@pytest.mark.slow
def test_what_was_cosigned_survives_kill_9_and_a_stop(tmp_path: Path) -> None:
    one, two = LOGS[:2]
    shown = {}
    with running(tmp_path, one, two) as witness:
        key = witness.key
        for size in range(1, 20):
            witness.add(one.grown(size - 1, size)).raise_for_status()
        answer = witness.add(two.grown(0, 4))
        assert witness.stop(signal.SIGKILL) == -signal.SIGKILL
        shown[two.origin] = f"{two.note(4)}{answer.text}"
    with running(tmp_path, one, two, options=()) as witness:
        assert witness.key == key
        assert witness.show(two.origin).text == shown[two.origin]
        assert witness.add(forked(one).grown(18, 25)).text == "19\n"
        assert witness.add(forked(one).grown(19, 25)).status_code == 422
        assert witness.add(one.grown(19, 25)).status_code == 200
        assert witness.stop() == 0
    assert (tmp_path / "key").stat().st_mode & 0o777 == SECRET


@pytest.mark.slow
def test_two_processes_and_many_logs_at_once_never_cosign_two_ways_or_backwards(
    tmp_path: Path,
) -> None:
    log = LOGS[0]
    with running(tmp_path, log) as one, running(tmp_path, log) as two:

        def grow(seed: int) -> list[tuple[int, int]]:
            random, expected, done = Random(seed), 0, []
            for witness in (one, two) * 6:
                size = expected + random.randrange(1, 4)
                answer = witness.add(log.grown(expected, size))
                assert answer.status_code in {200, 409}
                if answer.status_code == 200:
                    done.append((expected, size))
                expected = size if answer.status_code == 200 else int(answer.text)
            return done

        with ThreadPoolExecutor(8) as pool:
            steps = sorted(step for done in pool.map(grow, range(8)) for step in done)
        last = Note.parse(two.show(log.origin).text)
    # Each step began where another ended: so no two began at the same size, and none was lost.
    assert len(steps) > 8
    assert [old for old, _ in steps] == [0, *(size for _, size in steps[:-1])]
    assert Checkpoint.parse(last.text).size == steps[-1][1]


# Keys and state files, and the command line's own refusals.

WITNESS: Final = SigningKey.generate(NAME, COSIGNATURE)


def files(folder: Path, state: str = EMPTY_STATE, key: str = WITNESS.secret) -> tuple[Path, Path]:
    (folder / "key").write_text(key)
    (folder / "key").chmod(SECRET)
    (folder / "state").write_text(state)
    return folder / "key", folder / "state"


def cosigned(log: Log, size: int, key: SigningKey = WITNESS) -> str:
    note = log.note(size)
    return str(note.with_signatures([key.sign(note.text, 1_800_000_000)]))


OTHER_WITNESS: Final = SigningKey.generate(NAME, COSIGNATURE)
GOOD: Final = cosigned(LOGS[0], 5)
STATES: Final = {
    "nothing": "",
    "cut off": json.dumps({LOGS[0].origin: GOOD})[:-5],
    "no object": "[]",
    "no note": json.dumps({LOGS[0].origin: 7}),
    "a note cut off": json.dumps({LOGS[0].origin: GOOD[:-5]}),
    "another log's note": json.dumps({LOGS[1].origin: GOOD}),
    "a note without a cosignature": json.dumps({LOGS[0].origin: str(LOGS[0].note(5))}),
    "another witness's": json.dumps({LOGS[0].origin: cosigned(LOGS[0], 5, OTHER_WITNESS)}),
    "one that was changed": json.dumps({LOGS[0].origin: GOOD.replace("\n5\n", "\n4\n")}),
    "one good and one not": json.dumps({LOGS[0].origin: GOOD, LOGS[1].origin: GOOD}),
}


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_a_damaged_or_foreign_state_file_is_refused_and_kept(tmp_path: Path, state: str) -> None:
    key, path = files(tmp_path, state)
    with pytest.raises(ProofError) as caught:
        open_files(key, path, None)
    assert caught.value.what == "state"
    assert str(path) in str(caught.value)
    assert path.read_text() == state


def test_a_missing_state_file_of_an_existing_key_is_refused(tmp_path: Path) -> None:
    key, path = files(tmp_path, json.dumps({LOGS[0].origin: GOOD}))
    assert list(open_files(key, path, NAME)[1].all()) == [LOGS[0].origin]
    path.unlink()
    with pytest.raises(ProofError, match="is not there"):
        open_files(key, path, NAME)
    assert not path.exists()


def test_a_new_key_is_not_made_beside_an_existing_state(tmp_path: Path) -> None:
    key, path = files(tmp_path, json.dumps({LOGS[0].origin: GOOD}))
    key.unlink()
    with pytest.raises(ProofError, match="was not cosigned by"):
        open_files(key, path, NAME)
    assert not key.exists()


def test_nothing_is_cosigned_once_the_state_is_damaged_under_a_running_witness(
    tmp_path: Path,
) -> None:
    key, path = files(tmp_path)
    witness = Witness(*_opened(key, path))
    witness.cosign(LOGS[0].grown(0, 5))
    path.write_text(json.dumps({LOGS[0].origin: cosigned(LOGS[0], 3, OTHER_WITNESS)}))
    with pytest.raises(ProofError, match="was not cosigned by"):
        witness.cosign(LOGS[0].grown(3, 6))


def _opened(key: Path, path: Path) -> tuple[SigningKey, list[VerifierKey], Memory]:
    signing, memory = open_files(key, path, None)
    return signing, [LOGS[0].key.verifier], memory


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    key, path = files(tmp_path)
    key.chmod(mode)
    with pytest.raises(ProofError, match="can be read by others"):
        open_files(key, path, None)


def test_an_invalid_key_of_a_witness_is_refused(tmp_path: Path) -> None:
    key, path = files(tmp_path, key=LOGS[0].key.secret)
    with pytest.raises(ProofError, match="has the key of a log"):
        open_files(key, path, None)
    files(tmp_path, key="PRIVATE+KEY+x")
    with pytest.raises(ProofError, match="is not a private key"):
        open_files(key, path, None)
    files(tmp_path)
    with pytest.raises(ProofError, match="holds the key of"):
        open_files(key, path, "witness.example.com/w2")
    with pytest.raises(ProofError, match="of a witness, not of a log"):
        Witness(WITNESS, [WITNESS.verifier], Memory(path, WITNESS.verifier))
    key.unlink()
    with pytest.raises(ProofError, match="--name"):
        open_files(key, path, None)
    with pytest.raises(ProofError, match="cannot be read"):
        read_key(key)


@pytest.mark.slow
def test_the_public_key_alone_is_printed_where_it_is_asked_for(tmp_path: Path) -> None:
    key, _ = files(tmp_path)
    message = subprocess.run(
        [*COMMAND, "--key", str(key), "--print-key"], capture_output=True, text=True
    )
    assert (message.returncode, message.stdout, message.stderr) == (0, f"{WITNESS.verifier}\n", "")


def test_a_witness_names_its_missing_options(tmp_path: Path) -> None:
    key, path = files(tmp_path)
    log = [str(LOGS[0].key.verifier)]
    cases: list[tuple[Callable[[], None], type[LedgerError], str]] = [
        (lambda: witnessing.witness(key, None, log), InvalidFieldError, "--state"),
        (lambda: witnessing.witness(key, path, None), InvalidFieldError, "--log"),
        (lambda: witnessing.witness(key, path, ["x+y"]), ProofError, "x\\+y cannot be read"),
        (lambda: witnessing.witness(tmp_path / "none", path, log), ProofError, "--name"),
        (
            lambda: witnessing.witness(key, path, [str(WITNESS.verifier)]),
            ProofError,
            "of a witness, not of a log",
        ),
    ]
    for act, error, why in cases:
        with pytest.raises(error, match=why):
            act()
