"""The options before a command as they were given, unchecked."""

from __future__ import annotations

from typing import NamedTuple


class Given(NamedTuple):
    """The options that all commands share; None for one that was not given."""

    dsn: str | None
    ledger: str | None
    project: str | None
    server: str | None = None
    token: str | None = None
