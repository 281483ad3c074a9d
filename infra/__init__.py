"""Everything that touches the world: PostgreSQL, files, networks, people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jobledger

if TYPE_CHECKING:
    from jobledger import Ledger, Recorded, RecordedEvent

__all__ = ["Ledger", "Recorded", "RecordedEvent"]


def __getattr__(name: str) -> Any:
    """The public names, as they were imported before `jobledger` itself had them."""
    if name in jobledger.__all__:
        return getattr(jobledger, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
