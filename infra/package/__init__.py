"""Job Ledger: a bitemporal, event-sourced ledger of jobs on PostgreSQL."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobledger.infra.eventstore.stored_event import RecordedEvent
    from jobledger.infra.eventstore.writer import Recorded
    from jobledger.infra.ledger import Ledger

__all__ = ["Ledger", "Recorded", "RecordedEvent"]

_MODULES = {
    "Ledger": "jobledger.infra.ledger",
    "Recorded": "jobledger.infra.eventstore.writer",
    "RecordedEvent": "jobledger.infra.eventstore.stored_event",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that a command imports only what it needs."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value
