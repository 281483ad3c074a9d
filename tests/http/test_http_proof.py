"""Receipts and the log over HTTP, verified with only the log's public key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobledger.domain.errors import LedgerError
from jobledger.domain.proof import merkle
from jobledger.infra import Ledger
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.proof.receipts import Receipt
from jobledger.infra.proof.signing.checkpoints import open_checkpoint
from jobledger.infra.proof.signing.keys import key_file
from jobledger.infra.proof.signing.notes import Note, VerifierKey
from jobledger.infra.proof.signing.origin import name_log
from jobledger.infra.settings import Settings

from tests.clients import read_refusal
from tests.ledgers import new_ledger
from tests.servers import Server, serving

NO_TILES = [
    "0/001", "9/000", "0/000.p/256", "0/x000/000", "0/x000/000.p/1", "00/000", "0/000.p/01", "0/0",
    "0/0000", "0/000.p/0", "0/000/", "0/000.p/", "0//000", "entries/x000/000.p/1", "entries/001", "data/000", "-1/000",
    "0/X000/000", "64/000", "0/000.p/1/", "0/%30%30%30%00", "0/0%2e00", " 0/000", "0/000.P/1", "0/000.p/1%0A",
]  # fmt: skip
"""Paths without a tile in a small log, and aliases of tiles."""
ENDS = [
    ("v1", "jobs"),
    ("v1", "locations/r/customJobs"),
    ("v1", "locations/r/trainingPipelines"),
    ("v1beta1", "evaluationJobs"),
]


@pytest.fixture(scope="module")
def signing(
    dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, list[VerifierKey]]]:
    """A server that has its log's key, and the public half."""
    with pytest.MonkeyPatch.context() as patch, new_ledger(dsn) as name:
        patch.setenv("JOBLEDGER_HOME", str(tmp_path_factory.mktemp("home")))
        with Ledger.open(dsn, name) as ledger:
            with ledger.connection() as connection:
                keys = name_log(connection, Settings(), "example.com/jobs")
            with serving(ledger, dsn) as server:
                yield server, keys


@pytest.mark.slow
@pytest.mark.parametrize(("version", "collection"), ENDS)
def test_every_api_serves_receipts(
    signing: tuple[Server, list[VerifierKey]], version: str, collection: str
) -> None:
    server, keys = signing
    name = f"projects/p/{collection}/a"
    with server.client() as client:
        client.post(f"/ledger/v1/{name}:create").raise_for_status()
        client.post(f"/ledger/v1/{name}:started").raise_for_status()
        native = client.get(f"/ledger/v1/{name}:receipt")
        assert native.headers["content-type"] == "text/plain; charset=utf-8"
        google = client.get(f"/{version}/{name}:receipt").raise_for_status().json()["receipt"]
        first = client.get(f"/{version}/{name}:receipt", params={"version": "1"}).json()["receipt"]
    history = server.ledger.history(name)
    for text, event in ((native.text, history[1]), (google, history[1]), (first, history[0])):
        receipt = Receipt.parse(text)
        checkpoint, signed = receipt.verify(keys)
        assert signed == keys
        assert checkpoint.origin == "example.com/jobs"
        assert (receipt.entry.name, receipt.entry.version) == (name, event.version)
        receipt.verify_event(event)


def test_a_receipt_of_a_missing_event_is_refused(
    signing: tuple[Server, list[VerifierKey]],
) -> None:
    server, _ = signing
    with server.client() as client:
        client.post("/ledger/v1/projects/p/jobs/b:create").raise_for_status()
        for path, code in (
            ("/ledger/v1/projects/p/jobs/none:receipt", "NOT_FOUND"),
            ("/v1/projects/p/jobs/none:receipt", "NOT_FOUND"),
            ("/ledger/v1/projects/p/jobs/b:receipt?version=9", "INVALID_ARGUMENT"),
            ("/v1/projects/p/jobs/b:receipt?version=9", "INVALID_ARGUMENT"),
            ("/v1/projects/p/jobs/b:receipt?version=x", "INVALID_ARGUMENT"),
            *((f"/ledger/v1/log/tile/{path}", "NOT_FOUND") for path in NO_TILES),
        ):
            answer = client.get(path)
            assert answer.status_code >= 400, path
            assert read_refusal(answer.status_code, answer.json())[1] == code, path


@pytest.mark.slow
def test_the_log_can_be_read_and_checked_from_its_tiles_alone(
    signing: tuple[Server, list[VerifierKey]],
) -> None:
    server, keys = signing
    for n in range(270):
        server.ledger.create(f"projects/p/jobs/tile{n}")
    server.ledger.seal()
    with server.client() as client:
        note = Note.parse(client.get("/ledger/v1/log/checkpoint").text)
        checkpoint = open_checkpoint(note, keys)
        whole, rest = divmod(checkpoint.size, 256)
        assert whole == 1
        names = ["000", f"001.p/{rest}"]
        leaves = [
            client.get(f"/ledger/v1/log/tile/0/{name}").raise_for_status().content for name in names
        ]
        bundles = [
            client.get(f"/ledger/v1/log/tile/entries/{name}").raise_for_status().content
            for name in names
        ]
        [over] = [client.get("/ledger/v1/log/tile/1/000.p/1").raise_for_status().content]
        log = client.get("/ledger/v1/log").json()
        caching = {
            path: client.get(f"/ledger/v1/log/{path}").headers["cache-control"]
            for path in ("tile/0/000", f"tile/0/{names[1]}", "tile/entries/000", "checkpoint")
        }
    # Full tiles never change; bundles do where events of theirs are pruned.
    assert caching.pop("tile/0/000") == "public, max-age=31536000, immutable"
    assert all("immutable" not in body and "no-cache" in body for body in caching.values())
    hashes = b"".join(leaves)
    assert b"".join(hashlib.sha256(b"\0" + entry).digest() for entry in _entries(bundles)) == hashes
    assert over == merkle.root_of(leaves[0])

    def node(level: int, number: int) -> bytes:
        return merkle.root_of(hashes[(number << level) * 32 : (number + 1 << level) * 32])

    assert merkle.root(checkpoint.size, node) == checkpoint.root
    assert log["origin"] == checkpoint.origin
    assert log["sealed"] >= checkpoint.size
    assert log["keys"] == [str(key) for key in keys]


def _entries(bundles: list[bytes]) -> Iterator[bytes]:
    for bundle in bundles:
        at = 0
        while at < len(bundle):
            end = at + 2 + int.from_bytes(bundle[at : at + 2])
            yield bundle[at + 2 : end]
            at = end


def test_without_a_key_receipts_are_refused_with_the_reason(server: Server, project: str) -> None:
    with server.client() as client:
        client.post(f"/ledger/v1/projects/{project}/jobs/a:create").raise_for_status()
        for path, code in (
            (f"/ledger/v1/projects/{project}/jobs/a:receipt", "FAILED_PRECONDITION"),
            ("/ledger/v1/log/checkpoint", "NOT_FOUND"),
        ):
            answer = client.get(path)
            refused = read_refusal(answer.status_code, answer.json())
            assert refused[1] == code
        assert client.get("/ledger/v1/log").json()["keys"] == []


def test_keys_that_cannot_be_used_are_not_named(
    signing: tuple[Server, list[VerifierKey]],
) -> None:
    server, _ = signing
    path = key_file(Settings(), "example.com/jobs")
    path.chmod(0o640)
    try:
        with server.client() as client:
            assert client.get("/ledger/v1/log").raise_for_status().json()["keys"] == []
    finally:
        path.chmod(0o600)


@pytest.mark.slow
def test_a_token_of_a_project_gets_its_receipts_and_no_tiles(dsn: str, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch, new_ledger(dsn) as name:
        patch.setenv("JOBLEDGER_HOME", str(tmp_path))
        with Ledger.open(dsn, name) as ledger:
            with ledger.connection() as connection:
                name_log(connection, Settings())
            secret = Tokens(ledger.pool).create("x", Role.READER, "p")
            for project in ("p", "q"):
                ledger.create(f"projects/{project}/jobs/a")
            with serving(ledger, dsn) as server:
                headers = {"authorization": f"Bearer {secret}"}
                with server.client(headers=headers) as client:
                    expected = {
                        path: client.get(f"/ledger/v1/{path}").status_code
                        for path in (
                            "projects/p/jobs/a:receipt", "projects/q/jobs/a:receipt",
                            "log/checkpoint", "log/tile/0/000.p/2", "log/tile/entries/000.p/2",
                        )
                    }  # fmt: skip
    assert list(expected.values()) == [200, 403, 200, 403, 403]


@pytest.mark.slow
def test_a_changed_receipt_is_refused(
    signing: tuple[Server, list[VerifierKey]],
) -> None:
    server, keys = signing
    server.ledger.create("projects/p/jobs/changed")
    [event] = server.ledger.history("projects/p/jobs/changed")
    text = str(server.ledger.receipt("projects/p/jobs/changed"))

    def check(expected: str) -> None:
        receipt = Receipt.parse(expected)
        receipt.verify(keys)
        receipt.verify_event(event)  # The salt is the data's alone.

    check(text)
    for at in range(len(text)):
        with pytest.raises(LedgerError):
            check(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])
    for end in range(len(text)):
        with pytest.raises(LedgerError):
            check(text[:end])
