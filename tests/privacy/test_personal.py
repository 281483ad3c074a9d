"""Personal values: encrypted in every write, decrypted in every read, and tamper-evident."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from eventsourcing.persistence import JSONTranscoder
from jobledger.domain import events as e
from jobledger.domain.commands import CancelJob, CreateJob
from jobledger.domain.data import Status
from jobledger.domain.errors import (
    DataTooLargeError,
    InvalidFieldError,
    LedgerError,
    RequestReusedError,
)
from jobledger.domain.events import Created, Event, Failed, Started, Succeeded
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra import Ledger
from jobledger.infra.adapter.mapper import JobMapper, rows_of
from jobledger.infra.errors import BrokenLedgerError
from jobledger.infra.eventstore.write_path import ReportedEvent
from jobledger.infra.eventstore.writes.job_write import JobWrite, Provenance
from jobledger.infra.privacy import envelope as personal
from jobledger.infra.privacy.envelope import Encrypted, Key, NotEncryptedError
from jobledger.infra.privacy.subject_keys import SubjectKeys
from jobledger.infra.transfer.traces.simulation import BEGIN
from jobledger.infra.upkeep.verify import verify
from psycopg.types.json import Json

from tests.command_line import Cli
from tests.forms import Opener
from tests.ledgers import application_of, fresh_ledger
from tests.servers import Server

pytestmark = pytest.mark.both_forms

JOB = "projects/p/jobs/a"


ANY_JSON = [
    None, True, False, 0, -7, 1.5, 1e300, 2**53 - 1, "", "Alice", 'ü\n"\\\u2028', [], {}, [1, [None]],
    {"name": "Alice", "of": [{"age": 44}]}, {"value": 1}, "@personal",
]  # fmt: skip


def of(value: Any, subject: str = "user:alice") -> JsonObject:
    """Returns a personal value as a writer gives it."""
    return {"@personal": {"subject": subject, "value": value}}


def stored(ledger: Ledger) -> bytes:
    """All that the database holds of events and jobs."""
    with ledger.connection() as connection:
        rows = connection.execute("SELECT data FROM events ORDER BY position").fetchall()
        jobs = connection.execute("SELECT jobs::text FROM jobs").fetchall()
    return b"\n".join([row[0] for row in rows] + [row[0].encode() for row in jobs])


def key_of(ledger: Ledger, subject: str = "user:alice") -> str | None:
    with ledger.connection() as connection:
        row = connection.execute(
            "SELECT id FROM subject_keys WHERE subject = %s", (subject,)
        ).fetchone()
    return None if row is None else row[0]


@pytest.mark.parametrize("value", ANY_JSON, ids=repr)
def test_any_json_is_encrypted_and_decrypted(value: Any) -> None:
    key = Key("k1", bytes(range(32)))
    part = personal.encrypt(value, key)
    assert part == personal.encrypt(value, key)
    assert part.decrypt(key.value) == value
    other = personal.encrypt(value, Key("k1", bytes(32)))
    assert other.sealed != part.sealed
    for wrong in (Encrypted("k2", part.sealed), other):
        with pytest.raises(BrokenLedgerError):
            wrong.decrypt(key.value)


@pytest.mark.slow
def test_personal_values_are_stored_encrypted_and_shown_decrypted(ledger: Ledger) -> None:
    spec = {"values": [of(value) for value in ANY_JSON], "owner": of("Alice"), "n": 1}
    job = ledger.create(JOB, spec=spec)
    assert b"Alice" not in stored(ledger)
    assert json.dumps(job.spec).count('"sealed"') == len(ANY_JSON) + 1
    shown = {"values": ANY_JSON, "owner": "Alice", "n": 1}
    assert ledger.decrypt(job.spec) == shown
    assert ledger.decrypted(ledger.get(JOB)).spec == shown
    [event] = ledger.history(JOB)
    assert ledger.decrypted(event).json == {"spec": shown}
    assert ledger.decrypted(ledger.get(JOB, as_of="v1")).spec == shown
    with ledger.connection() as connection:
        assert verify(connection).ok


def test_two_subjects_in_one_event_have_two_keys(ledger: Ledger) -> None:
    ledger.create(JOB, spec={"a": of("x"), "b": of("x", "user:bob"), "c": of("x")})
    spec = ledger.get(JOB).spec
    assert spec["a"] == spec["c"] != spec["b"]
    assert spec["a"]["@personal"]["key"] == key_of(ledger)
    assert spec["b"]["@personal"]["key"] == key_of(ledger, "user:bob")
    assert ledger.decrypt(spec) == {"a": "x", "b": "x", "c": "x"}


@pytest.mark.slow
def test_every_write_encrypts_personal_values(ledger: Ledger) -> None:
    ledger.command(JOB, CreateJob(spec={"who": of("Alice")}))
    ledger.report(JOB, Started.model_validate({"worker": of("Alice")}))
    ledger.change_config(JOB, {"who": of("Alice")})  # As it is already, but for nothing.
    ledger.change_policy(JOB, {"members": [of("Alice")]})
    ledger.update(JOB, {"who": of("Alice")})
    ledger.failed(JOB, {"code": 3, "message": "", "details": [of("Alice")]})
    ledger.started(JOB, {"late": of("Alice")})  # Contradicted.
    many = [ReportedEvent(JOB, e.parse_data("Retried", {"by": of("Alice")})),
            ReportedEvent(JOB, e.parse_data("Started", {"by": of("Alice")})),
            ReportedEvent(JOB, e.parse_data("Succeeded", {"output": {"by": of("Alice")}}))]  # fmt: skip
    assert not [each for each in ledger.report_many(many) if isinstance(each, LedgerError)]
    ledger.append_many(
        Event(f"projects/p/jobs/b{n}", 1, Created(spec={"who": of("Alice")}), BEGIN)
        for n in range(3)
    )
    assert b"Alice" not in stored(ledger)
    events = [*ledger.events(follow=False)]
    assert [event.type for event in events[:10]] == [
        "Created", "Started", "PolicyChanged", "Updating", "Failed", "Contradicted",
        "Retried", "Started", "Succeeded", "Created",
    ]  # fmt: skip
    assert all(b'"sealed"' in event.stored for event in events)
    assert all(b"Alice" in ledger.decrypted(event).stored for event in events)
    with ledger.connection() as connection:
        assert verify(connection).ok


def test_several_jobs_are_asked_at_once(ledger: Ledger) -> None:
    names = [JOB, "projects/p/jobs/b"]
    jobs, _ = ledger.command_all(iter(names), CreateJob(spec={"who": of("Alice")}))
    assert [ledger.decrypt(job.spec) for job in jobs] == [{"who": "Alice"}] * 2
    ledger.command_all(names, CancelJob(reason="done"))
    assert b"Alice" not in stored(ledger)


@pytest.mark.slow
@pytest.mark.plain_server
def test_a_granted_role_encrypts_and_decrypts(
    dsn: str, ledger: Ledger, open_ledger: Opener
) -> None:
    with application_of(dsn, ledger, open_ledger) as application:
        application.create(JOB, spec={"who": of("Alice")})
        application.append_many([Event("projects/p/jobs/b", 1, Created(spec={"x": of(1)}), BEGIN)])
        assert application.decrypt(application.get(JOB).spec) == {"who": "Alice"}
    assert b"Alice" not in stored(ledger)


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    [
        {"@personal": None}, {"@personal": {}}, {"@personal": "x"}, {"@personal": {"subject": "s"}},
        {"@personal": {"value": 1}}, {"@personal": {"subject": "s", "value": 1, "more": 2}},
        {"@personal": {"subject": "s", "value": 1}, "beside": 1}, {"@personal": {"subject": "", "value": 1}},
        {"@personal": {"subject": "s" * 1000, "value": 1}}, {"@personal": {"subject": None, "value": 1}},
        {"@personal": {"subject": 7, "value": 1}}, {"@personal": {"subject": "a\nb", "value": 1}},
        {"@personal": {"subject": "s", "value": [{"@personal": {"subject": "t", "value": 1}}]}},
        {"@personal": {"key": "k", "sealed": "?"}}, {"@personal": {"key": "k", "sealed": "AAAA"}},
        {"@personal": {"key": "k" * 65, "sealed": "A" * 64}}, {"@personal": {"key": "", "sealed": "A" * 64}},
    ],
    ids=lambda part: json.dumps(part)[:60],
)  # fmt: skip
def test_a_malformed_part_is_refused(ledger: Ledger, part: Any) -> None:
    with pytest.raises(InvalidFieldError):
        ledger.create(JOB, spec={"x": part, "y": of(1)})
    ledger.create(JOB)
    with pytest.raises(InvalidFieldError):
        ledger.started(JOB, {"x": part})
    bad = ReportedEvent(JOB, Started.model_validate({"x": part}))
    good = ReportedEvent(JOB, Started.model_validate({"x": of("Alice")}))
    refused, kept = ledger.report_many([bad, good])
    assert isinstance(refused, InvalidFieldError)
    assert not isinstance(kept, LedgerError)
    with pytest.raises(InvalidFieldError):
        ledger.append_many([Event("projects/p/jobs/b", 1, Created(spec={"x": part}), BEGIN)])


@pytest.mark.slow
def test_a_personal_value_in_place_of_an_object_is_refused(ledger: Ledger) -> None:
    for spec in (of("text"), {"@personal": {"subject": "s", "value": [1]}}):
        with pytest.raises(InvalidFieldError):
            ledger.create(JOB, spec=spec)
    ledger.create(JOB, spec=of({"who": "Alice"}))
    assert ledger.decrypt(ledger.get(JOB).spec) == {"who": "Alice"}
    with pytest.raises(InvalidFieldError):
        ledger.report(JOB, Started.model_validate(of("text")))
    with pytest.raises(InvalidFieldError):
        ledger.report(JOB, Succeeded.model_validate({"output": of(7)}))
    ledger.report(JOB, Started.model_validate(of({"x": 1})))
    assert ledger.decrypted(ledger.history(JOB)[-1]).json == {"x": 1}
    with pytest.raises(InvalidFieldError):
        ledger.create("projects/p/jobs/b", labels={"who": of("Alice")})  # type: ignore[dict-item]
    assert b"Alice" not in stored(ledger)


def test_a_value_that_is_too_large_once_encrypted_is_refused(ledger: Ledger) -> None:
    with pytest.raises(DataTooLargeError):
        ledger.create(JOB, spec={"x": of("x" * 200_000)})
    assert ledger.size() == 0


@pytest.mark.slow
def test_an_encrypted_value_is_kept_if_it_is_valid_or_its_key_is_elsewhere(
    dsn: str, ledger: Ledger
) -> None:
    ledger.create(JOB, spec={"who": of("Alice")})
    sealed = ledger.get(JOB).spec
    ledger.create("projects/p/jobs/b", spec=sealed)
    assert ledger.get("projects/p/jobs/b").spec == sealed
    forged = {"who": {"@personal": sealed["who"]["@personal"] | {"sealed": "A" * 64}}}
    with pytest.raises(InvalidFieldError):
        ledger.create("projects/p/jobs/c", spec=forged)
    with fresh_ledger(dsn) as other:
        other.append_many(event.event for event in ledger.events(follow=False))
        assert [x.stored for x in other.events(follow=False)] == [
            x.stored for x in ledger.events(follow=False)
        ]
        assert other.decrypt(other.get(JOB).spec) == {"who": {"@erased": {"key": key_of(ledger)}}}


@pytest.mark.slow
def test_a_repeated_request_is_answered_again(ledger: Ledger) -> None:
    for _ in range(3):
        made = ledger.create(JOB, spec={"who": of("Alice")}, request_id="r1")
        assert made.version == 1
        ledger.started(JOB, {"who": of("Alice")}, request_id="r2")
        [again] = ledger.report_many(
            [ReportedEvent(JOB, Started.model_validate({"who": of("Alice")}), {"request_id": "r2"})]
        )
        assert not isinstance(again, LedgerError)
    assert ledger.size() == 2
    with pytest.raises(RequestReusedError):
        ledger.started(JOB, {"who": of("Bob")}, request_id="r2")
    with pytest.raises(RequestReusedError):
        ledger.started(JOB, {"who": of("Alice", "user:bob")}, request_id="r2")


def test_a_config_that_is_so_already_is_no_event(ledger: Ledger) -> None:
    ledger.create(JOB, spec={"who": of("Alice")})
    assert ledger.change_config(JOB, {"who": of("Alice")}).version == 1
    assert ledger.change_config(JOB, {"who": of("Bob")}).version == 2


def test_no_write_path_stores_a_personal_value_unencrypted(ledger: Ledger) -> None:
    intent = Created(spec={"who": of("Alice")})
    with pytest.raises(NotEncryptedError):
        ledger.submit(JobWrite(JOB, lambda _, past: (intent,), Provenance(BEGIN)))
    mapped = JobMapper(transcoder=JSONTranscoder()).to_stored_event(Event(JOB, 1, intent, BEGIN))
    with pytest.raises(NotEncryptedError):
        rows_of([mapped])
    assert ledger.size() == 0


@pytest.mark.slow
@pytest.mark.plain_server
def test_a_damaged_ciphertext_is_neither_a_value_nor_erased(ledger: Ledger, cli: Cli) -> None:
    ledger.create(JOB, spec={"who": of("Alice"), "b": of("x", "user:bob")})
    spec = ledger.get(JOB).spec
    sealed = spec["who"]["@personal"]["sealed"]
    at = len(sealed) // 2
    flipped = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]
    with ledger.connection() as connection:
        connection.execute("ALTER TABLE events DISABLE TRIGGER ALL")
        for damage in (flipped, sealed[:20], "%"):
            connection.execute(
                "UPDATE events SET data = convert_to(replace(convert_from(data, 'UTF8'), %s, %s), 'UTF8')",
                (sealed, damage),
            )
            with pytest.raises(BrokenLedgerError, match=r"key|encrypted"):
                ledger.decrypted(ledger.history(JOB)[0])
            connection.execute(
                "UPDATE events SET data = convert_to(replace(convert_from(data, 'UTF8'), %s, %s), 'UTF8')",
                (damage, sealed),
            )
        assert ledger.decrypted(ledger.history(JOB)[0]).json["spec"]["who"] == "Alice"
        # Another's key in the place of hers.
        connection.execute("ALTER TABLE subject_keys DISABLE TRIGGER ALL")
        connection.execute(
            "UPDATE subject_keys SET key = CASE subject_keys.subject WHEN 'user:bob' THEN a.key ELSE b.key END"
            " FROM subject_keys a, subject_keys b"
            " WHERE a.subject = 'user:alice' AND b.subject = 'user:bob'"
        )
    with pytest.raises(BrokenLedgerError):
        SubjectKeys(ledger.reader.pool).decrypt(spec)
    done = cli.run("show", "a", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("jobledger: personal data under key")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_old_data_that_resembles_a_personal_value_is_shown_unchanged(ledger: Ledger) -> None:
    ledger.create(JOB)
    with ledger.connection() as connection:
        connection.execute("ALTER TABLE events DISABLE TRIGGER ALL")
        connection.execute(
            "UPDATE events SET data = convert_to(%s::text, 'UTF8')", ('{"x":{"@personal":7}}',)
        )
        connection.execute("UPDATE jobs SET spec = %s", (Json({"@personal": [1]}),))
    assert ledger.decrypted(ledger.history(JOB)[0]).json == {"x": {"@personal": 7}}
    assert ledger.decrypted(ledger.get(JOB)).spec == {"@personal": [1]}


@pytest.mark.slow
def test_the_command_line_shows_values(cli: Cli) -> None:
    part = json.dumps({"who": of("Alice")})
    cli("record", "a", "Created", "--data", json.dumps({"spec": {"who": of("Alice")}}))
    body = cli.json("record", "a", "Started", "--data", part, "--json")
    assert body["events"][0]["data"] == body["job"]["spec"] == {"who": "Alice"}
    for asked in (
        ("show", "a"), ("show", "a", "--json"), ("show", "a", "--as-of", "v1"), ("history", "a"),
        ("history", "a", "--json"), ("events",), ("list", "--format", "jsonl"), ("list", "--json"),
        ("blame", "a"), ("diff", "a", "--from", "v1", "--to", "v2", "--json"),
        ("list", "--page-size", "5", "--json"), ("replay", "a"), ("bisect", "a", "--filter", "state = QUEUED"),
    ):  # fmt: skip
        shown = cli(*asked)
        assert "sealed" not in shown, asked
        assert "Alice" in shown or asked[0] in {"diff", "bisect"}, asked
    exported = cli("export", "a")
    assert "Alice" not in exported
    assert exported.count('"sealed"') == 2


def test_the_server_takes_and_shows_values(server: Server, project: str) -> None:
    path = f"/ledger/v1/projects/{project}/jobs/a"
    with server.client() as client:

        def asked(answer: httpx.Response) -> Any:
            assert answer.status_code == 200, answer.text
            return answer.json()

        made = asked(client.post(f"{path}:create", json={"spec": {"who": of("Alice")}}))
        assert made["job"]["spec"] == made["events"][0]["data"]["spec"] == {"who": "Alice"}
        asked(client.post(f"{path}:started", json={"data": {"by": of("Alice")}}))
        batch = [
            {
                "name": path[11:],
                "report": "progressReported",
                "data": {"output": {"by": of("Alice")}},
            }
        ]
        assert (
            "error"
            not in asked(client.post("/ledger/v1/reports:batch", json={"reports": batch}))[
                "results"
            ][0]
        )
        events = asked(client.get(f"{path}/events"))["events"]
        assert [event["data"] for event in events] == [
            {"spec": {"who": "Alice"}}, {"by": "Alice"}, {"output": {"by": "Alice"}},
        ]  # fmt: skip
        assert asked(client.get(path))["output"] == {"by": "Alice"}
        assert asked(client.get(path, params={"asOf": "v1"}))["spec"] == {"who": "Alice"}
        feed = asked(client.get("/ledger/v1/events", params={"after": events[0]["position"] - 1}))
        assert feed["events"][0]["data"] == {"spec": {"who": "Alice"}}
        listed = asked(client.get("/ledger/v1/jobs", params={"filter": f"project = {project}"}))
        assert listed["jobs"][0]["spec"] == {"who": "Alice"}
        after = {"after": events[0]["position"] - 1}
        with client.stream("GET", "/ledger/v1/events:stream", params=after) as stream:
            data = (line for line in stream.iter_lines() if line.startswith("data:"))
            assert json.loads(next(data)[5:])["data"] == {"spec": {"who": "Alice"}}
        refused = client.post(f"{path}:progressReported", json={"data": {"x": {"@personal": 1}}})
        assert refused.status_code == 400
    assert b"Alice" not in stored(server.ledger)


@pytest.mark.slow
def test_googles_apis_accept_and_show_personal_values(server: Server, project: str) -> None:
    # A value that people gave natively is of a typed field there; free JSON may be given there, too.
    ml = f"projects/{project}/jobs/a"
    server.ledger.create(
        ml, spec={"trainingInput": {"region": of("Alice"), "args": ["x", of("y")]}}
    )
    parent = f"/v1/projects/{project}/locations/l"
    inputs = {
        "trainingTaskInputs": {"owner": of("Alice")},
        "trainingTaskDefinition": "d",
        "displayName": "n",
    }
    with server.client() as client:
        [job] = client.get(f"/v1/projects/{project}/jobs").json()["jobs"]
        shown = {"region": "Alice", "args": ["x", "y"]}
        assert job["trainingInput"] == client.get(f"/v1/{ml}").json()["trainingInput"] == shown
        labelled = client.patch(f"/v1/{ml}?updateMask=labels", json={"labels": {"a": "b"}}).json()
        assert labelled["trainingInput"] == shown
        made = client.post(f"{parent}/trainingPipelines", json=inputs)
        assert made.status_code == 200, made.text
        assert made.json()["trainingTaskInputs"] == {"owner": "Alice"}
        listed = client.get(f"{parent}/trainingPipelines").json()["trainingPipelines"]
        assert listed[0]["trainingTaskInputs"] == {"owner": "Alice"}
        name = f"projects/{project}/evaluationJobs/1"
        server.ledger.create(name, spec={"description": of("Alice"), "schedule": "every 24 hours"})
        changed = client.patch(f"/v1beta1/{name}?updateMask=evaluationJobConfig.exampleCount",
                               json={"evaluationJobConfig": {"exampleCount": 3}})  # fmt: skip
        assert changed.status_code == 200, changed.text
        assert changed.json()["description"] == "Alice"
    assert server.ledger.decrypt(server.ledger.get(name).spec)["description"] == "Alice"
    assert b"Alice" not in stored(server.ledger)


@pytest.mark.slow
def test_jobs_without_personal_values_load_no_keys(ledger: Ledger) -> None:
    ledger.create(JOB, spec={"a": "@personal", "b": "x"})
    with ledger.connection() as connection:
        connection.execute("DROP TABLE subject_keys CASCADE")
    ledger.failed(JOB, Status(code=3, message="no").model_dump())
    assert ledger.decrypted(ledger.get(JOB)).error == {"code": 3, "message": "no"}
    assert ledger.report_many([ReportedEvent(JOB, Failed())])
