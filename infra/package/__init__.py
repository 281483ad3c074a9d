"""Job Ledger: a bitemporal, event-sourced ledger of jobs on PostgreSQL.

`Ledger` is for threads and `AsyncLedger` for asyncio. The rule: whatever reads or writes one ledger
is a method of them; all other public names are types: what methods take, return, or raise.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobledger.domain.job import Job
    from jobledger.infra.async_ledger import AsyncLedger
    from jobledger.infra.eventstore.stored_event import RecordedEvent
    from jobledger.infra.eventstore.write_path import Recorded, ReportedEvent
    from jobledger.infra.ledger import Ledger

__all__ = ["AsyncLedger", "Job", "Ledger", "Recorded", "RecordedEvent", "ReportedEvent"]

_MODULES = {
    "AsyncLedger": "jobledger.infra.async_ledger",
    "Job": "jobledger.domain.job",
    "Ledger": "jobledger.infra.ledger",
    "Recorded": "jobledger.infra.eventstore.write_path",
    "RecordedEvent": "jobledger.infra.eventstore.stored_event",
    "ReportedEvent": "jobledger.infra.eventstore.write_path",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that a command imports only what it needs."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value
