"""The audit of a ledger: its log against all known checkpoints, and its rows against its log."""

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
from jobledger.infra.proof.audit.clocks import check_clocks
from jobledger.infra.proof.audit.erasures import check_keys, erased_events
from jobledger.infra.proof.audit.evidence import gather, known_keys, show
from jobledger.infra.proof.audit.prunings import check_records, pruned_ranges
from jobledger.infra.proof.audit.records import Record, check_signed, read_records
from jobledger.infra.proof.audit.resumptions import resumed
from jobledger.infra.proof.audit.trust import check_trust
from jobledger.infra.proof.audit.verify_log import OUT_OF_STEP, Shown, verify_log
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
    """Events that were deleted because their time had come, as an event of the log says."""
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
    given = [show(file, trusted) for file in checkpoints]
    start = None if since is None else show(since, trusted)
    definitions = check_definitions(connection, installed)
    try:
        found = _Audit(connection, settings, origin, given, start, progress)
        audited = found.run(keys, trusted, now(), trust_first=trust_first)
    except (LedgerError, psycopg.Error):
        if not definitions:
            raise
        # Something of the schema that is not what it should be does not even answer.
        return Audit(0, b"", 0, 0, 0, 0, 0, [], definitions)
    audited = audited._replace(findings=[*audited.findings, *definitions])
    if audited.ok:
        with suppress(ProofError):  # A verifier need not be able to write there.
            pin(settings, connection, origin)
    return audited


class _Audit:
    """The steps of one audit."""

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        origin: str,
        given: Sequence[Shown],
        start: Shown | None,
        progress: Progress,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._origin = origin
        self._given = given
        self._start = start
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
        connection, start = self._connection, self._start
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            at_hand = gather(connection, self._settings, self._origin, trusted)
            pruned, records = pruned_ranges(connection), read_records(connection)
            resumptions = resumed(records, trusted)
            if start is not None and resumptions.split([start], self._is_extended)[1]:
                why = f"{start.source} is of history that was lost; name an earlier one, or a later one"
                raise ProofError("checkpoint", why)
            shown, lost = resumptions.split([*self._given, *at_hand.shown], self._is_extended)
            held = [*shown, *([start] if start else [])]
            verdict = verify_log(connection, shown, start, pruned, self._on("hashing"))
            signed = max((each.checkpoint.size for each in held), default=0)
            findings = [
                *check_trust(
                    connection, self._settings, self._origin, keys, held, trust_first=trust_first
                ),
                *at_hand.findings,
                *resumptions.findings,
                *verdict.findings,
                *check_records(connection),
                *check_signed(records, signed if held else verdict.size),
                *check_clocks(connection, held, now),
                *check_keys(connection),
            ]
            erased = erased_events(connection)
        if not verdict.findings:
            rows = verify(connection, self._on("replaying"))
            findings += [Finding(OUT_OF_STEP, f.position, f.name, f.detail) for f in rows.findings]
        return Audit(
            size=verdict.size,
            root=verdict.root,
            unsealed=verdict.unsealed,
            erased=erased,
            pruned=sum(last - first + 1 for first, last in pruned),
            checkpoints=len(held),
            lost_checkpoints=len(lost),
            records=records,
            findings=findings,
        )

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


def hold(
    connection: Connection,
    checkpoint: Checkpoint,
    source: str,
    progress: Callable[[int, int], object] = lambda done, size: None,
) -> None:
    """Verifies that the log's events are those of a checkpoint, and all exist; raises ProofError."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        pruned = pruned_ranges(connection)
        if pruned and pruned[0][0] <= checkpoint.size:
            why = f"some of the events under {source} were pruned, so its root cannot be computed again"
            raise ProofError("checkpoint", why)
        verdict = verify_log(connection, [Shown(checkpoint, source)], None, (), progress)
    for finding in verdict.findings:
        why = f"the log is not intact: {finding.kind} at position {finding.position}, {finding.detail}"
        raise ProofError("checkpoint", why)
