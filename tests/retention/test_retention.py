"""Retention rules prune the jobs they select, never held ones, and fail independently."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from jobledger import (
    Export,
    InvalidFieldError,
    JobHeldError,
    JobNotFoundError,
    Ledger,
    OwnerNeededError,
    RetentionRule,
)
from jobledger.domain.events import Created, Deleted, Event, Failed, Started, Succeeded
from jobledger.domain.states import TERMINAL
from jobledger.infra.eventstore.ledger_events import LedgerEventWrite
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.audit.prunings import check_records
from jobledger.infra.retention import apply as applying
from jobledger.infra.retention import archive
from jobledger.infra.retention import prune as pruning
from jobledger.infra.transfer.imports.read_export import open_history
from jobledger.infra.upkeep.verify import verify

from tests.command_line import Cli
from tests.forms import FORMS, opened
from tests.ledgers import application_of, owned_ledger

DAY = 86_400.0
NAME = "projects/p/jobs/a"
NOW = datetime.now(UTC)


def fill(ledger: Ledger, random: Random, jobs: int) -> None:
    """Jobs of two kinds that ended up to 20 days ago in one way or another, or not."""

    def events(number: int) -> list[Event]:
        kind = random.choice(["jobs", "customJobs"])
        name = f"projects/p/{kind}/j{number}"
        end = NOW - timedelta(days=random.random() * 20)
        first = Created(labels={"team": random.choice("ab")})
        made = [Event(name, 1, first, end), Event(name, 2, Started(), end)]
        if ended := random.choice([Succeeded(), Failed(), None]):
            made.append(Event(name, 3, ended, end))
            if random.random() < 0.2:
                made.append(Event(name, 4, Deleted(), end + timedelta(days=1)))
        return made

    ledger.append_many(event for number in range(jobs) for event in events(number))


def selects(rule: RetentionRule, row: tuple[str, str, str, str, datetime, datetime | None]) -> bool:
    """What a rule means, in Python."""
    _, kind, state, team, end, deleted = row
    is_over = state in {each.name for each in TERMINAL} or (deleted is not None)
    return (
        is_over
        and max(end, deleted or end) <= NOW - timedelta(seconds=rule.keep_seconds)
        and (state in rule.states or not rule.states)
        and rule.kind in ("", kind)
        and (not rule.filter or f'"{team}"' in rule.filter)
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_rules_prune_what_they_select_and_is_not_held(
    ledger: Ledger, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(seed)
    monkeypatch.setattr(pruning, "BATCH", 40)
    fill(ledger, random, 150)
    rules = [
        RetentionRule(
            f"rule{number}",
            random.randrange(20) * DAY + 1,
            random.choice([(), ("FAILED",), ("SUCCEEDED", "FAILED")]),
            random.choice(["", "jobs", "customJobs"]),
            random.choice(["", 'labels.team = "a"', 'labels.team = "b"']),
        )
        for number in range(3)
    ]
    for rule in rules:
        ledger.set_retention_rule(rule, "ops")
    with ledger.connection() as connection:
        rows = connection.execute(
            "SELECT name, kind, state, labels ->> 'team', coalesce(end_time, create_time),"
            " delete_time FROM jobs"
        ).fetchall()
    names = [row[0] for row in rows]
    held = set(random.sample(names, 15))
    for name in held:
        ledger.hold(name, "case 7", pin=random.random() < 0.5)
    for name in random.sample(sorted(held), 5):
        is_pin = next(each.is_pin for each in ledger.holds() if each.name == name)
        ledger.release(name, pin=is_pin)
        held.remove(name)
    selected = {row[0] for row in rows for rule in rules if selects(rule, row)}
    expected = selected - held
    planned = ledger.apply_retention(tmp_path, dry_run=True)
    assert {row[0] for row in rows} == set(names)
    assert sum(each.jobs for each in planned.rules) >= len(expected)
    run = ledger.apply_retention(tmp_path, actor="ops")
    assert [each.error for each in run.rules] == ["", "", ""]
    assert sum(each.jobs for each in run.rules) == len(expected)
    with ledger.connection() as connection:
        left = {name for (name,) in connection.execute("SELECT name FROM jobs")}
        assert left == set(names) - expected
        assert check_records(connection) == []
        assert verify(connection).findings == []
    check_records_and_files(ledger, run, rules)
    assert ledger.apply_retention(tmp_path).rules == [
        each._replace(jobs=0, events=0, file=None) for each in run.rules
    ]


def check_records_and_files(
    ledger: Ledger, run: applying.RetentionRun, rules: list[RetentionRule]
) -> None:
    """The log says which rule pruned how many jobs, and the exports hold them."""
    body = [
        json.loads(event.stored) for event in ledger.events(follow=False) if event.type == "Pruned"
    ]
    for each in run.rules:
        of_rule = [pruned for pruned in body if pruned["rule"]["name"] == each.rule]
        assert sum(pruned["jobs"] for pruned in of_rule) == each.jobs
        assert (each.file is None) == (each.jobs == 0)
        if each.file is not None:
            lines = each.file.read_text().splitlines()
            assert len(lines) == each.events + 2
            name = json.loads(lines[1])["name"]
            assert open_history(each.file, name).events
    assert ledger.retention_rules() == rules


@pytest.mark.slow
@pytest.mark.parametrize("pin", [False, True])
def test_a_held_job_is_never_pruned(ledger: Ledger, tmp_path: Path, pin: bool) -> None:
    for name in (NAME, NAME + "b"):
        ledger.create(name)
        ledger.failed(name, "x")
    ledger.hold(NAME, "case 4711", pin=pin, actor="ada")
    how = "pinned since .* by ada" if pin else "under a legal hold since .* by ada"
    with pytest.raises(JobHeldError, match=rf"{NAME} has been {how} \(case 4711\)"):
        ledger.prune(datetime.now(UTC), Export(tmp_path / "x", is_there=False))
    assert len(ledger.list()) == 2
    assert not (tmp_path / "x").exists()
    kept = ledger.prune(datetime.now(UTC), Export(tmp_path / "x", is_there=False), skip_held=True)
    assert kept.jobs == 1
    with pytest.raises(InvalidFieldError, match=r"already, since .*: case 4711"):
        ledger.hold(NAME, "again", pin=pin)
    with pytest.raises(InvalidFieldError, match="is not"):
        ledger.release(NAME, pin=not pin)
    ledger.release(NAME, "closed", pin=pin)
    assert ledger.holds() == []
    assert ledger.prune(datetime.now(UTC), Export(tmp_path / "y", is_there=False)).jobs == 1
    with pytest.raises(JobNotFoundError):
        ledger.hold(NAME, "too late", pin=pin)


def test_a_job_that_is_held_meanwhile_stays(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (NAME, NAME + "b"):
        ledger.create(name)
        ledger.failed(name, "x")
    secure = archive.Export.secure

    def late(export: Export, source: archive.Source) -> str:
        ledger.hold(NAME, "just in time")
        return secure(export, source)

    monkeypatch.setattr(archive.Export, "secure", late)
    assert ledger.prune(datetime.now(UTC), Export(tmp_path / "x", is_there=False)).jobs == 1
    assert [job.name for job in ledger.list()] == [NAME]


def test_a_rule_that_prunes_nothing_in_the_end_leaves_no_export(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.create(NAME)
    ledger.failed(NAME, "x")
    ledger.set_retention_rule(RetentionRule("all", 0.0))
    secure = archive.Export.secure

    def late(export: Export, source: archive.Source) -> str:
        ledger.hold(NAME, "just in time")
        return secure(export, source)

    monkeypatch.setattr(archive.Export, "secure", late)
    (outcome,) = ledger.apply_retention(tmp_path).rules
    assert (outcome.jobs, outcome.file) == (0, None)
    assert list(tmp_path.iterdir()) == []


class _Unchecked(LedgerEventWrite):
    """A rule as another version may have recorded it."""

    stream, type = "ledger/retention", "RetentionRuleSet"

    def __init__(self, entries: dict[str, object]) -> None:
        super().__init__("someone")
        self._said = entries

    def do(self, _: Connection) -> dict[str, object]:
        return self._said


BAD_RULES: list[dict[str, object]] = [
    {"name": "bad", "keepSeconds": 0, "filter": "nothing = 1"},
    {"name": "bad", "keepSeconds": 0, "filter": "state ="},
    {"name": "bad", "keepSeconds": 0, "states": ["RUNNING"]},
    {"name": "bad", "keepSeconds": -1},
    {"name": "bad", "keepSeconds": "soon"},
    {"name": "bad"},
]


@pytest.mark.slow
@pytest.mark.parametrize("body", BAD_RULES)
def test_a_bad_rule_stops_no_other_rule_and_not_the_scheduler(
    ledger: Ledger, ledger_name: str, dsn: str, tmp_path: Path, body: dict[str, object]
) -> None:
    for name in (NAME, NAME + "b"):
        ledger.create(name)
        ledger.failed(name, "x")
    ledger.writer.submit(_Unchecked(body))
    ledger.set_retention_rule(RetentionRule("good", 0.0))
    [bad, good] = ledger.apply_retention(tmp_path, dry_run=True).rules
    assert (bad.rule, bad.jobs, bool(bad.error)) == ("bad", 0, True)
    assert (good.rule, good.jobs, good.error) == ("good", 2, "")
    [_, good] = ledger.apply_retention(tmp_path).rules
    assert good.jobs == 2
    done = Cli(dsn, ledger_name).run("retention", "apply", "--to", str(tmp_path), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["rules"][0]["error"] == bad.error


def test_an_unwritable_export_folder_prunes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    ledger.create(NAME)
    ledger.failed(NAME, "x")
    ledger.set_retention_rule(RetentionRule("old", 0.0))
    (tmp_path / "file").write_text("")
    [outcome] = ledger.apply_retention(tmp_path / "file" / "folder").rules
    assert "file" in outcome.error
    assert len(ledger.list()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (RetentionRule("Big", 1.0), "'Big' is not a lowercase letter"),
        (RetentionRule("x", -1.0), "are not 0 to 100 years"),
        (RetentionRule("x", float("nan")), "are not 0 to 100 years"),
        (RetentionRule("x", 1.0, ("RUNNING",)), "'RUNNING' is no outcome; use CANCELLED"),
        (RetentionRule("x", 1.0, ("GONE",)), "'GONE' is no state"),
        (RetentionRule("x", 1.0, filter="nope = 1"), "there is no field 'nope'"),
    ],
)
def test_a_rule_that_cannot_be_applied_is_refused(
    ledger: Ledger, rule: RetentionRule, message: str
) -> None:
    with pytest.raises(InvalidFieldError, match=message):
        ledger.set_retention_rule(rule)
    assert ledger.size() == 0


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_rules_and_holds_in_both_forms(
    dsn: str, ledger_name: str, form: str, tmp_path: Path
) -> None:
    with opened(form, dsn, ledger_name) as ledger:
        ledger.create(NAME)
        ledger.failed(NAME, "x")
        ledger.set_retention_rule(RetentionRule("old", 5.0))
        ledger.set_retention_rule(RetentionRule("old", 0.0), "ops")
        ledger.hold(NAME, "case 7", actor="ada")
        [held] = ledger.holds()
        assert (held.name, held.reason, held.actor, held.is_pin) == (NAME, "case 7", "ada", False)
        [outcome] = ledger.apply_retention(tmp_path).rules
        assert (outcome.jobs, outcome.held) == (0, 1)
        ledger.release(NAME)
        [outcome] = ledger.apply_retention(tmp_path).rules
        assert (outcome.jobs, outcome.events, outcome.held) == (1, 2, 0)
        ledger.drop_retention_rule("old")
        with pytest.raises(
            InvalidFieldError, match="there is no rule 'old'; rules: there are none"
        ):
            ledger.drop_retention_rule("old")
        assert ledger.retention_rules() == []


def test_history_and_why_name_the_holds_of_a_job(
    ledger: Ledger, ledger_name: str, dsn: str
) -> None:
    ledger.create(NAME)
    before = ledger.size()
    ledger.hold(NAME, "case 7", actor="ada")
    ledger.hold(NAME, "reference run", pin=True)
    cli = Cli(dsn, ledger_name)
    _, legal, pinned = cli("why", NAME).strip().rsplit("\n", 2)
    assert re.fullmatch(r"It has been under a legal hold since \S+ by ada \(case 7\)\.", legal)
    assert re.fullmatch(r"It has been pinned since \S+ \(reference run\)\.", pinned)
    assert "hold" not in cli("why", NAME, "--as-of", f"@{before}")
    [at] = ledger.holds(NAME, position=before + 1)
    assert at.reason == "case 7"
    shown = cli.run("history", NAME)
    assert f"{NAME} has been under a legal hold since " in shown.stderr
    assert f"{NAME} has been pinned since " in shown.stderr
    assert "case 7" not in shown.stdout
    with pytest.raises(InvalidFieldError, match="needs the name of its job"):
        ledger.holds(position=1)


def test_only_the_owner_changes_rules_and_holds(ledger: Ledger, dsn: str, tmp_path: Path) -> None:
    ledger.create(NAME)
    ledger.set_retention_rule(RetentionRule("old", 0.0))
    with application_of(dsn, ledger) as application:
        for call in (
            lambda: application.hold(NAME, "x"),
            lambda: application.release(NAME),
            lambda: application.set_retention_rule(RetentionRule("new", 0.0)),
            lambda: application.drop_retention_rule("old"),
            lambda: application.apply_retention(tmp_path),
        ):
            with pytest.raises(OwnerNeededError):
                call()
        assert [rule.name for rule in application.retention_rules()] == ["old"]
        assert application.holds() == []


@pytest.mark.slow
def test_a_superuser_who_is_not_the_owner_is_told_so(dsn: str) -> None:
    with owned_ledger(dsn) as (_, name), Ledger.open(dsn, name) as ledger:
        ledger.create(NAME)
        with pytest.raises(OwnerNeededError, match="connect as that role"):
            ledger.hold(NAME, "x")
        with pytest.raises(OwnerNeededError, match="connect as that role"):
            ledger.set_retention_rule(RetentionRule("new", 0.0))
        assert ledger.size() == 1


@pytest.mark.slow
def test_the_scheduler_applies_the_rules(
    ledger: Ledger, ledger_name: str, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.create(NAME)
    ledger.failed(NAME, "x")
    monkeypatch.setenv("JOBLEDGER_ARCHIVES", str(tmp_path))
    cli = Cli(dsn, ledger_name)
    cli("retention", "set", "old", "--keep", "0s", "--state", "FAILED")
    cli("scheduler", "--once")
    [file] = tmp_path.iterdir()
    assert file.name.startswith(f"{ledger_name}-old-2")
    assert ledger.list() == []
    with pytest.raises(JobNotFoundError, match="were pruned"):
        ledger.get(NAME)
    assert "root" not in cli("retention", "drop", "old")


def test_a_process_that_is_stopped_keeps_no_other_from_applying_the_rules(ledger: Ledger) -> None:
    with ledger.connection() as stopped, applying.applying(stopped, 0.2) as applies:
        assert applies
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with ledger.connection() as other, applying.applying(other) as other_applies:
                if other_applies:
                    return
            time.sleep(0.05)
    pytest.fail("no other applies them")
