"""A recorded life of Airflow: the changes that its database sent, beside what triggers noted of them.

`scripts/attach-airflow --record` makes the file: 500 task instances with failures, retries, clears,
marks by hand, a mapped task, sensors, a scheduler that was killed, and `airflow db clean`.
"""

from __future__ import annotations

from collections import Counter

import pytest
from jobledger.domain.job import Job, fold
from jobledger.infra import Ledger
from jobledger.infra.sources.attach.follower import Follower
from jobledger.infra.sources.mapping.model import ATTACHED, read_mapping

from scripts.attach_airflow.truth import compare, wanted
from tests.sources.recorded import RecordedSlot, Recording, read_recording

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recorded() -> Recording:
    return read_recording("airflow")


def test_no_transition_is_missing_or_doubled(ledger: Ledger, recorded: Recording) -> None:
    messages = recorded.messages
    mapping = read_mapping("airflow", ATTACHED)
    following = Follower(ledger, RecordedSlot(messages), mapping, "p")
    while following.carry_over():
        pass
    assert following.summary.unplaced == []
    assert sum(key.count("/") > 1 for key in wanted(recorded.noted)) == 500
    found = compare(ledger, recorded.noted)
    assert found.differing == []
    assert (found.missing, found.doubled) == (0, 0)

    # Each job is in the state that Airflow's row was in before it was cleaned.
    ended = {
        "success": "SUCCEEDED",
        "failed": "FAILED",
        "skipped": "CANCELLED",
        "upstream_failed": "CANCELLED",
    }
    last = {key: new for key, op, _, new in recorded.noted if new}
    states = Counter(ended[state] for state in last.values())
    jobs = list(ledger.list('labels.dag = "etl"'))
    mapped_away = sum(op == "MAPPED" for _, op, _, _ in recorded.noted)
    assert Counter(job.state.name for job in jobs if job.state) == states + Counter(
        CANCELLED=mapped_away
    )
    for job in jobs:
        assert fold(Job(name=job.name), [each.event for each in ledger.history(job.name)]) == job

    # Read once more, as after a crash, they add nothing.
    size = ledger.size()
    again = Follower(ledger, RecordedSlot(messages), mapping, "p")
    while again.carry_over():
        pass
    assert ledger.size() == size

    # So does a source that crashed, and gives its follower what it had forgotten.
    again._slot = RecordedSlot(messages)
    while again.carry_over():
        pass
    assert ledger.size() == size
