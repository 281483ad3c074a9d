"""Histories: exported files that open again without a ledger, and tell what it would."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError, LedgerError
from jobledger.domain.events import Started
from jobledger.domain.job import Job
from jobledger.domain.values.moments import Clock
from jobledger.infra import Ledger
from jobledger.infra.errors import InputError
from jobledger.infra.transfer.imports.read_export import open_history

from tests.exports import GONE, A, B, at, exported


def outcome(get: Callable[..., Any], *asked: Any, **more: Any) -> Job | str:
    """The job, or how there is none."""
    try:
        found = get(*asked, **more)
    except LedgerError as error:
        return f"{type(error).__name__}: {error}"
    return found if isinstance(found, Job) else found[0]


def moments(ledger: Ledger) -> Iterator[tuple[str, Clock | None]]:
    for position in range(1, ledger.size() + 1):
        yield f"@{position}", None
    for minute in range(-1, 45):
        yield at(minute).isoformat(), Clock.OCCURRED
    for event in ledger.events(follow=False):
        yield event.recorded_time.isoformat(), Clock.RECORDED
        yield f"{at(32).isoformat()}@{event.position}", None


def test_a_history_holds_every_field_of_its_events(past: Ledger, tmp_path: Path) -> None:
    file = exported(past, tmp_path / "a.jsonl", A)

    history = open_history(file)
    assert (history.name, history.ledger) == (A, past.name)
    assert history.events == past.history(A)
    lines = file.read_bytes().splitlines()
    assert all(e.stored in line for e, line in zip(past.history(A), lines[1:-1], strict=True))
    assert json.loads(lines[0])["jobledger"] == "history"
    assert json.loads(lines[-1]) == {"end": True, "events": len(past.history(A))}


@pytest.mark.slow
def test_a_job_from_a_file_is_as_the_ledger_says_at_every_moment(
    past: Ledger, tmp_path: Path
) -> None:
    file = exported(past, tmp_path / "all.jsonl")

    for name in (A, B, GONE):
        history = open_history(file, name)
        for as_of, clock in moments(past):
            expected = outcome(past.get, name, as_of=as_of, clock=clock)
            assert outcome(history.get, as_of, clock) == expected, (name, as_of, clock)
    for version in range(1, 8):
        job, _ = open_history(file, A).get(f"v{version}")
        assert job == past.get(A, as_of=f"v{version}")


@pytest.mark.slow
def test_a_file_as_of_a_moment_is_as_the_ledger_says_then(past: Ledger, tmp_path: Path) -> None:
    for number, (as_of, clock) in enumerate(moments(past)):
        expected = outcome(past.get, A, as_of=as_of, clock=clock)
        if isinstance(expected, Job):
            file = exported(past, tmp_path / f"{number}.jsonl", A, as_of, clock=clock)
            job, moment = open_history(file).get()
            assert (job, moment) == (expected, past.moment(as_of, clock, A))
        else:
            with pytest.raises(JobNotFoundError):
                exported(past, tmp_path / f"{number}.jsonl", A, as_of, clock=clock)


def test_a_file_refuses_moments_outside_it(past: Ledger, tmp_path: Path) -> None:
    recorded = open_history(exported(past, tmp_path / "r", A, "@4"))
    for unknown in ("@5", "v9", f"{at(0).isoformat()}@5"):
        with pytest.raises(InvalidFieldError):
            recorded.get(unknown)
    occurred = open_history(exported(past, tmp_path / "o", A, at(30).isoformat()))
    for unknown in ("v1", "@1", at(31).isoformat(), "now"):
        with pytest.raises(InvalidFieldError):
            occurred.get(unknown)
    assert occurred.get(at(29).isoformat())[0] == past.get(A, as_of=at(29))


def test_a_gzipped_file_is_read(past: Ledger, tmp_path: Path) -> None:
    file = exported(past, tmp_path / "a", A)
    file.write_bytes(gzip.compress(file.read_bytes()))
    assert open_history(file).get()[0] == past.get(A)

    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InputError, match="gzip"):
        open_history(file)


@pytest.mark.slow
def test_a_truncated_file_is_refused(past: Ledger, tmp_path: Path) -> None:
    whole = exported(past, tmp_path / "whole", A).read_bytes()
    broken = tmp_path / "broken"
    for length in range(0, len(whole) - 1, 7):
        broken.write_bytes(whole[:length])
        with pytest.raises(InputError) as caught:
            open_history(broken)
        assert caught.value.line in (whole[:length].count(b"\n"), whole[:length].count(b"\n") + 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "old", "new", "why"),
    [
        (1, b'"version":1', b'"version":2', "version 2"),
        (1, b"jobledger", b"other", "first line"),
        (3, b'"position":3', b'"position":1', "position 1 comes after 1"),
        (3, b'"version":2', b'"version":3', "version 3"),
        (3, b'"type":"Started"', b'"type":"Begun"', "Begun"),
        (3, b'"schema":%d' % Started.schema_number, b'"schema":7', "schema 7"),
        (3, b'"state":"RUNNING"', b'"state":"RUN"', "RUN"),
        (3, b'"recordedTime":"2', b'"recordedTime":"x', "recordedTime"),
        (3, b'"data":{', b'"data":{{', "not JSON"),
        (4, b'"data"', b'"date"', "data"),
        (9, b'"events":7', b'"events":8', "8 events"),
    ],
)
def test_a_damaged_line_is_named(
    past: Ledger, tmp_path: Path, line: int, old: bytes, new: bytes, why: str
) -> None:
    file = exported(past, tmp_path / "a", A)
    lines = file.read_bytes().splitlines(keepends=True)
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    file.write_bytes(b"".join(lines))

    with pytest.raises(InputError, match=why) as caught:
        open_history(file)
    assert (caught.value.file, caught.value.line) == (str(file), line)


def test_a_line_that_is_missing_or_too_many_is_noticed(past: Ledger, tmp_path: Path) -> None:
    file = exported(past, tmp_path / "all")
    lines = file.read_bytes().splitlines(keepends=True)
    for changed in ([*lines[:3], *lines[4:]], [*lines, lines[-1]], [*lines[:3], b"\n", *lines[3:]]):
        file.write_bytes(b"".join(changed))
        with pytest.raises(InputError):
            open_history(file, A)


def test_one_of_several_jobs_must_be_named(past: Ledger, tmp_path: Path) -> None:
    file = exported(past, tmp_path / "all")
    with pytest.raises(InvalidFieldError, match=B):
        open_history(file)
    with pytest.raises(InputError, match="has no events of"):
        open_history(file, "projects/p/jobs/other")
    assert open_history(file, B).events == past.history(B)
