"""Pruning: whole jobs are exported and deleted; the rest is unchanged, and verification accepts it."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.proof.leaves import digest_of_positions
from jobledger.domain.states import TERMINAL
from jobledger.infra import Ledger
from jobledger.infra.errors import InputError, OwnerNeededError
from jobledger.infra.eventstore.writer import Writer
from jobledger.infra.proof.audit.prunings import check_records, pruned_ranges
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.retention import prune as pruning
from jobledger.infra.retention.archive import Export
from jobledger.infra.retention.prune import Pruning
from jobledger.infra.transfer.imports.read_export import open_history
from jobledger.infra.transfer.traces.simulation import simulate
from jobledger.infra.upkeep.rebuild import rebuild
from jobledger.infra.upkeep.rehearse import rehearse
from jobledger.infra.upkeep.verify import verify
from jobledger.projections.catalogue import INTERVALS, JOBS

from tests.command_line import Cli
from tests.ledgers import application_of
from tests.privacy.test_personal import of
from tests.servers import serving


def now() -> datetime:
    return datetime.now(UTC)


def prune_all(ledger: Ledger, file: Path, *, is_there: bool = False) -> Pruning:
    return ledger.prune(now(), Export(file, is_there=is_there), "me")


def gone_of(ledger: Ledger) -> tuple[set[str], set[str]]:
    """The names of jobs that are over, and of the others."""
    with ledger.connection() as connection:
        ended = [state.name for state in TERMINAL]
        rows = connection.execute(
            "SELECT name, delete_time IS NOT NULL OR state = ANY (%s) FROM jobs", (ended,)
        ).fetchall()
    return {name for name, over in rows if over}, {name for name, over in rows if not over}


def check_all_holds(ledger: Ledger) -> None:
    ledger.follow(ledger.size())
    with ledger.connection() as connection:
        verdict = verify(connection)
        assert verdict.ok, verdict.findings[:3]
        assert check_records(connection) == []
        # Signatures keep the hashes of pruned events; verify knows that.
        for projection in (JOBS, INTERVALS):
            rehearsal = rehearse(connection, projection, limit=10_000)
            # Counts that came to nothing may be there or not.
            nothing = [{None, 0}, {0}]
            changes = [
                c for c in rehearsal.changes if set(c.fields.get("change", ())) not in nothing
            ]
            assert not [change for change in changes if change.fields]


def holes(ledger: Ledger) -> set[int]:
    with ledger.connection() as connection:
        return {n for first, last in pruned_ranges(connection) for n in range(first, last + 1)}


@pytest.mark.slow
def test_ended_jobs_are_pruned_and_the_others_unchanged(busy: Ledger, tmp_path: Path) -> None:
    over, live = gone_of(busy)
    assert over
    assert live
    before = {name: (busy.get(name), busy.history(name)) for name in live}
    ids = [event for event in busy.events(follow=False) if event.name in over]
    size = busy.size()
    busy.seal()
    with busy.connection() as connection:
        root = Tree().root(connection, size)
    pruned = prune_all(busy, tmp_path / "pruned.jsonl")
    assert (pruned.jobs, pruned.events) == (len(over), len(ids))
    assert gone_of(busy) == (set(), live)
    assert holes(busy) == {event.position for event in ids}
    for name, (job, history) in before.items():
        assert (busy.get(name), busy.history(name)) == (job, history)
    for name in over:
        with pytest.raises(JobNotFoundError):
            busy.get(name)
        with pytest.raises(JobNotFoundError):
            busy.history(name)
    check_all_holds(busy)
    busy.seal()
    with busy.connection() as connection:
        assert Tree().root(connection, size) == root
    [record] = [event for event in busy.events(follow=False) if event.type == "Pruned"]
    body = json.loads(record.stored)
    with busy.connection() as connection:
        assert body["digest"] == digest_of_positions(pruned_ranges(connection))
    assert (body["jobs"], body["events"], record.actor) == (len(over), len(ids), "me")
    file = tmp_path / "pruned.jsonl"
    assert body["export"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    name = min(over)
    exported = open_history(file, name).events
    assert [e.stored for e in exported] == [e.stored for e in ids if e.name == name]
    assert prune_all(busy, tmp_path / "more.jsonl") == Pruning(0, 0, [])
    assert not (tmp_path / "more.jsonl").exists()


@pytest.mark.slow
def test_everything_reads_on_across_the_holes(busy: Ledger, dsn: str, tmp_path: Path) -> None:
    _, live = gone_of(busy)
    with busy.connection() as connection:
        time = connection.execute("SELECT max(occurred_time) FROM events").fetchone()
    assert time is not None
    expected = [event for event in busy.events(follow=False) if event.name in live]
    prune_all(busy, tmp_path / "pruned.jsonl")
    events = [*busy.events(follow=False)]
    assert events[:-1] == expected
    assert events[-1].position == busy.size()
    late = expected[len(expected) // 2]
    assert next(busy.events(late.position, follow=False)) == expected[len(expected) // 2 + 1]
    for position in (1, late.position, late.position + 1, busy.size()):
        known = {event.name for event in expected if event.position <= position}
        jobs = busy.list(as_of=f"@{position}")
        assert {job.name for job in jobs} == known
        assert sum(busy.count(as_of=f"@{position}").counts.values()) == len(known)
        moment = busy.moment(late.recorded_time, "recorded")
        assert {job.name for job in busy.list(as_of=moment)} == {
            event.name for event in expected if event.recorded_time <= late.recorded_time
        }
    assert sum(busy.count(as_of=time[0]).counts.values()) == len(live)
    with busy.connection() as connection:
        for projection in (JOBS, INTERVALS):
            rebuild(connection, projection)
    check_all_holds(busy)
    busy.append_many(simulate(5, 3, "q"))
    check_all_holds(busy)
    busy.create(next(iter(gone_of(busy)[0] or {"projects/p/jobs/again"})) + "x")
    with serving(busy, dsn) as server, server.client() as client:
        seen, after = list[int](), 0
        while page := client.get("/ledger/v1/events", params={"after": after}).json()["events"]:
            seen += [event["position"] for event in page]
            after = seen[-1]
        assert seen == [event.position for event in busy.events(follow=False)]


@pytest.mark.slow
def test_a_hole_longer_than_a_page_ends_no_feed(ledger: Ledger, tmp_path: Path) -> None:
    ledger.create("projects/p/jobs/first")
    for n in range(450):
        name = f"projects/p/jobs/j{n}"
        ledger.create(name)
        ledger.started(name)
        ledger.succeeded(name)
    ledger.create("projects/p/jobs/last")
    pruned = prune_all(ledger, tmp_path / "x.jsonl")
    assert (pruned.jobs, pruned.events) == (450, 1350)
    with ledger.connection() as connection:
        assert pruned_ranges(connection) == [(2, 1351)]
        keys = connection.execute(
            "SELECT number FROM tiles WHERE level = 0 AND key IS NULL ORDER BY 1"
        ).fetchall()
    assert [number for (number,) in keys] == [1, 2, 3, 4]
    assert [event.position for event in ledger.events(follow=False)] == [1, 1352, 1353]
    assert [event.position for event in ledger.events(500, follow=False)] == [1352, 1353]
    following = ledger.events(1)
    assert next(following).position == 1352
    moment = ledger.moment("@700")
    assert ledger.moment(moment.time, "recorded").position >= 1
    check_all_holds(ledger)


@pytest.mark.slow
def test_live_and_recent_jobs_are_not_pruned(ledger: Ledger, tmp_path: Path) -> None:
    ledger.create("projects/p/jobs/live")
    ledger.create("projects/p/jobs/old")
    ledger.cancel("projects/p/jobs/old")
    ledger.create("projects/p/jobs/touched")
    ledger.cancel("projects/p/jobs/touched")
    before = now()
    ledger.change_labels("projects/p/jobs/touched", {"a": "b"})
    ledger.create("projects/p/jobs/new")
    ledger.cancel("projects/p/jobs/new")
    pruned = ledger.prune(before, Export(tmp_path / "x", is_there=False))
    assert pruned.jobs == 1
    assert {job.name[16:] for job in ledger.list()} == {"live", "touched", "new"}
    with pytest.raises(InvalidFieldError):
        ledger.prune(now() + timedelta(hours=1), Export(tmp_path / "y", is_there=False))
    with pytest.raises(InvalidFieldError):
        ledger.prune(datetime(2026, 1, 1), Export(tmp_path / "y", is_there=False))  # noqa: DTZ001
    check_all_holds(ledger)


@pytest.mark.slow
def test_a_job_written_during_a_pruning_stays(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        ledger.create(f"projects/p/jobs/{name}")
        ledger.cancel(f"projects/p/jobs/{name}")
    batches = pruning._batches

    def late(*asked: Any) -> Iterator[Any]:
        ledger.retry("projects/p/jobs/a")
        return batches(*asked)

    monkeypatch.setattr(pruning, "_batches", late)
    assert prune_all(ledger, tmp_path / "x").jobs == 1
    assert ledger.get("projects/p/jobs/a").version == 4
    check_all_holds(ledger)


@pytest.mark.slow
def test_a_writer_with_a_cached_pruned_job_is_refused(
    ledger: Ledger, dsn: str, tmp_path: Path
) -> None:
    name = "projects/p/jobs/a"
    ledger.create(name)
    ledger.cancel(name)
    with Ledger.open(dsn, ledger.name) as elsewhere:
        assert elsewhere.change_labels(name, {"a": "b"}).version == 4
        prune_all(ledger, tmp_path / "x")
        for opened in (elsewhere, ledger):
            with pytest.raises(JobNotFoundError):
                opened.change_labels(name, {"a": "c"})
            with pytest.raises(JobNotFoundError):
                opened.started(name)
        elsewhere.create(name)
    check_all_holds(ledger)


@pytest.mark.slow
def test_a_crashed_pruning_leaves_whole_batches_and_continues(
    busy: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, live = gone_of(busy)
    file = tmp_path / "x.jsonl"
    monkeypatch.setattr(pruning, "BATCH", 40)
    for step in ("WRITE_PRUNED", "PRUNE_INTERVALS", "PRUNE_EVENTS", "FORGET_SALTS"):
        with monkeypatch.context() as broken:
            broken.setattr(pruning, step, b"SELECT 1 / 0")
            with pytest.raises(psycopg.Error):
                prune_all(busy, file, is_there=file.exists())
        assert gone_of(busy)[0] == over
        assert holes(busy) == set()
        check_all_holds(busy)
    submit, done = Writer.submit, list[Any]()

    def crash(writer: Writer, write: Any) -> None:
        if len(done) == 3:
            raise KeyboardInterrupt
        submit(writer, write)
        done.append(write)

    with monkeypatch.context() as broken:
        broken.setattr(Writer, "submit", crash)
        with pytest.raises(KeyboardInterrupt):
            prune_all(busy, file, is_there=True)
    check_all_holds(busy)
    left, _ = gone_of(busy)
    assert left < over
    with pytest.raises(InvalidFieldError, match="--exported"):
        prune_all(busy, file)
    pruned = prune_all(busy, file, is_there=True)
    assert (pruned.jobs, len(pruned.records) > 1) == (len(left), True)
    assert gone_of(busy) == (set(), live)
    check_all_holds(busy)


@pytest.mark.slow
def test_only_jobs_that_the_export_holds_whole_are_pruned(
    ledger: Ledger, cli: Cli, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        ledger.create(f"projects/p/jobs/{name}", spec={"who": of("Alice")})
        ledger.cancel(f"projects/p/jobs/{name}")
    cli("export", "a", "--to", str(tmp_path / "a.jsonl"))
    cli("export", "--to", str(tmp_path / "all.jsonl"))
    ledger.change_labels("projects/p/jobs/b", {"new": "er"})
    zipped = tmp_path / "a.jsonl.gz"
    zipped.write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    assert prune_all(ledger, zipped, is_there=True).jobs == 1
    assert prune_all(ledger, tmp_path / "all.jsonl", is_there=True).jobs == 1
    assert [job.name for job in ledger.list()] == ["projects/p/jobs/b"]
    check_all_holds(ledger)


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("CANCELLED", "x").replace('"reason":"r"', '"reason":"s"'),
        lambda text: text.replace('"actor":"me"', '"actor":"you"'),
        lambda text: text[: len(text) // 2],
        lambda text: text.rsplit("\n", 2)[0] + "\n",
        lambda text: text.split("\n", 1)[1],
        lambda text: text.replace('"version":1', '"version":9', 1),
        lambda text: text + "{}\n",
        lambda text: "[]\n" + text,
        lambda text: "",
    ],
)
def test_an_invalid_export_prunes_nothing(
    ledger: Ledger, cli: Cli, tmp_path: Path, damage: Any
) -> None:
    ledger.create("projects/p/jobs/a", actor="me")
    ledger.cancel("projects/p/jobs/a", "r", actor="me")
    file = tmp_path / "x.jsonl"
    file.write_text(damage(cli("export", "a")))
    with pytest.raises(InputError):
        prune_all(ledger, file, is_there=True)
    with pytest.raises(InputError):
        prune_all(ledger, tmp_path / "none", is_there=True)
    assert ledger.size() == 3
    assert ledger.get("projects/p/jobs/a").version == 3


@pytest.mark.slow
def test_a_role_without_the_right_is_refused_with_the_reason(
    ledger: Ledger, dsn: str, tmp_path: Path
) -> None:
    ledger.create("projects/p/jobs/a")
    ledger.cancel("projects/p/jobs/a")
    with application_of(dsn, ledger) as application, pytest.raises(OwnerNeededError):
        prune_all(application, tmp_path / "x")
    assert not (tmp_path / "x").exists()
    with pytest.raises(InvalidFieldError):
        prune_all(ledger, tmp_path / "no" / "folder")
    assert ledger.size() == 3


@pytest.mark.slow
def test_a_deletion_disguised_as_pruning_is_found(ledger: Ledger, tmp_path: Path) -> None:
    for name in ("a", "b"):
        ledger.create(f"projects/p/jobs/{name}")
        ledger.cancel(f"projects/p/jobs/{name}")
    ledger.create("projects/p/jobs/c")
    with ledger.connection() as connection:
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute("DELETE FROM events WHERE position = 2")
        prune_all(ledger, tmp_path / "x")
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute("DELETE FROM events WHERE position = 7")
        for statement in ("DELETE FROM pruned", "UPDATE pruned SET last = 7", "TRUNCATE pruned"):
            with pytest.raises(psycopg.errors.RestrictViolation):
                connection.execute(statement.encode())
        with pytest.raises(psycopg.errors.ExclusionViolation):
            connection.execute("INSERT INTO pruned VALUES (5, 9, 8)")
        for record in (8, 99):
            with connection.transaction(force_rollback=True):
                connection.execute("INSERT INTO pruned VALUES (7, 7, %s)", (record,))
                connection.execute("DELETE FROM jobs WHERE name LIKE '%/c'")
                connection.execute("DELETE FROM events WHERE position = 7")
                assert [finding.kind for finding in check_records(connection)] == ["missing"]
        connection.execute("ALTER TABLE pruned DISABLE TRIGGER ALL")
        check_all_holds(ledger)
        connection.execute("DELETE FROM pruned")
        assert [finding.kind for finding in check_records(connection)] == ["missing"]
        assert "gap" in {finding.kind for finding in verify(connection).findings}


@pytest.mark.slow
def test_the_command_line_prunes(cli: Cli, tmp_path: Path) -> None:
    assert cli.child("run", "--name", "done", "--", "true").returncode == 0
    cli("record", "live", "Created")
    file = tmp_path / "x.jsonl"
    body = cli.json("prune", "--before", "now", "--to", str(file), "--json")
    assert (body["jobs"], body["events"], body["file"]) == (1, 3, str(file))
    assert len(cli("history", "done", "--wide", "--from", str(file)).splitlines()) == 4
    missing = cli.run("show", "done")
    assert missing.returncode == 3
    gone = (
        "jobledger: there is no job projects/p/jobs/done; jobs that ended before .* were pruned\n"
    )
    assert re.fullmatch(gone, missing.stderr)
    assert cli.json("verify", "--json")["ok"]
    assert cli("prune", "--before", "1d ago", "--to", str(tmp_path / "y")) == "nothing to prune\n"
    for arguments in (
        ("--before", "now"), ("--before", "now", "--to", "a", "--exported", "b"),
        ("--before", "soon", "--to", "a"), ("--before", "v3", "--to", "a"),
        ("--before", "2999-01-01", "--to", "a"), ("--before", "now", "--exported", str(tmp_path)),
    ):  # fmt: skip
        cli("record", "live", "Cancelled")
        refused = cli.run("prune", *arguments)
        assert refused.returncode == 2, arguments
        assert refused.stderr.count("\n") == 1
        assert refused.stderr.startswith("jobledger: ")


def check_says_so_over_http(client: httpx.Client, before: datetime, gone: str) -> None:
    """Checks that answers about a time before the pruning tell of it, and others do not."""
    answer = client.get("/ledger/v1/jobs", params={"asOf": "@40"}).json()
    assert answer["prunedBefore"] == f"{before:%Y-%m-%dT%H:%M:%S.%fZ}"
    assert "prunedBefore" not in client.get("/ledger/v1/jobs").json()
    shown = client.get("/fleet/chart", params={"window": "all"}).text
    assert f"Jobs that were over before {before:%Y-%m-%d %H:%M:%S}" in shown
    google = {
        at: client.get("/v1/projects/p/jobs", params={"readTime": at} if at else {})
        for at in ("@40", "")
    }
    content = {at: answer.headers.get("x-jobledger-pruned-before") for at, answer in google.items()}
    assert content == {"@40": f"{before:%Y-%m-%dT%H:%M:%S.%fZ}", "": None}
    events = client.get("/ledger/v1/events", params={"pageSize": 1_000}).json()
    positions = [event["position"] for event in events["events"]]
    hidden = {n for a, b in events["prunedPositions"] for n in range(a, b + 1)}
    assert sorted([*positions, *hidden]) == list(range(1, events["lastPosition"] + 1))
    assert "were pruned" in client.get(f"/ledger/v1/{gone}").json()["error"]["message"]
    assert "were pruned, and are missing" in client.get("/", params={"at": "@40"}).text
    assert "were pruned, and are missing" in client.get("/reports").text


@pytest.mark.slow
def test_an_answer_about_a_pruned_past_says_so(
    busy: Ledger, dsn: str, cli: Cli, tmp_path: Path
) -> None:
    over, live = gone_of(busy)
    then = busy.moment("@40").time
    assert busy.moment("@40").pruned_past is None
    before = now()
    busy.create("projects/p/jobs/after")
    full = busy.size()
    busy.prune(before, Export(tmp_path / "pruned.jsonl", is_there=False), "me")
    for as_of in ("@40", then, f"{then.isoformat()}@40"):
        moment = busy.moment(as_of)
        assert (moment.pruned_before, moment.pruned_past) == (before, before)
        assert busy.page(as_of=as_of, page_size=1).moment.pruned_past == before
    first = busy.page(as_of="@40", page_size=1)
    later = busy.page(as_of="@40", page_size=1, page_token=first.next_page_token)
    assert later.moment.pruned_past == before
    assert busy.moment().pruned_past is None
    # The list of then had the pruned jobs as well, though they had ended.
    assert busy.page(as_of=f"@{full}", page_size=1).moment.pruned_past == before
    assert busy.page(as_of=busy.moment(), page_size=1).moment.pruned_past is None
    gone = min(over)
    reads: list[Callable[[str], object]] = [
        busy.history, busy.get, busy.why, busy.blame, busy.replay, busy.receipt,
        lambda name: busy.hold(name, "audit"),
    ]  # fmt: skip
    for read in reads:
        with pytest.raises(JobNotFoundError, match="were pruned") as caught:
            read(gone)
        assert caught.value.pruned_before == before
    body = f"jobs that ended before {before:%Y-%m-%dT%H:%M:%S}"
    for arguments in (
        ("list", "--as-of", "@40"),
        ("count", "--as-of", "@40"),
        ("report", "throughput"),
        ("bisect", "--count", "jobs > 1000000"),
        ("bisect", "--count", "jobs > 0", "--from", f"@{full}"),
    ):
        assert body in cli.run(*arguments).stderr
    assert body not in cli.run("list").stderr
    assert f"left out: {len(holes(busy))} pruned events" in cli.run("events").stderr
    with serving(busy, dsn) as server, server.client() as client:
        check_says_so_over_http(client, before, gone)
