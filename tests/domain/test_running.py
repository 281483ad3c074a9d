"""Reports on a program's run, their file format, and when a run counts as lost."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobledger.domain.events import EVENT_TYPES, Event, parse_data
from jobledger.domain.job import Job, judge, replay
from jobledger.domain.leases import lost
from jobledger.domain.running import (
    STOPPING,
    Destination,
    RunRecord,
    RunReport,
    actor_name,
    destination_line,
    exit_code,
    how_it_ended,
    how_it_left,
    report_line,
)
from jobledger.domain.states import LIVE, JobState

AT = datetime(2026, 6, 1, 10, tzinfo=UTC)
TEXT = st.text(max_size=20)
FIELDS = st.dictionaries(TEXT, st.none() | st.integers() | TEXT | st.lists(TEXT), max_size=3)
TIMES = st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis takes no zone here
REPORTS = st.builds(RunReport, st.sampled_from(sorted(EVENT_TYPES)), FIELDS, TIMES)
RECORDS = st.builds(
    RunRecord, TEXT, TEXT, TEXT, TIMES, st.dictionaries(TEXT, TEXT, max_size=3), FIELDS,
    st.lists(REPORTS, max_size=3), st.none() | st.builds(Destination, TEXT, TEXT),
)  # fmt: skip


@pytest.mark.parametrize("number", list(signal.Signals))
def test_a_program_that_a_signal_killed_ended_by_that_signal(number: signal.Signals) -> None:
    type_, body = how_it_ended(-number, None, "last words")
    assert body["exitCode"] == exit_code(-number) == 128 + number
    assert body["signal"] == number.name
    if number.name in STOPPING:
        assert (type_, body["reason"]) == ("Cancelled", f"stopped by {number.name}")
    else:
        assert type_ == "Failed"
        assert body["error"]["message"] == f"killed by {number.name}\nlast words"


@pytest.mark.parametrize("code", [0, 3, 137, -9, -15])
def test_a_program_ended_by_a_stop_signal_is_recorded_as_cancelled(code: int) -> None:
    type_, body = how_it_ended(code, "SIGHUP", "")
    assert (type_, body["reason"]) == ("Cancelled", "stopped by SIGHUP")


@pytest.mark.parametrize(
    ("code", "words", "failure", "message"),
    [
        (3, "", None, "exited with code 3"),
        (3, "out of memory", None, "out of memory"),
        (127, "", "x: No such file", "x: No such file"),
        (-9, "", None, "killed by SIGKILL"),
        (-63, "", None, "killed by signal 63"),
    ],
)
def test_a_program_that_fails_says_why(
    code: int, words: str, failure: str | None, message: str
) -> None:
    type_, body = how_it_ended(code, None, words, failure)
    assert (type_, body["error"]) == ("Failed", {"code": 2, "message": message})


@pytest.mark.parametrize(
    ("error", "is_cancelled", "type_", "entries"),
    [
        (None, False, "Succeeded", {"output": {"a": 1}}),
        (SystemExit(), False, "Succeeded", {"output": {"a": 1}}),
        (SystemExit(0), False, "Succeeded", {"output": {"a": 1}}),
        (SystemExit(4), False, "Failed", {"error": {"code": 2, "message": "exited with code 4"}}),
        (SystemExit("no"), False, "Failed", {"error": {"code": 2, "message": "no"}}),
        (ValueError("x"), False, "Failed", {"error": {"code": 2, "message": "ValueError: x"}}),
        (ValueError(), False, "Failed", {"error": {"code": 2, "message": "ValueError"}}),
        (KeyboardInterrupt(), False, "Cancelled", {"reason": "stopped by KeyboardInterrupt"}),
        (ValueError("x"), True, "Cancelled", {"reason": "stopped by ValueError"}),
    ],
)
def test_a_block_ends_in_the_state_of_its_exception(
    error: BaseException | None, is_cancelled: bool, type_: str, entries: dict[str, Any]
) -> None:
    found, data = how_it_left(error, {"a": 1}, is_cancelled=is_cancelled)
    # A traceback is there where it says more than the message does.
    has_traceback = "traceback" in data
    assert has_traceback is (type_ == "Failed" and not isinstance(error, SystemExit))
    assert (found, {key: data[key] for key in data if key != "traceback"}) == (type_, entries)


def test_an_exception_whose_text_cannot_be_made_is_an_error_too() -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            return f"{self.args[0]}"

    found, data = how_it_left(BrokenError(), None)
    message = "BrokenError: <its text cannot be made: IndexError>"
    assert (found, data["error"]) == ("Failed", {"code": 2, "message": message})


def lines(record: RunRecord) -> list[str]:
    to = [] if record.destination is None else [destination_line(record.destination)]
    return [record.first_line, *to, *map(report_line, record.reports)]


@pytest.mark.slow
@given(RECORDS)
def test_a_stored_run_is_read_back(record: RunRecord) -> None:
    assert RunRecord.parse(lines(record)) == record


@pytest.mark.slow
@given(RECORDS, st.data())
def test_a_run_is_read_up_to_where_writing_stopped(record: RunRecord, data: st.DataObject) -> None:
    text = "".join(lines(record))
    cut = text[: data.draw(st.integers(len(record.first_line), len(text)))]
    read = RunRecord.parse(cut.splitlines(keepends=True) if "\n" in cut else [cut])
    assert read.reports == record.reports[: len(read.reports)]
    assert read.first_line == record.first_line


@pytest.mark.parametrize(
    "text", ["", "{}\n", "x\n", "[]\n", '{"format":2}\n', '{"format":1}\n', '{"format":1'],
)  # fmt: skip
def test_an_invalid_run_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"line|Expecting"):
        RunRecord.parse([text] if text else [])


def test_an_actor_is_printable_and_short() -> None:
    assert actor_name("ann", "host") == "ann@host"
    assert actor_name("a\nb", "h" * 300) == f"a?b@{'h' * 252}"


@pytest.mark.slow
@pytest.mark.parametrize("state", [None, *JobState])
@pytest.mark.parametrize("run_ids", [(), ("r",), ("r", "s"), ("s", "r"), ("r", None)])
def test_only_a_live_job_in_that_attempt_is_lost(
    state: JobState | None, run_ids: tuple[str | None, ...]
) -> None:
    job = Job(name="projects/p/jobs/j", version=3, state=state, run_ids=run_ids)
    report = lost(job, "r", AT)
    if state not in LIVE or run_ids[-1:] != ("r",):
        assert report is None
        return
    assert report is not None
    (recorded,) = judge(report, job)
    assert recorded is report
    assert recorded.json_object()["reason"] == "no heartbeat since 2026-06-01T10:00:00.000000Z"
    assert type(report).__name__ == ("Cancelled" if state is JobState.CANCELLING else "Expired")


def test_a_deleted_job_is_not_lost() -> None:
    facts = [parse_data("Created", {}), parse_data("Started", {"runId": "r"}),
             parse_data("Succeeded", {}), parse_data("Deleted", {})]  # fmt: skip
    events = [Event("projects/p/jobs/j", n, fact, AT) for n, fact in enumerate(facts, 1)]
    assert lost(replay(Job(name="projects/p/jobs/j"), events), "r", AT) is None
