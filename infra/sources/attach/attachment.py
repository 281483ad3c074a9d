"""The job that an attachment is in the ledger: when it began, what it could not record, and its gaps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from jobledger.domain.errors import JobNotFoundError
from jobledger.domain.observing import introduce
from jobledger.domain.reports import parse_report
from jobledger.infra.errors import AttachError
from jobledger.infra.eventstore.methods.request import AboutReport
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.eventstore.write_path import ObservedEvent
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated
from jobledger.infra.read.store import Store
from jobledger.infra.sources.mapping.importing import ImportSummary

KEEP_ATTACHMENT: Final = sql.load(__package__, "keep_attachment")
READ_ATTACHMENT: Final = sql.load(__package__, "read_attachment")
NOTED_REASONS: Final = 20
"""How many reasons a note lists for changes that could not be placed."""
BEGUN: Final = "begun"
"""The note of an attachment whose existing rows may not be completely recorded yet."""


class Attachment:
    """What the ledger records about following one slot."""

    def __init__(self, store: Store, project: str, slot: str, title: str) -> None:
        """`slot` is the slot's name, and `title` the source's."""
        self.actor = f"attach {slot}"
        self._store = store
        self._slot = slot
        self._title = title
        self._name = f"projects/{project}/jobs/attach.{slot}"

    def note(self, type_: str, data: dict[str, Any]) -> None:
        """Records an event of the attachment."""
        about = AboutReport(occurred_time=datetime.now(UTC), actor=self.actor)
        created = parse_report("Created", {"spec": {"displayName": self._title}})
        self._store.writer.report_many(
            [
                ObservedEvent(self._name, created, about, introduce),
                ObservedEvent(self._name, parse_report(type_, data), about),
            ]
        )

    def begin(self, lsn: str, identities: dict[str, str]) -> None:
        """Records that it begins; `identities` are the replica identities that tables had before."""
        self.note(
            "Started",
            {"runId": lsn, "lsn": lsn, "snapshot": BEGUN, "replicaIdentity": identities},
        )

    def note_missed(self, summary: ImportSummary, count: int) -> None:
        """Records that changes could not be recorded as events, with the reasons that the summary keeps."""
        if count:
            reasons = summary.unplaced[-min(count, NOTED_REASONS) :]
            note = f"{count} changes could not be placed"
            self.note("Commented", {"note": note, "reasons": reasons})
            # This makes room for the next ones.
            del summary.unplaced[:-NOTED_REASONS]

    def note_gap(self, why: str, known: str | None) -> None:
        """Records that changes may be missing: why, after which position (`known`), and up to now."""
        until = datetime.now(UTC).isoformat()
        self.note("Failed", {"error": f"gap: {why}", "gap": {"fromLsn": known, "untilTime": until}})

    def copied_lsn(self, source: str) -> str | None:
        """Returns the place up to which the ledger has the source's changes; None if it was never kept."""
        with translated(), self._store.reader.pool.connection() as connection:
            row = connection.execute(READ_ATTACHMENT, (self._name, source)).fetchone()
        return None if row is None else str(row[0])

    def keep_copied(self, source: str, lsn: str) -> None:
        """Keeps the place up to which the ledger has the source's changes."""
        with translated(), self._store.reader.pool.connection() as connection:
            connection.execute(KEEP_ATTACHMENT, (self._name, source, lsn))

    def has_begun(self) -> bool:
        """Whether it began at least once."""
        return bool(self._beginnings())

    def has_snapshot(self) -> bool:
        """Whether all rows that existed at its beginning were recorded; raises AttachError without a record of it."""
        if not (notes := self._beginnings()):
            raise AttachError(
                "slot",
                f"{self._slot!r} exists already, and this ledger did not make it: detach it first",
            )
        # Earlier versions did not record this for their slots.
        return notes[-1].get("snapshot") != BEGUN

    def identities(self) -> dict[str, str]:
        """Returns the replica identities that tables had before they were followed."""
        found: dict[str, str] = {}
        for each in self._history():
            if each.type == "Succeeded":
                found = {}
            found = {**each.json.get("replicaIdentity", {}), **found}
        return found

    def _beginnings(self) -> list[dict[str, Any]]:
        """Returns the notes of when it began, oldest first."""
        return [each.json for each in self._history() if "runId" in each.json]

    def _history(self) -> list[RecordedEvent]:
        try:
            return self._store.reader.history(self._name)
        except JobNotFoundError:
            return []
