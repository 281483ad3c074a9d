"""The options of `jobledger run`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from jobledger.domain.running import HEARTBEAT_SECONDS


class RunOptions(NamedTuple):
    """The command line to run, and the options of the run."""

    command: Sequence[str]
    name: str | None = None
    labels: Sequence[str] = ()
    once: bool = False
    heartbeat_seconds: float = HEARTBEAT_SECONDS
