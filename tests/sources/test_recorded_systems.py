"""Recorded lives of Dagster, Prefect and DBOS: the changes that their databases sent.

`scripts/attach-systems --record` makes the files: jobs that work, fail, are tried again, cancelled,
changed by hand, resumed, forked and deleted.
"""

from __future__ import annotations

import pytest
from jobledger.domain.job import Job, fold
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
