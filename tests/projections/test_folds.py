"""The folds in Python and SQL, and the rows written with events, are equal on any history."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobledger.domain.data import Data
from jobledger.domain.events import EVENT_TYPES, Created, Event, parse_data
from jobledger.domain.job import Job, evolve, replay
from jobledger.domain.states import EVALUATION_JOBS, LIFECYCLE, allowed, state_after
from jobledger.infra import Ledger
from jobledger.infra.eventstore.stored_event import row_of
from jobledger.infra.eventstore.writes.decided_write import DecidedWrite
from jobledger.infra.upkeep.rebuild import rebuild
from jobledger.infra.upkeep.verify import verify
from jobledger.projections.catalogue import PROJECTIONS

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
ASKED = ("LabelingRequested", "labels")
_names = count()
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
JSON = st.dictionaries(
    TEXT, st.none() | st.booleans() | st.integers(-9, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    max_size=2,
)  # fmt: skip
MESSAGE = st.none() | TEXT
FIELDS: dict[str, Any] = {
    "labels": st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=2),
    "spec": JSON,
    "output": st.none() | JSON,
    "reason": MESSAGE,
    "error": st.none()
    | st.builds(lambda code, message: {"code": code, "message": message}, st.integers(0, 16), TEXT),
    "queue_position": st.none() | st.integers(0, 9),
    "inferred": st.booleans(),
    "policy": JSON,
    "report": TEXT,
    "state": TEXT,
    "data": JSON,
    "run": st.integers(1, 3),
    "run_time": st.sampled_from(["2026-06-01T10:00:00Z", "2026-06-02T10:00:00+00:00"]),
    "attempt_time": st.just("2026-06-01T10:05:00Z"),
    "cut": st.integers(0, 9),
    "partial_failures": st.lists(JSON, max_size=2),
    "question_count": st.integers(0, 9),
    "replica_count": st.integers(1, 5),
    "example_count": st.integers(0, 9),
    "answer_count": st.integers(0, 9),
    "evaluated_item_count": st.integers(0, 9),
    "mean_average_precision": st.floats(0, 1),
    "min_acceptable_mean_average_precision": st.floats(0, 1),
    "area_under_curve": st.none() | st.floats(0, 1),
    "multi_label": st.booleans(),
}
FIELDS |= {
    "attempts_begun": st.integers(0, 3),
    "run_id": st.none() | st.sampled_from("abc") | TEXT.filter(bool),
    "parents": st.none() | st.lists(st.sampled_from("abc") | TEXT.filter(bool), max_size=3),
    "root": st.none() | st.sampled_from("abc"),
    "triggered_by": st.none() | st.sampled_from("abc") | TEXT.filter(bool),
}
FIELDS["labels_of_task"] = st.lists(TEXT, max_size=2)


@st.composite
def facts(draw: st.DrawFn, type_: str) -> Data:
    cls = EVENT_TYPES[type_]
    given_ = {
        name: draw(FIELDS["labels_of_task" if (type_, name) == ASKED else name])
        for name, field in cls.model_fields.items()
        if field.is_required() or (name in FIELDS and draw(st.booleans()))
    }
    given_ = {key: value for key, value in given_.items() if value is not None or key == "reason"}
    return cls.model_validate(
        given_
        | draw(
            st.just({})
            | st.just({"extra": 1})
            | st.just({"attempt": 2, "nested": {"runId": "n", "attemptsBegun": 9}})
        )
    )


@st.composite
def histories(draw: st.DrawFn, *, legal: bool) -> list[tuple[Data, datetime]]:
    """Histories with times, also late and out of order."""
    types = ["Created"]
    job = Job(name=f"projects/p/{draw(st.sampled_from(['jobs', EVALUATION_JOBS]))}/x")
    history: list[tuple[Data, datetime]] = []
    for _ in range(draw(st.integers(1, 12))):
        if legal:
            types = sorted(t for t in EVENT_TYPES if allowed(t, job.stage, job.kind))
        elif history:
            types = sorted(EVENT_TYPES)
        if not types:
            break
        at = BEGIN + timedelta(minutes=draw(st.integers(0, 60)))
        history.append((draw(facts(draw(st.sampled_from(types)))), at))
        job = evolve(job, Event(job.name, job.version + 1, *history[-1]))
    return history


def write(
    ledger: Ledger, history: list[tuple[Data, datetime]], cuts: list[int], *, bulk: bool
) -> Job:
    """Appends a history in several batches, legal or not."""
    number = next(_names)
    name = f"projects/p/{('jobs', EVALUATION_JOBS)[number % 2]}/h{number}"
    events = [Event(name, v, data, at) for v, (data, at) in enumerate(history, 1)]
    for first, last in zip([0, *cuts], [*cuts, len(events)], strict=True):
        piece = events[first:last]
        if piece and bulk:
            ledger.append_many(piece)
        elif piece:
            ledger.submit(DecidedWrite([row_of(e, e.data.encode()) for e in piece], piece))
    return replay(Job(name=name), events)


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(histories(legal=True) | histories(legal=False), min_size=1, max_size=4),
    st.lists(st.integers(0, 12), max_size=3).map(sorted),
    st.booleans(),
)
def test_python_sql_and_rebuilt_rows_are_equal(
    ledger: Ledger, written: list[list[tuple[Data, datetime]]], cuts: list[int], bulk: bool
) -> None:
    jobs = [write(ledger, history, cuts, bulk=bulk) for history in written]

    with ledger.connection() as connection:
        assert verify(connection).findings == []
        rebuild(connection, PROJECTIONS[0])
        assert verify(connection).findings == []
    for job in jobs:
        if job.delete_time is None:
            assert ledger.get(job.name) == job


def test_states_in_sql_are_those_of_the_lifecycle(ledger: Ledger) -> None:
    with ledger.connection() as connection:
        for event in EVENT_TYPES:
            state = state_after(event)
            row = connection.execute("SELECT state_after(%s)", (event,)).fetchone()
            assert row == (state.name if state else None,)
        assert connection.execute("SELECT state_after('topic')").fetchone() == (None,)


@pytest.mark.slow
def test_ten_thousand_histories_fold_to_the_recorded_digest() -> None:
    """A change of this digest is a change of what history means: it needs a new schema, or a reason."""
    random, digest = Random(7), hashlib.sha256()
    # The types and fields there were when it was made.
    types = LIFECYCLE.keys() - {"ConfigChanged", "PolicyChanged", "Commented"}
    for number in range(10_000):
        job = Job(name=f"projects/p/jobs/w{number}")
        job = evolve(job, Event(job.name, 1, Created(labels={"n": str(number % 7)}), BEGIN))
        for step in range(random.randrange(12)):
            type_ = random.choice(sorted(t for t in types if allowed(t, job.stage)))
            expected = {"reason": f"r{step}"} if "reason" in EVENT_TYPES[type_].model_fields else {}
            if type_ == "Contradicted":
                expected = {"report": "Started", "state": "X"}
            at = BEGIN + timedelta(seconds=random.randrange(10_000))
            job = evolve(job, Event(job.name, job.version + 1, parse_data(type_, expected), at))
        body = job.model_dump(exclude={"effective_time", "run_ids", "lineage"})
        digest.update(repr(sorted(body.items())).encode())
    assert digest.hexdigest() == "5bf40bdb32751de9f52d5734f3d5d987b7c39dd3dba1e9e123215f2f91e0644d"
