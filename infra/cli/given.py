"""What the options before a command say, as they were given: nothing is read or checked yet."""

from __future__ import annotations

from typing import NamedTuple


class Given(NamedTuple):
    """`--dsn`, `--ledger` and `--project`; None for one that was not given."""

    dsn: str | None
    ledger: str | None
    project: str | None
