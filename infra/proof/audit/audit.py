"""The audit of a ledger: compares its log with all known checkpoints, and its rows with its log."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psycopg
from jobledger.domain.errors import LedgerError
from jobledger.infra.errors import ForkedError, ProofError
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.postgres.session import WAIT_IN_TRANSACTION
from jobledger.infra.proof.audit.clocks import check_clocks
from jobledger.infra.proof.audit.erasures import check_keys, erased_events
from jobledger.infra.proof.audit.evidence import collect, known_keys, read_checkpoint
from jobledger.infra.proof.audit.prunings import check_records, pruned_ranges
from jobledger.infra.proof.audit.records import Record, check_signed, read_records
from jobledger.infra.proof.audit.resumptions import resumed
from jobledger.infra.proof.audit.trust import check_trust
from jobledger.infra.proof.audit.verify_log import OUT_OF_STEP, KnownCheckpoint, Verdict, verify_log
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.notes import VerifierKey
from jobledger.infra.proof.signing.pins import pin
from jobledger.infra.settings import Settings
from jobledger.infra.upkeep.definitions import Installed, check_definitions
from jobledger.infra.upkeep.findings import Finding
from jobledger.infra.upkeep.verify import verify

Progress = Callable[[str, int, int], object]


class Audit(NamedTuple):
    """The extent of an audit, and its findings."""

    size: int
    """How many events the log's tree holds."""
    root: bytes
    unsealed: int
    erased: int
    """Events with personal parts whose key was destroyed on request."""
    pruned: int
    """Events that were pruned, as an event of the log says."""
    checkpoints: int
    """How many checkpoints the log was compared with."""
    lost_checkpoints: int
    """Checkpoints of history that was lost, by a signed statement in the log."""
    records: list[Record]
    """The events that say what was erased, pruned and lost."""
    findings: list[Finding]

    @property
    def ok(self) -> bool:
        """Whether there are no findings."""
        return not self.findings


def audit(
    connection: Connection,
    settings: Settings,
    checkpoints: Sequence[Path] = (),
    keys: Sequence[VerifierKey] = (),
    since: Path | None = None,
    progress: Progress = lambda what, done, size: None,
    *,
    trust_first: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    installed: Installed | None = None,
) -> Audit:
    """Verifies the schema and the log, and, if the log is intact, that every row follows from it.

    Args:
        connection: A connection to the ledger's schema.
        settings: Where keys, pins and the last checkpoints are.
        checkpoints: Files of checkpoints to compare the log with.
        keys: The public keys to trust; by default the log's own.
        since: The file of a checkpoint to trust: only events after it are verified.
        progress: Called with the step, the number of events done and their total.
        trust_first: Accept a log without any checkpoint to compare it with. The name of a log that
            passes is pinned.
        now: The present time (UTC).
        installed: What the schema is compared with, as for `check_definitions`.

    Returns:
        What was verified, and the findings.

    Raises:
        ProofError: A checkpoint is not valid, is of another log, or has no trusted signature.
        LedgerError: The ledger cannot be read.
        Error: PostgreSQL failed for another reason than the schema.
    """
    origin = Tree().log_state(connection).origin
    trusted = known_keys(settings, origin, keys)
    given = [read_checkpoint(file, trusted) for file in checkpoints]
    start = None if since is None else read_checkpoint(since, trusted)
    definitions = check_definitions(connection, installed)
    try:
        found = _Audit(connection, settings, origin, given, start, progress)
        audited = found.run(keys, trusted, now(), trust_first=trust_first)
    except (LedgerError, psycopg.Error):
        if not definitions:
            raise
        # The schema differs so much that it cannot be queried.
        return Audit(0, b"", 0, 0, 0, 0, 0, [], definitions)
    audited = audited._replace(findings=[*audited.findings, *definitions])
    if audited.ok:
        with suppress(ProofError):  # A verifier need not be able to write there.
            pin(settings, connection, origin)
    return audited


class _Evidence(NamedTuple):
    """What the log is compared with, and what its own events say about it."""

    checkpoints: list[KnownCheckpoint]
    lost: list[KnownCheckpoint]
    """Checkpoints of lost history."""
    pruned: list[tuple[int, int]]
    records: list[Record]
    findings: list[Finding]


class _Audit:
    """The steps of one audit."""

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        origin: str,
        given: Sequence[KnownCheckpoint],
        start: KnownCheckpoint | None,
        progress: Progress,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._origin = origin
        self._given = given
        self._start = [] if start is None else [start]
        self._progress = progress

    def run(
        self,
        keys: Sequence[VerifierKey],
        trusted: Sequence[VerifierKey],
        now: datetime,
        *,
        trust_first: bool,
    ) -> Audit:
        """Runs all steps but the comparison of the schema."""
        connection = self._connection
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            connection.execute(WAIT_IN_TRANSACTION)
            evidence = self._collect(trusted)
            compared = [*evidence.checkpoints, *self._start]
            start = next(iter(self._start), None)
            hashing = self._on("hashing")
            verdict = verify_log(connection, evidence.checkpoints, start, evidence.pruned, hashing)
            findings = check_trust(
                connection, self._settings, self._origin, keys, compared, trust_first=trust_first
            )
            findings += [*evidence.findings, *verdict.findings]
            findings += self._check_records(evidence.records, compared, verdict, now)
            erased = erased_events(connection)
        if not verdict.findings:
            findings += self._check_rows()
        return Audit(
            size=verdict.size,
            root=verdict.root,
            unsealed=verdict.unsealed,
            erased=erased,
            pruned=sum(last - first + 1 for first, last in evidence.pruned),
            checkpoints=len(compared),
            lost_checkpoints=len(evidence.lost),
            records=evidence.records,
            findings=findings,
        )

    def _collect(self, trusted: Sequence[VerifierKey]) -> _Evidence:
        """Collects checkpoints, without those of lost history; raises ProofError if the start is one."""
        collected = collect(self._connection, self._settings, self._origin, trusted)
        records = read_records(self._connection)
        resumptions = resumed(records, trusted)
        for lost in resumptions.split(self._start, self._is_extended)[1]:
            why = f"{lost.source} is of history that was lost; give an earlier or a later one"
            raise ProofError("checkpoint", why)
        found = [*self._given, *collected.checkpoints]
        checkpoints, lost_ones = resumptions.split(found, self._is_extended)
        return _Evidence(
            checkpoints,
            lost_ones,
            pruned_ranges(self._connection),
            records,
            [*collected.findings, *resumptions.findings],
        )

    def _check_records(
        self,
        records: Sequence[Record],
        compared: Sequence[KnownCheckpoint],
        verdict: Verdict,
        now: datetime,
    ) -> list[Finding]:
        """Checks prunings, signatures of records, clocks and subjects' keys."""
        signed = max((each.checkpoint.size for each in compared), default=verdict.size)
        return [
            *check_records(self._connection),
            *check_signed(records, signed),
            *check_clocks(self._connection, compared, now),
            *check_keys(self._connection),
        ]

    def _check_rows(self) -> list[Finding]:
        rows = verify(self._connection, self._on("replaying"))
        return [Finding(OUT_OF_STEP, f.position, f.name, f.detail) for f in rows.findings]

    def _is_extended(self, checkpoint: Checkpoint) -> bool:
        """Whether the stored tree has the checkpoint's root, as far as the tree can be read."""
        tree = Tree()
        if checkpoint.size > tree.log_state(self._connection).size:
            return False
        try:
            return tree.root(self._connection, checkpoint.size) == checkpoint.root
        except ForkedError:
            return False

    def _on(self, what: str) -> Callable[[int, int], object]:
        return partial(self._progress, what)


def require_intact(
    connection: Connection,
    checkpoint: Checkpoint,
    source: str,
    progress: Callable[[int, int], object] = lambda done, size: None,
) -> None:
    """Raises ProofError unless the log's events are those of a checkpoint, and all exist."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute(WAIT_IN_TRANSACTION)
        pruned = pruned_ranges(connection)
        if pruned and pruned[0][0] <= checkpoint.size:
            why = f"some of the events under {source} were pruned, so its root cannot be computed again"
            raise ProofError("checkpoint", why)
        verdict = verify_log(connection, [KnownCheckpoint(checkpoint, source)], None, (), progress)
    for finding in verdict.findings:
        why = f"the log is not intact: {finding.kind} at position {finding.position}, {finding.detail}"
        raise ProofError("checkpoint", why)
