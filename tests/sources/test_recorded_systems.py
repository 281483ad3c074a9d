"""Recorded lives of Dagster, Prefect, DBOS and River: the changes that their databases sent.

`scripts/attach-systems --record` makes the files: jobs that work, fail, are tried again, cancelled,
changed by hand, resumed, forked and deleted. That of River is of version 0.43.0, whose jobs are also put
off, rescued from a client that was killed, kept from running by a unique key, and removed by its cleaner.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from jobledger.domain.job import Job, fold
from jobledger.domain.states import JobState
from jobledger.infra import Ledger
from jobledger.infra.sources.attach.follower import Follower
from jobledger.infra.sources.mapping.model import ATTACHED, read_mapping

from scripts.attach_systems.truth import EVENTS, compare
from tests.sources.recorded import RecordedSlot, read_recording


@pytest.mark.slow
@pytest.mark.parametrize("system", EVENTS)
def test_no_transition_is_missing_or_doubled(ledger: Ledger, system: str) -> None:
    recorded = read_recording(system)
    mapping = read_mapping(system, ATTACHED)
    following = Follower(ledger, RecordedSlot(recorded.messages), mapping, "p")
    while following.carry_over():
        pass
    assert following.summary.unplaced == []
    found = compare(ledger, system, recorded.noted)
    assert found.differing == []
    assert (found.missing, found.doubled) == (0, 0)
    jobs = list(ledger.list('NOT name : "projects/p/jobs/attach*"'))
    assert any(job.attempt > 1 for job in jobs)
    for job in jobs:
        assert fold(Job(name=job.name), [each.event for each in ledger.history(job.name)]) == job

    # Read once more, as after a crash, they add nothing.
    size = ledger.size()
    again = Follower(ledger, RecordedSlot(recorded.messages), mapping, "p")
    while again.carry_over():
        pass
    assert ledger.size() == size


RIVER_ENDS = {
    "completed": JobState.SUCCEEDED,
    "discarded": JobState.FAILED,
    "cancelled": JobState.CANCELLED,
}
NOT_RUN = ("cancelled while", "unique_key_conflict")
"""How reasons begin that are not the error of an attempt."""


@pytest.mark.slow
def test_ends_attempts_and_errors_of_river_are_those_of_its_rows(ledger: Ledger) -> None:
    slot = RecordedSlot(read_recording("river").messages)
    rows = _last_rows(slot)
    Follower(ledger, slot, read_mapping("river", ATTACHED), "p").carry_over()
    assert {row["state"] for row in rows} == set(RIVER_ENDS)
    for row in rows:
        job = ledger.get(f"projects/p/jobs/river-{row['id']}")
        ended = datetime.fromisoformat(row["finalized_at"])
        assert (job.state, job.end_time) == (RIVER_ENDS[row["state"]], ended)
        assert (job.spec["priority"], job.spec.get("tags", [])) == (row["priority"], row["tags"])
        events = [(event.type, event.json) for event in ledger.history(job.name)]
        starts = [data for type_, data in events if type_ == "Started"]
        assert [data["worker"] for data in starts] == (row["attempted_by"] or [])
        assert max((data["riverAttempt"] for data in starts), default=0) == row["attempt"]
        told = [_why(data) for type_, data in events if type_ in ("Failed", "Cancelled")]
        errors = [error["error"] for error in row["errors"] or ()]
        assert [why for why in told if not why.startswith(NOT_RUN)] == errors
        assert "Contradicted" not in dict(events)


def _last_rows(slot: RecordedSlot) -> list[dict[str, Any]]:
    """The rows as the last of the changes left them, or as they were deleted."""
    changes = [change for transaction in slot.peek() for change in transaction.changes]
    return list({change.new["id"]: change.new for change in changes if change.new}.values())


def _why(data: dict[str, Any]) -> str:
    return str(data["error"]["message"] if "error" in data else data["reason"])
