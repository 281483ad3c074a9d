"""Sends the runs in the spool, oldest first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import psycopg
from jobledger.domain.errors import LedgerError
from jobledger.domain.running import Destination
from jobledger.domain.values.names import parse_name
from jobledger.infra.programs.delivery import BusyError, Delivery, is_refusal
from jobledger.infra.programs.leases import end_lease_of
from jobledger.infra.programs.spool import RunFile, Spool
from jobledger.infra.read.store import Store

LOG: Final = logging.getLogger("jobledger.spool")


@dataclass
class Sent:
    """The result of sending a spool: the names of recorded jobs, and why others were not."""

    sent: list[str] = field(default_factory=list)
    waiting: dict[str, str] = field(default_factory=dict)
    """Names of jobs whose runs stay in the spool, and why."""
    refused: dict[Path, str] = field(default_factory=dict)
    """Files that were set aside, and why the ledger refuses what is in them."""


class Sender:
    """Sends the runs of a spool to one ledger."""

    def __init__(
        self,
        store: Store,
        spool: Spool,
        destination: Destination | None,
        project: str,
        *,
        end_lease: Callable[[str, str], object] | None = None,
    ) -> None:
        """`destination`: only runs for it, or without a destination, are sent; None: all.

        `project` is that of runs of which only the job's id is known. `end_lease` removes the lease
        of a job's run; None does that by a connection of the store's.
        """
        self._end_lease = partial(end_lease_of, store) if end_lease is None else end_lease
        self._store = store
        self._spool = spool
        self._destination = destination
        self._project = project

    def send(self, *, only: str | None = None, goes_on: Callable[[], bool] = lambda: True) -> Sent:
        """Sends runs of the spool.

        Args:
            only: Send only runs of this job.
            goes_on: Stops the sending when it returns false.

        Returns:
            How many runs were sent, refused and left.

        Raises:
            LedgerUnavailableError: The server cannot be reached.
        """
        outcome = Sent()
        for file in self._spool.left_behind(of=only):
            if not goes_on():
                break
            name = file.record.name
            if "/" not in name:
                file.record.name = name = f"projects/{self._project}/jobs/{name}"
            if (only is None or only == name) and self._is_ours(file):
                self._send(file, outcome)
        return outcome

    def _is_ours(self, file: RunFile) -> bool:
        aim = file.record.destination
        return self._destination is None or aim is None or aim == self._destination

    def _send(self, file: RunFile, outcome: Sent) -> None:
        record = file.record
        try:
            parse_name(record.name)
            delivery = Delivery(self._store, record, late=True)
            delivery.deliver()
            if not record.is_over:
                delivery.report_lost(file.last_sign)
        except BusyError as error:
            outcome.waiting[record.name] = str(error)
        except LedgerError as error:
            if not is_refusal(error):
                raise
            outcome.refused[file.refuse()] = str(error)
            LOG.warning("%s is refused, and set aside: %s", file.path, error)
        else:
            self._end_lease(record.name, record.run_id)
            file.remove()
            outcome.sent.append(record.name)


def send_spool(store: Store, spool: Spool, destination: Destination, project: str) -> int:
    """Sends the runs for this ledger, and logs errors; returns the number of recorded runs."""
    try:
        outcome = Sender(store, spool, destination, project).send()
    except (LedgerError, psycopg.Error, OSError) as error:
        LOG.warning("the spool is not sent: %s", error)
        return 0
    sent = len(outcome.sent)
    if sent:
        LOG.info("recorded %d %s from the spool", sent, "run" if sent == 1 else "runs")
    return sent
