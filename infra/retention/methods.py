"""The methods of a ledger that remove what it stores: personal data, old jobs by rules or by hand, free space."""

from datetime import datetime
from pathlib import Path

from jobledger.infra.eventstore.ledger_events import check_may_delete
from jobledger.infra.proof.logged_store import LoggedStore
from jobledger.infra.read.store import Store
from jobledger.infra.retention import apply as applying
from jobledger.infra.retention import compact as compacting
from jobledger.infra.retention import erase as erasing
from jobledger.infra.retention import prune as pruning
from jobledger.infra.retention.apply import RetentionRun
from jobledger.infra.retention.archive import Export
from jobledger.infra.retention.compact import TABLES, Compaction
from jobledger.infra.retention.erase import Erasure
from jobledger.infra.retention.prune import Pruning
from jobledger.infra.settings import archive_folder


def erase(ledger: LoggedStore, subject: str, actor: str | None = None) -> Erasure:
    """Erases a person's data: destroys the key of their personal values (crypto-shredding).

    Events and proofs stay as they are; the values can no longer be decrypted.

    Args:
        ledger: The ledger.
        subject: The subject of the personal values, as in `{"@personal": {"subject": …}}`.
        actor: The user who asks for it: 1 to 256 printable characters.

    Returns:
        The id of the destroyed key, and the position of the `Erased` event.

    Raises:
        SubjectNotFoundError: The ledger has no personal data of the subject.
        InvalidFieldError: `subject` is not 1 to 256 printable characters.
        OwnerNeededError: The database user may not delete keys.

    Examples:
        >>> spec = {"owner": {"@personal": {"subject": "ada", "value": "Ada L."}}}
        >>> _ = ledger.create("projects/demo/jobs/a", spec=spec)
        >>> ledger.erase("ada", actor="privacy-desk").position
        2
    """
    erasure = erasing.erase(ledger, subject, actor)
    ledger.log.checkpoint_if_possible()
    return erasure


def prune(
    ledger: LoggedStore,
    before: datetime,
    export: Export,
    actor: str | None = None,
    *,
    skip_held: bool = False,
) -> Pruning:
    """Removes jobs that ended before a time, after writing them to an export.

    A pruned job's events are deleted; proofs of the other events stay valid.

    Args:
        ledger: The ledger.
        before: A time with a time zone (transaction time), not in the future: all events of a
            pruned job were recorded before it.
        export: The file that the events are written to, or that already holds them.
        actor: The user who asks for it: 1 to 256 printable characters.
        skip_held: Whether jobs that are held or pinned are left out; else nothing is pruned if
            there are any.

    Returns:
        The numbers of pruned jobs and events, and the positions of the `Pruned` events.

    Raises:
        InvalidFieldError: `before` is in the future or has no time zone, or the file exists.
        JobHeldError: One of the jobs is held or pinned, and `skip_held` is false.
        InputError: The export does not hold what the ledger holds.
        ForkedError: The log does not extend the last signed checkpoint.
        OwnerNeededError: The database user may not delete events.

    Examples:
        >>> from datetime import UTC, datetime
        >>> from jobledger import Export
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> _ = ledger.succeeded("projects/demo/jobs/a")
        >>> ledger.prune(datetime.now(UTC), Export(folder / "old.jsonl", False)).jobs
        1
    """
    return pruning.prune(ledger, ledger.log, before, export, actor, skip_held=skip_held)


def compact(ledger: Store) -> Compaction:
    """Gives the disk of pruned events back to the file system, while others read and write.

    Events move to free pages in short transactions, and derived rows are rebuilt. It waits up to
    ten minutes for sessions that may still see pruned events.

    Returns:
        The bytes that the tables took before and after.

    Raises:
        LedgerBusyError: A session still sees pruned events or uses a table all the time, which the
            error names, or the ledger is being rebuilt.
        OwnerNeededError: The database user does not own the ledger's tables.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> before, after = ledger.compact()
        >>> min(before, after) > 0
        True
    """
    check_may_delete(ledger.reader.pool, TABLES, "to compact")
    with ledger.reader.connection() as connection:
        return compacting.compact(connection)


def apply_retention(
    ledger: LoggedStore,
    folder: Path | None = None,
    *,
    dry_run: bool = False,
    actor: str | None = None,
) -> RetentionRun:
    """Applies all retention rules: exports, verifies and prunes the jobs of each.

    Jobs that are held or pinned stay. A rule that fails is reported, and the others are applied. If
    a tenth of the events or more was pruned, their disk is given back.

    Args:
        ledger: The ledger.
        folder: Where the exports are written, one file for each rule that selects jobs; None is the
            setting JOBLEDGER_ARCHIVES, or archives under JOBLEDGER_HOME.
        dry_run: Whether only to count what would be pruned.
        actor: The user who asks for it: 1 to 256 printable characters.

    Returns:
        What each rule did.

    Raises:
        OwnerNeededError: The database user may not delete events.
        ForkedError: The log does not extend the last signed checkpoint.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> from jobledger import RetentionRule
        >>> _ = ledger.set_retention_rule(RetentionRule("failed", 0.0, ("FAILED",)))
        >>> _ = ledger.create("projects/demo/jobs/a")
        >>> _ = ledger.failed("projects/demo/jobs/a", "out of memory")
        >>> [(each.rule, each.jobs) for each in ledger.apply_retention(folder).rules]
        [('failed', 1)]
    """
    to = archive_folder() if folder is None else folder
    return applying.apply_retention(ledger, ledger.log, to, dry_run=dry_run, actor=actor)
