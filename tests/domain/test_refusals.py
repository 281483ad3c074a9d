"""Errors have attributes, and a message of one sentence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from jobledger.domain import errors
from jobledger.domain.errors import LedgerError

NAME = "projects/p/jobs/x"
TYPES = ("Created", "Started", "Succeeded")


@pytest.mark.parametrize(
    ("make", "fields", "sentence"),
    [
        (lambda: errors.InvalidFieldError("labels", "are too many"),
         {"field": "labels", "why": "are too many"}, "labels: are too many"),
        (lambda: errors.UnknownEventTypeError("X"), {"type": "X", "field": "type"}, "type: unknown event type 'X'"),
        (lambda: errors.UnknownEventTypeError("started", TYPES), {"type": "started"},
         "type: unknown event type 'started'; did you mean 'Started'? Event types: Created, Started, Succeeded"),
        (lambda: errors.UnknownEventTypeError("STARTS", TYPES), {"type": "STARTS"},
         "type: unknown event type 'STARTS'; did you mean 'Started'? Event types: Created, Started, Succeeded"),
        (lambda: errors.UnknownEventTypeError("Exploded", TYPES), {"type": "Exploded"},
         "type: unknown event type 'Exploded'. Event types: Created, Started, Succeeded"),
        (lambda: errors.DataTooLargeError(9, 7), {"size": 9, "limit": 7, "field": "data"},
         "data: 9 bytes of JSON; the limit for an event is 7 bytes"),
        (lambda: errors.BeyondEndError("after", 9, 7), {"position": 9, "end": 7, "field": "after"},
         "after: position 9 is beyond the end: the ledger's last position is 7"),
        (lambda: errors.PastNeededError(NAME), {"name": NAME},
         f"the earlier events of {NAME} are needed to decide a late report"),
        (lambda: errors.JobNotFoundError(NAME), {"name": NAME, "deleted": False}, f"there is no job {NAME}"),
        (lambda: errors.JobNotFoundError(NAME, deleted=True), {"name": NAME, "deleted": True},
         f"{NAME} was deleted; its history is kept"),
        (lambda: errors.JobNotFoundError(NAME, reported=True), {"name": NAME},
         f"there is no job {NAME}; create it first, or report that it is Created"),
        (lambda: errors.JobNotFoundError(NAME, pruned_before=datetime(2026, 6, 1, tzinfo=UTC)),
         {"pruned_before": datetime(2026, 6, 1, tzinfo=UTC)},
         f"there is no job {NAME}; jobs that ended before 2026-06-01T00:00:00Z were pruned"),
        (lambda: errors.JobExistsError(NAME), {"name": NAME, "deleted": False}, f"the job {NAME} already exists; choose another name, or retry it once it has ended"),
        (lambda: errors.JobExistsError(NAME, deleted=True), {"name": NAME, "deleted": True},
         f"{NAME} was deleted, and its name stays with its history;"
         f" create the job under another name, such as {NAME}-2"),
        (lambda: errors.IllegalTransitionError(NAME, "FAILED", "Started"),
         {"name": NAME, "state": "FAILED", "event": "Started"},
         f"{NAME} is FAILED, and that state does not allow Started"),
        (lambda: errors.NotSamplingError(NAME, "it is paused"), {"name": NAME, "why": "it is paused"},
         f"{NAME} samples no predictions: it is paused"),
        (lambda: errors.EtagMismatchError(NAME), {"name": NAME},
         f"{NAME} has changed since its etag was read; read the job again, and decide again"),
        (lambda: errors.VersionConflictError(NAME, 7, 9), {"name": NAME, "expected": 7, "actual": 9},
         f"{NAME} is at version 9, and version 7 was expected"),
        (lambda: errors.RequestReusedError("r-1", NAME), {"request_id": "r-1", "name": NAME},
         f"request id 'r-1' was already used, for {NAME}; use a new one for each request"),
    ],
)  # fmt: skip
def test_an_error_says_what_it_is_about(
    make: Callable[[], LedgerError], fields: dict[str, Any], sentence: str
) -> None:
    error = make()
    assert {field: getattr(error, field) for field in fields} == fields
    assert str(error) == sentence
