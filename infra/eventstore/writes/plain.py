"""Plain reports, whose bytes are known before they are decided."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from jobledger.domain.data import MAX_DATA_BYTES, Data
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.job.plain import is_plain, stored_fields
from jobledger.domain.observing import introduce, observe
from jobledger.domain.reports import parse_report
from jobledger.domain.states import EVALUATION_JOBS
from jobledger.domain.values import canonical
from jobledger.infra.eventstore.verbs import AboutReport
from jobledger.infra.eventstore.writes.judge import Judge
from jobledger.infra.privacy.envelope import MARKER

_EVALUATION_JOBS: Final = f"/{EVALUATION_JOBS}/"


class PlainEvent(NamedTuple):
    """A report of another system on one job, with data that the ledger does not interpret."""

    name: str
    type: str
    fields: Mapping[str, Any]
    """The data, as JSON values."""
    encoded: bytes
    """The data's canonical JSON."""
    time: datetime
    """When the event occurred (UTC)."""
    request_id: str
    actor: str
    judge: Judge = observe
    """Decides on it, if the job is not as it would have to be."""

    @property
    def data(self) -> Data:
        """The data in the form that `observe` takes."""
        return parse_report(self.type, self.fields)

    @property
    def about(self) -> AboutReport:
        """The metadata: time, actor and request id."""
        return {
            "occurred_time": self.time,
            "request_id": self.request_id,
            "actor": self.actor,
        }


def plain_event(
    name: str,
    type_: str,
    fields: dict[str, Any],
    time: datetime,
    request_id: str,
    actor: str,
    judge: Judge = observe,
) -> PlainEvent | None:
    """Makes an event of a plain report.

    Args:
        name: The job.
        type_: The event type.
        fields: The data, as JSON has it.
        time: When it occurred (UTC), checked.
        request_id: Its request id, checked.
        actor: Who reports it.
        judge: Decides on it as `observe` does, where it is not recorded as it is.

    Returns:
        The event; None if the report is not plain, or cannot be stored as it is.
    """
    if not is_plain(type_, fields) or _EVALUATION_JOBS in name:
        return None
    try:
        encoded = canonical.encode(stored_fields(type_, fields))
    except InvalidFieldError:
        return None
    if len(encoded) > MAX_DATA_BYTES or MARKER in encoded:
        return None
    if type_ == "Created":
        judge = introduce
    return PlainEvent(name, type_, fields, encoded, time, request_id, actor, judge)
