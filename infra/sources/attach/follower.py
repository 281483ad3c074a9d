"""Follows a database: records the existing rows, and then each change once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from threading import Event as Signal
from typing import Any, Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.observing import catch_up, observe
from jobledger.domain.values.nearest import did_you_mean
from jobledger.infra.errors import AttachError, LedgerUnavailableError, SourceUnavailableError
from jobledger.infra.eventstore.observing import Reported, observe_many
from jobledger.infra.read.store import Store
from jobledger.infra.sources.attach.attachment import Attachment
from jobledger.infra.sources.attach.pgoutput import Transaction
from jobledger.infra.sources.attach.records import record_of, snapshot_record
from jobledger.infra.sources.attach.slot import FULL, LOST, Slot, lsn_number
from jobledger.infra.sources.collecting import collecting_less
from jobledger.infra.sources.mapping.histories import Histories, RecordPlace
from jobledger.infra.sources.mapping.importing import ImportSummary, refusal
from jobledger.infra.sources.mapping.model import Mapping

LOG: Final = logging.getLogger("jobledger.attach")
PAUSE_SECONDS: Final = 0.5
REST: Final = 9
"""The length of a pause, as a multiple of the work before it, so that the source keeps its disk and CPU."""
FAR_BEHIND_BYTES: Final = 64 * 1024**2
"""If the follower is behind by more than this much of the source's log, it does not pause."""
RETRY_SECONDS: Final = 5.0
MAX_SLOT_BYTES: Final = 4 * 1024**3
"""How much of its log the source may keep for the slot; if it is more, the attachment ends."""


class Follower:
    """Copies the changes of one source into a ledger."""

    def __init__(
        self,
        store: Store,
        slot: Slot,
        mapping: Mapping,
        project: str,
        *,
        max_bytes: int = MAX_SLOT_BYTES,
    ) -> None:
        """`max_bytes` is how much of its log the source may keep for the slot."""
        self._store = store
        self._slot = slot
        self._mapping = mapping
        self._attachment = Attachment(store, project, slot.name, mapping.title)
        self._histories = Histories(mapping, project, self._attachment.actor)
        self._max_bytes = max_bytes
        self._new_after: int | None = None
        """Changes after this place of the source's log were not recorded yet; None if that is not known."""
        self.summary = ImportSummary(slot.name)

    def check(self) -> None:
        """Raises AttachError if the source cannot be followed, or is of an unknown version."""
        source = self._mapping.source
        self._slot.check()
        if missing := sorted(set(source.tables) - self._slot.tables(source.tables)):
            raise AttachError("tables", f"there is no {', '.join(missing)} in that database")
        self._check_version()

    def tables(self) -> list[str]:
        """The tables that are followed: those that the mapping needs, and the optional ones that exist."""
        source = self._mapping.source
        optional = self._slot.tables(source.optional_tables)
        return [*source.tables, *(each for each in source.optional_tables if each in optional)]

    def begin(self) -> None:
        """Creates the publication and the slot, and records the existing rows.

        Raises:
            AttachError: The source cannot be followed, is of an unknown version, or is attached already.
        """
        source = self._mapping.source
        self.check()
        if not self.must_begin():
            raise AttachError(
                "slot", f"{self._slot.name!r} exists already: follow it, or detach it first"
            )
        self._note_restored()
        self._slot.drop()
        judge = catch_up if self._attachment.has_begun() else observe
        before = self._slot.identities(source.whole_rows)
        changed = {table: was for table, was in before.items() if was != FULL}
        with self._slot.create(self.tables(), source.whole_rows, source.snapshot) as (lsn, rows):
            self._attachment.keep_copied(self._slot.source, lsn)
            self._attachment.begin(lsn, changed)
            now = datetime.now(UTC)
            self._record(
                event
                for table, row in rows
                for event in self._observed(
                    snapshot_record(table, row, now), f"{table} {lsn}", RecordPlace(judge=judge)
                )
            )
            self._attachment.note("ProgressReported", {"runId": lsn, "snapshot": "recorded"})

    def unfollowed(self) -> list[str]:
        """Tables that the mapping needs, and that it did not need when the slot was made."""
        return self._slot.unpublished(self.tables())

    def extend(self, tables: Sequence[str]) -> None:
        """Follows further tables, whose earlier changes are not known."""
        self._slot.publish(tables)
        self._attachment.note("Commented", {"note": f"{', '.join(tables)} is followed from now on"})

    def must_begin(self) -> bool:
        """Whether there is no slot, or one whose beginning was interrupted.

        A slot does not hold the rows that were there before it, so an interrupted beginning has to be done
        again.

        Returns:
            The answer.

        Raises:
            AttachError: This ledger has no record of the slot.
        """
        return self._slot.status() is None or not self._attachment.has_snapshot()

    def _check_version(self) -> None:
        source = self._mapping.source
        if source.version is None or not source.versions:
            return
        found = self._slot.value(source.version)
        if found not in source.versions:
            known = ", ".join(source.versions)
            raise AttachError(
                "version", f"the source's schema is of version {found!r}; known are {known}"
            )

    def follow(self, stop: Signal) -> None:
        """Copies changes until `stop` is set; raises AttachError if that is impossible.

        It works a tenth of the time, as far as that keeps it near the end of the source's log. While the
        source or the ledger cannot be reached, it tries again: the slot keeps what changes.
        """
        with self._slot.connected():
            while not stop.is_set():
                try:
                    begin = time.monotonic()
                    self.carry_over()
                    worked = time.monotonic() - begin
                    if self.check_size() < FAR_BEHIND_BYTES:
                        stop.wait(max(PAUSE_SECONDS, REST * worked))
                except (SourceUnavailableError, LedgerUnavailableError) as error:
                    LOG.warning("%s; trying again in %s s", error, RETRY_SECONDS)
                    stop.wait(RETRY_SECONDS)

    def carry_over(self) -> int:
        """Copies the next transactions.

        Returns:
            How many changes there were.

        Raises:
            AttachError: The slot is gone, or the ledger was restored to before its place.
            SourceUnavailableError: The source cannot be reached.
        """
        if why := self._note_restored():
            self._slot.drop()
            raise AttachError(
                "slot", f"{why}: detached; attach again, which records the present rows"
            )
        try:
            with collecting_less():
                transactions = self._slot.peek(self._advance)
        except SourceUnavailableError:
            raise
        except AttachError as error:
            self._note_gap(error.why)
            raise
        if not transactions:
            return 0
        missed = self.summary.unplaced_count
        known, self._new_after = self._new_after, None
        new = known is not None and lsn_number(transactions[0].commit_lsn) > known
        with collecting_less():
            repeats, written = self._record(self._changed(transactions), ahead=True, new=new)
        self._attachment.note_missed(self.summary, self.summary.unplaced_count - missed)
        # Only now may the source remove them. If they are read again, they make the same events.
        self._advance(transactions[-1].commit_lsn)
        # A source may repeat changes after a crash; these were all recorded.
        if not repeats and (written or known is not None):
            self._new_after = lsn_number(transactions[-1].commit_lsn)
        return sum(len(each.changes) for each in transactions) or 1

    def check_size(self) -> int:
        """Detaches if the source keeps too much of its log for the slot.

        Returns:
            How many bytes of the log were not carried over yet.

        Raises:
            AttachError: It was detached, or the slot is gone.
        """
        status = self._slot.status()
        if status is None or status.wal_status in LOST:
            why = "the slot is gone" if status is None else f"the slot's log is {status.wal_status}"
            self._note_gap(why)
            raise AttachError("slot", why)
        if status.kept_bytes > self._max_bytes:
            why = f"the source keeps {status.kept_bytes} bytes for it, and {self._max_bytes} is the limit"
            self._note_gap(why)
            self._slot.drop()
            raise AttachError("slot", f"{why}: detached")
        return status.behind_bytes

    def _advance(self, lsn: str) -> None:
        """Lets the source remove its log up to a place, after the ledger has kept the place."""
        self._attachment.keep_copied(self._slot.source, lsn)
        self._slot.advance(lsn)

    def _note_restored(self) -> str | None:
        """Records a gap if the source removed changes that the ledger does not have; returns why it does not."""
        status = self._slot.status()
        copied = self._attachment.copied_lsn(self._slot.source)
        if status is None or status.confirmed_lsn is None or copied is None:
            return None
        if lsn_number(status.confirmed_lsn) <= lsn_number(copied):
            return None
        why = (
            f"the slot is at {status.confirmed_lsn}, and the ledger has the changes up to {copied},"
            " as it was restored to an earlier moment"
        )
        self._attachment.note_gap(why, copied)
        return why

    def _note_gap(self, why: str) -> None:
        status = self._slot.status()
        self._attachment.note_gap(why, None if status is None else status.confirmed_lsn)

    def end(self) -> None:
        """Reverts the changes to the source, and records that it is no longer followed."""
        self._slot.drop()
        self._slot.restore(self._attachment.identities())
        self._attachment.note("Succeeded", {})

    def _changed(self, transactions: Iterable[Transaction]) -> Iterator[Reported]:
        for lsn, commit_time, changes in transactions:
            committed = commit_time.isoformat()
            first_times: dict[str, datetime] = {}
            for number, change in enumerate(changes):
                # The request ids include the place, as two changes may be equal.
                place = f"{lsn} #{number}"
                at = RecordPlace(place, first_times=first_times)
                yield from self._observed(record_of(change, committed), place, at)

    def _observed(self, record: dict[str, Any], where: str, at: RecordPlace) -> list[Reported]:
        self.summary.records += 1
        try:
            return self._histories.observed(record, at)
        except InvalidFieldError as wrong:
            self.summary.miss(f"{record['table']} {where}", wrong)
            return []

    def _record(
        self, events: Iterable[Reported], *, ahead: bool = False, new: bool = False
    ) -> tuple[int, int]:
        """Records the changes; returns how many events were recorded before, and how many are new."""
        before = written = 0
        for event, outcome in observe_many(self._store.writer, events, ahead=ahead, new=new):
            if outcome.error is not None:
                self.summary.miss(event.name, refusal(outcome.error))
            before += outcome.before
            written += len(outcome.types)
        self.summary.events += before + written
        return before, written


def slot_name(ledger: str, system: str) -> str:
    """Returns the name of the slot by which a ledger follows a system; raises InvalidFieldError."""
    name = f"jobledger_{ledger}_{system}".replace("-", "_")
    if (
        not name.isascii()
        or not name.replace("_", "").isalnum()
        or name.lower() != name
        or len(name) > 63
    ):
        raise InvalidFieldError(
            "slot",
            f"{name!r} is not a valid name of a slot (63 bytes at most): use a shorter ledger name",
        )
    return name


def known_system(name: str, known: list[str]) -> str:
    """Checks that the name is of a system that can be attached, and returns it; raises InvalidFieldError."""
    if name in known or name.endswith((".yaml", ".yml")):
        return name
    raise InvalidFieldError("as", f"there is no mapping {name!r}{did_you_mean(name, known)}")
