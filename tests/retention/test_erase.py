"""Erasing a subject: its data reads as erased everywhere, and nothing else changes, proofs included."""

from __future__ import annotations

import json
import time
from typing import Any

import psycopg
import pytest
from jobledger.domain.errors import InvalidFieldError, RequestReusedError
from jobledger.domain.proof.hashing import hash_rows
from jobledger.domain.proof.leaves import TILE, salts
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra import Ledger
from jobledger.infra.errors import BrokenLedgerError, OwnerNeededError, SubjectNotFoundError
from jobledger.infra.eventstore.ledger_events import LedgerEventWrite
from jobledger.infra.privacy.subject_keys import CACHE_SECONDS, SubjectKeys
from jobledger.infra.proof.audit.erasures import check_keys, erased_events, erased_keys
from jobledger.infra.proof.log.leaves import copy_rows
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.retention import erase as erasing
from jobledger.infra.retention.erase import erase
from jobledger.infra.upkeep.verify import verify

from tests.command_line import Cli
from tests.ledgers import application_of, fresh_ledger
from tests.privacy.test_personal import JOB, key_of, of
from tests.servers import Server


def shown(ledger: Ledger, value: Any) -> Any:
    """As a process shows it that has not read a key yet."""
    return SubjectKeys(ledger.pool).decrypt(value)


def leaves(ledger: Ledger, until: int) -> bytes:
    """The hashes of the first events, from what is stored of them now."""
    with ledger.connection() as connection:
        key = connection.execute("SELECT key FROM tiles WHERE level = 0 AND number = 0").fetchone()
        assert key is not None
        return hash_rows(list(copy_rows(connection, 1, until)), salts(key[0]))


@pytest.mark.slow
def test_an_erased_subject_reads_as_erased_and_no_leaf_changes(ledger: Ledger) -> None:
    ledger.create(JOB, spec={"who": of("Alice"), "b": of("Bob", "user:bob"), "n": 1})
    ledger.failed(JOB, {"code": 3, "message": "", "details": [of({"ip": "::1"})]})
    before = [event.stored for event in ledger.history(JOB)]
    ledger.seal()
    with ledger.connection() as connection:
        size = Tree().log_state(connection).size
        root = Tree().root(connection, size)
    hashes, key = leaves(ledger, 2), key_of(ledger)
    erasure = erase(ledger, "user:alice", "me")
    assert erasure == (key, 3)
    gone = {"@erased": {"key": key}}
    assert shown(ledger, ledger.get(JOB).spec) == {"who": gone, "b": "Bob", "n": 1}
    assert shown(ledger, ledger.get(JOB).error) == {"code": 3, "message": "", "details": [gone]}
    assert [event.stored for event in ledger.history(JOB)] == before
    assert leaves(ledger, 2) == hashes
    assert size == 2 <= TILE
    with ledger.connection() as connection:
        assert Tree().root(connection, size) == root
        assert verify(connection).ok
        assert check_keys(connection) == []
        assert erased_keys(connection) == {key: 3}
        assert erased_events(connection) == 2
    record = next(ledger.events(2, follow=False))
    assert (record.name, record.version, record.type, record.schema, record.actor) == (
        "ledger/erasures", 1, "Erased", 0, "me",
    )  # fmt: skip
    assert json.loads(record.stored) == {"keys": [key]}
    assert b"alice" not in record.stored


@pytest.mark.slow
def test_a_subject_that_comes_again_has_a_new_key(ledger: Ledger) -> None:
    ledger.create(JOB, spec={"who": of("Alice")})
    for n in range(3):
        old = erase(ledger, "user:alice").key
        ledger.change_config(JOB, {"who": of("Alice"), "n": n})
        assert key_of(ledger) not in {None, old}
    values = [event.json["spec"]["who"] for event in ledger.history(JOB)]
    assert [shown(ledger, value) for value in values[:3]] == [
        {"@erased": {"key": value["@personal"]["key"]}} for value in values[:3]
    ]
    assert shown(ledger, values[3]) == "Alice"
    with ledger.connection() as connection:
        assert check_keys(connection) == []
        assert len(erased_keys(connection)) == 3
        assert verify(connection).ok


@pytest.mark.slow
def test_a_cached_key_is_not_used_after_an_erasure(ledger: Ledger, dsn: str) -> None:
    ledger.create(JOB, spec={"who": of("Alice")})
    assert ledger.reveal(ledger.get(JOB).spec) == {"who": "Alice"}
    with Ledger.open(dsn, ledger.name) as elsewhere:
        old = erase(elsewhere, "user:alice").key
    ledger.change_config(JOB, {"who": of("Alice again")})
    now = ledger.get(JOB).spec
    assert now["who"]["@personal"]["key"] != old
    assert shown(ledger, now) == {"who": "Alice again"}
    since = time.monotonic()
    first = ledger.history(JOB)[0].json
    while ledger.reveal(first) == {"spec": {"who": "Alice"}}:
        assert time.monotonic() - since < 60
        time.sleep(0.05)
    assert ledger.reveal(first) == {"spec": {"who": {"@erased": {"key": old}}}}
    assert CACHE_SECONDS <= 5


@pytest.mark.slow
def test_a_request_that_is_repeated_after_that_is_still_the_same(ledger: Ledger) -> None:
    spec: JsonObject = {"who": of("Alice"), "n": 1}
    ledger.create(JOB, spec=spec, request_id="r1")
    erase(ledger, "user:alice")
    time.sleep(CACHE_SECONDS)
    assert ledger.create(JOB, spec=spec, request_id="r1").version == 1
    for other in (spec | {"n": 2}, {"who": "Alice", "n": 1}):
        with pytest.raises(RequestReusedError):
            ledger.create(JOB, spec=other, request_id="r1")


def test_an_erasure_is_atomic(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.create(JOB, spec={"who": of("Alice")})
    key = key_of(ledger)

    def break_off(*_: object) -> None:
        raise psycopg.errors.QueryCanceled("pulled")

    with monkeypatch.context() as broken:
        broken.setattr(LedgerEventWrite, "done", break_off)
        with pytest.raises(Exception, match="pulled"):
            erase(ledger, "user:alice")
    assert (key_of(ledger), ledger.size()) == (key, 1)
    with monkeypatch.context() as broken:
        broken.setattr(erasing, "REWRITE", b"SELECT 1 / 0")  # Ended just behind the commit.
        assert erase(ledger, "user:alice") == (key, 2)
    with pytest.raises(SubjectNotFoundError):
        erase(ledger, "user:alice")
    assert ledger.size() == 2


def test_a_role_without_the_right_is_refused_with_the_reason(ledger: Ledger, dsn: str) -> None:
    ledger.create(JOB, spec={"who": of("Alice")})
    with application_of(dsn, ledger) as application:
        with pytest.raises(OwnerNeededError):
            erase(application, "user:alice")
        with pytest.raises(SubjectNotFoundError):
            erase(application, "user:bob")
    for bad in ("", "x" * 300, "a\nb"):
        with pytest.raises(InvalidFieldError):
            erase(ledger, bad)
    assert ledger.size() == 1
    assert shown(ledger, ledger.get(JOB).spec) == {"who": "Alice"}


@pytest.mark.slow
def test_a_key_deleted_without_an_event_is_reported(ledger: Ledger, dsn: str) -> None:
    ledger.create(JOB, spec={"who": of("Alice"), "text": '"@personal":{"key":"x","sealed"'})
    ledger.change_config(JOB, {"who": of("Alice"), "n": 2})
    with ledger.connection() as connection:
        assert check_keys(connection) == []
        row = connection.execute("DELETE FROM subject_keys RETURNING *").fetchone()
        assert row is not None
        [finding] = check_keys(connection)
        assert (finding.kind, finding.position) == ("missing", 1)
        assert "2 events" in finding.detail
        connection.execute("INSERT INTO subject_keys VALUES (%s, %s, %s, %s)", row)
        assert check_keys(connection) == []
        erase(ledger, "user:alice")
        assert check_keys(connection) == []
        # A backup brought it back.
        connection.execute("INSERT INTO subject_keys VALUES (%s, %s, %s, %s)", row)
        assert [finding.kind for finding in check_keys(connection)] == ["extra"]
    with fresh_ledger(dsn) as other, other.connection() as connection:
        assert check_keys(connection) == []


@pytest.mark.slow
def test_the_command_line_erases(cli: Cli) -> None:
    cli("record", "a", "Created", "--data", json.dumps({"spec": {"who": of("Alice"), "n": 1}}))
    asked = cli.run("erase", "user:alice")
    assert (asked.returncode, asked.stderr) == (
        2, "jobledger: yes: cannot be confirmed without a terminal; give --yes\n"
    )  # fmt: skip
    assert cli.json("show", "a", "--json")["spec"] == {"who": "Alice", "n": 1}
    erased = cli.json("erase", "user:alice", "--yes", "--json")
    gone = {"@erased": {"key": erased["key"]}}
    assert cli.json("show", "a", "--json")["spec"] == {"who": gone, "n": 1}
    assert cli.json("history", "a", "--json")[0]["data"] == {"spec": {"who": gone, "n": 1}}
    for command in ("show", "history"):
        assert "@erased" in cli(command, "a")
    assert "Erased" in cli("events")
    assert cli.json("verify", "--json")["ok"]
    for subject in ("user:alice", "user:nobody"):
        again = cli.run("erase", subject, "--yes")
        assert again.returncode == 3
        assert again.stderr == (
            f"jobledger: the ledger has no personal data of {subject!r}: it never had any, or it was erased\n"
        )


@pytest.mark.slow
def test_a_server_stops_showing_an_erased_subject(server: Server, project: str) -> None:
    name, subject = f"projects/{project}/jobs/a", f"user:{project}"
    spec = {"trainingInput": {"region": of("Alice", subject), "args": ["x"]}, "n": of(7, subject)}
    server.ledger.create(name, spec=spec)
    pipelines = f"/v1/projects/{project}/locations/l/trainingPipelines"
    with server.client() as client:
        free = {"trainingTaskInputs": {"owner": of("Alice", subject)}, "displayName": "n"}
        assert client.post(pipelines, json=free).status_code == 200
        assert client.get(f"/ledger/v1/{name}").json()["spec"]["n"] == 7
        assert client.get(f"/v1/{name}").json()["trainingInput"]["region"] == "Alice"
        key = erase(server.ledger, subject).key
        time.sleep(CACHE_SECONDS)
        gone = {"@erased": {"key": key}}
        assert client.get(f"/ledger/v1/{name}").json()["spec"] == {
            "trainingInput": {"region": gone, "args": ["x"]}, "n": gone,
        }  # fmt: skip
        events = client.get(f"/ledger/v1/{name}/events").json()["events"]
        assert events[0]["data"]["spec"]["n"] == gone
        # No object can stand where Google's clients expect a string: such a field is left out.
        assert client.get(f"/v1/{name}").json()["trainingInput"] == {"args": ["x"]}
        [pipeline] = client.get(pipelines).json()["trainingPipelines"]
        assert pipeline["trainingTaskInputs"] == {"owner": gone}


def test_a_damaged_value_is_not_shown_as_erased(ledger: Ledger) -> None:
    ledger.create(JOB, spec={"who": of("Alice")})
    spec = ledger.get(JOB).spec
    spec["who"]["@personal"]["sealed"] = "A" * len(spec["who"]["@personal"]["sealed"])
    with pytest.raises(BrokenLedgerError):
        shown(ledger, spec)
