"""Our own exports, imported into another ledger: unchanged, once, with their origin, forks named."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra import Ledger
from jobledger.infra.errors import InputError, OwnerNeededError
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.proof.signing.notes import Note, VerifierKey
from jobledger.infra.transfer.exports.export import Format
from jobledger.infra.transfer.imports.exported import is_export
from jobledger.infra.transfer.traces.trace_rows import lines_of
from jobledger.infra.upkeep.verify import verify

from tests.command_line import Cli
from tests.desks import Desk
from tests.exports import GONE, A, B, at, selection, write_past
from tests.ledgers import application_of, fresh_ledger, odd_jobs
from tests.proof.test_receipts import verifier

IMPORTED = [Format.JSONL, Format.CLOUDEVENTS, Format.PARQUET]
SUFFIX = {Format.JSONL: ".jsonl", Format.CLOUDEVENTS: ".json", Format.PARQUET: ""}


def write_export(ledger: Ledger, folder: Path, format_: Format, name: str = "") -> Path:
    to = folder / f"export{SUFFIX[format_]}"
    ledger.export(selection(ledger, name), format_, to)
    return to


def content(events: list[RecordedEvent]) -> list[tuple[object, ...]]:
    """All of a job's events but where and when this ledger recorded them."""
    return [event._replace(position=0, recorded_time=event.occurred_time) for event in events]


@pytest.mark.slow
@pytest.mark.parametrize("format_", IMPORTED)
def test_an_export_is_imported_as_it_is(
    past: Ledger, dsn: str, tmp_path: Path, format_: Format
) -> None:
    past.append_many(odd_jobs())
    file = write_export(past, tmp_path, format_)
    assert is_export(file)
    names = {event.name for event in past.events(0, follow=False)}
    with fresh_ledger(dsn) as other:
        done = other.import_history(file)
        assert (done.written, done.repeated, done.forks) == (past.size(), 0, {})
        for name in names:
            assert content(other.history(name)) == content(past.history(name))
            origins = other.origins(name)
            assert [(each.version, each.position, each.recorded_time) for each in origins] == [
                (event.version, event.position, event.recorded_time) for event in past.history(name)
            ]
        assert [job.state for job in other.list()] == [job.state for job in past.list()]
        with other.connection() as connection:
            assert verify(connection).findings == []
        size = other.size()
        again = other.import_history(file)
        assert (again.written, again.repeated, other.size()) == (0, done.written, size)


@pytest.mark.slow
def test_an_older_schema_keeps_its_bytes(ledger: Ledger, dsn: str, tmp_path: Path) -> None:
    ledger.create(A)
    ledger.started(A)
    file = write_export(ledger, tmp_path, Format.JSONL)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[2] |= {"schema": 1, "data": {"runId": "r", "attemptsBegun": 7}}
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with fresh_ledger(dsn) as other:
        other.import_history(file)
        event = other.history(A)[1]
        assert (event.schema, event.stored) == (1, b'{"attemptsBegun":7,"runId":"r"}')
        assert other.get(A).attempt == 1


@pytest.mark.slow
def test_ledgers_are_merged_and_a_fork_is_named(past: Ledger, dsn: str, tmp_path: Path) -> None:
    first = write_export(past, tmp_path, Format.JSONL)
    with fresh_ledger(dsn) as other:
        other.import_history(first)
        other.succeeded(B, occurred_time=at(50))
        past.failed(B, "disk full", occurred_time=at(51))
        past.cancelling(A, occurred_time=at(52))
        second = tmp_path / "second.jsonl"
        past.export(selection(past), Format.JSONL, second)
        done = other.import_history(second)
        assert done.written == 1
        assert done.forks == {B: "version 4 is Succeeded here, and Failed there"}
        assert (other.history(A)[-1].type, other.history(B)[-1].type) == ("Cancelling", "Succeeded")


def test_what_is_missing_before_an_event_is_named(past: Ledger, dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "late.jsonl"
    past.export(selection(past), Format.CLOUDEVENTS, file)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(
        "".join(
            line
            for line in lines
            if f'"{B}"' not in line or '"version":1' not in line.replace(" ", "")
        )
    )
    with fresh_ledger(dsn) as other:
        assert other.import_history(file).forks == {B: "its events from version 1 to 1 are missing"}
        assert other.get(A).state == past.get(A).state


@pytest.mark.slow
def test_the_origins_receipts_stay_checkable(desk: Desk, dsn: str) -> None:
    write_past(desk.ledger)
    receipt, all_, one = (
        str(desk.folder / name) for name in ("a.tlog-proof", "all.jsonl", "a.jsonl")
    )
    assert desk.run("receipt", A, "--version", "4", "--to", receipt) == 0
    assert desk.run("export", "--to", all_) == 0
    key = verifier(desk)
    with fresh_ledger(dsn) as other:
        other.create("projects/p/jobs/before")
        other.import_history(Path(all_))
        signed = other.origins(A)[3].checkpoint
        assert Note.parse(signed).signed_by([VerifierKey.parse(key)])
        other.export_origin(A, desk.ledger.name, Path(one))
        assert desk.run("verify-receipt", receipt, "--key", key, "--job", one) == 0
        # As it is here it is another event of another log.
        other.export(selection(other, A), Format.JSONL, Path(one))
        assert desk.run("verify-receipt", receipt, "--key", key, "--job", one) == 1
        with other.connection() as connection:
            assert verify(connection).findings == []


def test_its_own_export_restores_a_ledger_and_notes_nothing(past: Ledger, tmp_path: Path) -> None:
    size = past.size()
    done = past.import_history(write_export(past, tmp_path, Format.JSONL))
    assert (done.written, done.repeated, past.size()) == (0, size, size)
    assert past.origins(A) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda text: text[: len(text) // 2], "is cut off|is incomplete"),
        (lambda text: text.rsplit("\n", 2)[0] + "\n", "is incomplete"),
        (lambda text: text.replace('"schema":2', '"schema":99', 1), "schema 99"),
        (lambda text: text.replace('"Started"', '"Begun"', 1), "Begun"),
        (lambda text: text + '{"end":true,"events":1}\n', "follows the last line"),
        (lambda text: "{}\n" + text, "is not the first line"),
        (lambda text: "", "is empty"),
        (lambda text: text.replace('"version":1,"ledger"', '"version":7,"ledger"'), "version 7"),
    ],
)
def test_a_file_that_is_not_an_export_is_refused(
    past: Ledger, dsn: str, tmp_path: Path, edit: object, why: str
) -> None:
    file = write_export(past, tmp_path, Format.JSONL)
    file.write_text(edit(file.read_text()))  # type: ignore[operator]
    with fresh_ledger(dsn) as other, pytest.raises(InputError, match=why):
        other.import_history(file)


@pytest.mark.slow
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_export_is_read_from_a_pipe(
    past: Ledger, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    file = write_export(past, tmp_path, Format.JSONL)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as writing:
        writing.submit(pipe.write_bytes, pack(file.read_bytes()))
        done = past.import_history(pipe)
    assert (done.events, done.repeated) == (past.size(), past.size())


def test_a_trace_in_a_pipe_is_refused(tmp_path: Path) -> None:
    """Its first rows are read twice."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as writing:
        writing.submit(pipe.write_bytes, b"0,,1,0")
        with pytest.raises(InputError, match="is a pipe; a trace is read twice"):
            next(lines_of(pipe))


@pytest.mark.slow
def test_standard_input_is_a_file_to_import(past: Ledger, cli: Cli, tmp_path: Path) -> None:
    file = write_export(past, tmp_path, Format.JSONL)
    with file.open("rb") as given:
        done = subprocess.run(
            [*cli.command, "import", "-"],
            env=cli.environment, stdin=given, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert f"/dev/stdin: {past.size()} events" in done.stdout


def test_a_truncated_gzip_is_refused_with_the_line(past: Ledger, dsn: str, tmp_path: Path) -> None:
    file = write_export(past, tmp_path, Format.JSONL)
    packed = gzip.compress(file.read_bytes())
    (half := tmp_path / "half.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    with fresh_ledger(dsn) as other, pytest.raises(InputError, match="gzip is cut off"):
        other.import_history(half)


@pytest.mark.slow
@pytest.mark.parametrize("format_", [Format.JSONL, Format.CLOUDEVENTS])
def test_a_time_that_utc_does_not_have_is_refused_with_the_line(
    past: Ledger, dsn: str, tmp_path: Path, format_: Format
) -> None:
    file = write_export(past, tmp_path, format_)
    lines = file.read_text().splitlines(keepends=True)
    lines[1] = re.sub(r'(ime": ?)"[^"]*"', r'\1"9999-12-31T23:59:59-05:00"', lines[1])
    file.write_text("".join(lines))
    with (
        fresh_ledger(dsn) as other,
        pytest.raises(InputError, match=r"line 2.*is not within the years 1 to 9999, in UTC"),
    ):
        other.import_history(file)


def test_a_byte_order_mark_is_not_part_of_an_export(past: Ledger, tmp_path: Path) -> None:
    file = write_export(past, tmp_path, Format.JSONL)
    file.write_text(file.read_text(), "utf-8-sig")
    assert is_export(file)
    assert past.import_history(file).repeated == past.size()


def test_only_the_owner_imports(past: Ledger, dsn: str, tmp_path: Path) -> None:
    file = write_export(past, tmp_path, Format.JSONL)
    with application_of(dsn, past) as application, pytest.raises(OwnerNeededError):
        application.import_history(file)


@pytest.mark.slow
def test_the_commands(past: Ledger, dsn: str, cli: Cli, tmp_path: Path) -> None:
    file = write_export(past, tmp_path, Format.JSONL)
    size = past.size()
    assert f"wrote 0, already stored: {size}, jobs that fork: 0" in cli("import", str(file))
    with fresh_ledger(dsn) as other:
        there = Cli(dsn, other.name)
        assert f"of 3 jobs of the ledger {past.name}; wrote {size}" in there("import", str(file))
        assert f"v1  {past.name} @1  recorded " in there("import", "origins", "a")
        assert "events in" in there("import", "origins", "a", "--to", str(tmp_path / "a.jsonl"))
        assert there("history", "--from", str(tmp_path / "a.jsonl"), "a").count("\n") > 5
        other.succeeded(B, occurred_time=at(60))
        past.failed(B, occurred_time=at(61))
        past.export(selection(past), Format.JSONL, tmp_path / "more.jsonl")
        forked = there.run("import", str(tmp_path / "more.jsonl"))
        assert forked.returncode == 1
        assert f"{B} forks: version 4 is Succeeded here, and Failed there" in forked.stderr
    assert "no event of projects/p/jobs/a was imported" in cli.run("import", "origins", "a").stderr
    unknown = cli.run("import", "origins", "nope")
    assert (unknown.returncode, "projects/p/jobs/nope" in unknown.stderr) == (3, True)
    with pytest.raises(InvalidFieldError, match="no event of"):
        past.export_origin(GONE, "elsewhere", tmp_path / "x.jsonl")


def test_a_lone_file_that_is_no_export_is_named(cli: Cli, tmp_path: Path) -> None:
    cut = tmp_path / "cut.jsonl"
    cut.write_text('{"jobledger":"hist')
    for arguments, why in (
        ([str(cut)], "line 1: is cut off"),
        ([str(tmp_path / "no.jsonl"), "--json"], "No such file or directory"),
        (["slurm-sacct"], "Missing argument 'FILE'"),
    ):
        done = cli.run("import", *arguments)
        assert done.returncode == 2
        assert why in " ".join(done.stderr.split())
