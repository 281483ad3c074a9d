"""Applies retention rules: exports the jobs of each rule, prunes them, and returns the disk space.

A rule that fails is reported, and the others are applied. Jobs that are held or pinned stay.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event as Signal
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError, LedgerError
from jobledger.domain.values.filters import parse_filter
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.proof.transparency_log import TransparencyLog
from jobledger.infra.read.lists.filter_sql import render
from jobledger.infra.read.store import Store
from jobledger.infra.retention.archive import Condition, Export, Source
from jobledger.infra.retention.compact import Compaction, compact
from jobledger.infra.retention.prune import prepare, prune_source
from jobledger.infra.retention.rules import ENDED, RetentionRule, StoredRule, stored_rules
from psycopg.sql import SQL, Composable

ENDED_BEFORE: Final = sql.template(__package__, "ended_before")
READ_STORED: Final = sql.load(__package__, "read_stored")
TRY_KEEPING: Final = sql.load(__package__, "try_keeping")
LOG: Final = logging.getLogger("jobledger.retention")
ACTOR: Final = "scheduler"
COMPACT_SHARE: Final = 0.1
"""The share of the events that must have been pruned for the disk to be given back; new events use less."""
COMPACT_TIMEOUT_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 3_600.0
"""How often the scheduler applies the rules."""
SHORT_PAUSE_SECONDS: Final = 60.0
"""How soon it looks again whether another scheduler has ended that applied them."""


class RuleOutcome(NamedTuple):
    """The jobs that one rule selected, and those that were pruned.

    Attributes:
        rule: The rule's name.
        jobs: The number of jobs that were pruned, or would be.
        events: The number of their events.
        held: The number of jobs that it selects, and that stay because they are held or pinned.
        file: The export of the pruned jobs; None if there are none.
        error: Why the rule could not be applied; "" if it was.
    """

    rule: str
    jobs: int = 0
    events: int = 0
    held: int = 0
    file: Path | None = None
    error: str = ""


class RetentionRun(NamedTuple):
    """The outcome of applying all retention rules.

    Attributes:
        rules: The outcome of each rule, by name.
        compaction: The disk that the tables took before and after; None if little was pruned.
        error: Why the disk was not given back; "" if it was, or need not be.
    """

    rules: list[RuleOutcome]
    compaction: Compaction | None = None
    error: str = ""


def apply_retention(
    store: Store,
    log: TransparencyLog,
    folder: Path,
    *,
    dry_run: bool = False,
    actor: str | None = None,
) -> RetentionRun:
    """Applies all retention rules: exports, verifies and prunes the jobs of each.

    Args:
        store: The ledger.
        log: Its log, which is brought up to date first.
        folder: Where the exports are written, one file for each rule that selects jobs.
        dry_run: Whether only to count what would be pruned.
        actor: The user who asks for it.

    Returns:
        What each rule did.

    Raises:
        OwnerNeededError: The database user may not delete events.
        ForkedError: The log does not extend the last signed checkpoint.
        LedgerUnavailableError: The server cannot be reached.
    """
    rules = stored_rules(store.reader)
    if not rules:
        return RetentionRun([])
    prepare(store, log)
    now = store.reader.moment().time
    outcomes = [_outcome(store, each, folder, now, actor, dry_run=dry_run) for each in rules]
    pruned = 0 if dry_run else sum(each.events for each in outcomes)
    if not pruned:
        return RetentionRun(outcomes)
    log.checkpoint_if_possible()
    return _compacted(store, outcomes, pruned)


def _compacted(store: Store, outcomes: list[RuleOutcome], pruned: int) -> RetentionRun:
    """Returns disk space if much was pruned."""
    with store.reader.connection() as connection:
        with translated():
            row = connection.execute(READ_STORED).fetchone()
        if row is None or pruned < COMPACT_SHARE * (pruned + row[0]):
            return RetentionRun(outcomes)
        try:
            return RetentionRun(outcomes, compact(connection, COMPACT_TIMEOUT_SECONDS))
        except LedgerUnavailableError:
            raise
        except LedgerError as error:  # The pruned jobs are reported even so.
            return RetentionRun(outcomes, error=str(error))


def _outcome(
    store: Store,
    stored: StoredRule,
    folder: Path,
    now: datetime,
    actor: str | None,
    *,
    dry_run: bool,
) -> RuleOutcome:
    """Applies one rule; whatever is wrong with it is its own."""
    try:
        return _apply(store, stored, folder, now, actor, dry_run=dry_run)
    except LedgerUnavailableError:
        raise
    except Exception as error:
        if not isinstance(error, LedgerError):
            LOG.exception("the rule %s failed", stored.rule.name)
        return RuleOutcome(stored.rule.name, error=str(error) or type(error).__name__)


def _apply(
    store: Store,
    stored: StoredRule,
    folder: Path,
    now: datetime,
    actor: str | None,
    *,
    dry_run: bool,
) -> RuleOutcome:
    rule = stored.rule
    rule.check()
    with Source(store.reader, now, condition_of(rule, now)) as source:
        held = len({each.name for each in source.leave_held()})
        found = source.prunable()
        if dry_run or not found:
            events = sum(job.version for job in found)
            return RuleOutcome(rule.name, len(found), events, held)
        file = _file(folder, store.reader.name, rule.name, now)
        data = {
            "before": time_text(now),
            "rule": {"name": rule.name, "position": stored.position},
        }
        pruning = prune_source(store, source, Export(file, is_there=False), data, actor)
    if not pruning.jobs:  # All were held meanwhile, or pruned by another run with its own export.
        file.unlink()
        return RuleOutcome(rule.name, held=held)
    return RuleOutcome(rule.name, pruning.jobs, pruning.events, held, file)


def condition_of(rule: RetentionRule, now: datetime) -> Condition:
    """Returns the condition on rows of `jobs` that a rule means at a time."""
    ended_by = now - timedelta(seconds=rule.keep_seconds)
    parameters: dict[str, Any] = {"states": list(rule.states or ENDED), "ended_by": ended_by}
    or_deleted = SQL("" if rule.states else "OR delete_time <= %(ended_by)s")
    parts: list[Composable] = [ENDED_BEFORE.format(or_deleted=or_deleted)]
    if rule.kind:
        parts.append(SQL("kind = %(kind)s"))
        parameters["kind"] = rule.kind
    if rule.filter.strip():
        text, values = render(parse_filter(rule.filter))
        parts.append(text)
        parameters |= values
    return Condition(SQL(" AND ").join(parts), parameters)


def _file(folder: Path, ledger: str, rule: str, now: datetime) -> Path:
    """Returns the path of a new export in the folder, which is made if it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidFieldError("to", f"{folder}: {error.strerror or error}") from None
    return folder / f"{ledger}-{rule}-{now.astimezone(UTC):%Y%m%dT%H%M%S%fZ}.jsonl"


def keep_applying(
    store: Store, log: TransparencyLog, folder: Path, stopping: Signal, *, once: bool = False
) -> None:
    """Applies the rules every hour until it is stopped; of several schedulers one does.

    Args:
        store: The ledger.
        log: Its log.
        folder: Where the exports are written.
        stopping: Set when it is to end.
        once: Whether to apply them once, and to return.
    """
    while not stopping.is_set():
        pause = SHORT_PAUSE_SECONDS
        try:
            with store.reader.connection() as connection, applying(connection) as applies:
                if applies:
                    _say(apply_retention(store, log, folder, actor=ACTOR))
                    pause = PAUSE_SECONDS
        except LedgerError as error:
            LOG.warning("retention rules were not applied: %s", error)
        if once:
            return
        stopping.wait(pause)


def _say(run: RetentionRun) -> None:
    for each in run.rules:
        if each.error:
            LOG.warning("the retention rule %s was not applied: %s", each.rule, each.error)
        elif each.jobs:
            text = "pruned %d jobs with %d events by the retention rule %s; they are in %s"
            LOG.info(text, each.jobs, each.events, each.rule, each.file)
    if run.error:
        LOG.warning("no disk was given back: %s", run.error)


@contextmanager
def applying(connection: Connection, idle_seconds: float = PAUSE_SECONDS) -> Iterator[bool]:
    """Whether this session applies the rules, from now on until it ends, or is idle for `idle_seconds`.

    A process that is stopped meanwhile does not keep others from it permanently. Two may apply them at once,
    as by the command.

    Args:
        connection: A connection of its own.
        idle_seconds: How long it may be idle.

    Yields:
        The answer.
    """
    with translated():
        row = connection.execute(TRY_KEEPING, (f"{idle_seconds * 1000:.0f}",)).fetchone()
    assert row is not None
    yield bool(row[0])
