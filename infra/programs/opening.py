"""How a run finds its ledger and its spool."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from jobledger.domain.running import Destination
from jobledger.infra.programs.spool import Spool

if TYPE_CHECKING:
    from jobledger.infra.programs.run_store import RunStore

END_SECONDS: Final = 6.0
"""How long a run that is over waits until it is recorded: a connection may take 5."""


class Opening:
    """How the ledger of a run is opened; slow imports wait until then."""

    def __init__(
        self,
        destination: Callable[[], Destination],
        store: Callable[[], RunStore],
        project: str,
        spool: Callable[[], Spool],
        end_seconds: float = END_SECONDS,
    ) -> None:
        """`destination` and `store` may raise anything; `project` is that of the spool's runs.

        `end_seconds` is how long the end of a run may wait until it is recorded.
        """
        self.end_seconds = end_seconds
        self.destination = destination
        self.store = store
        self.project = project
        self.spool = spool
