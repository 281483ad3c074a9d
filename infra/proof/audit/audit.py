"""The whole audit of a ledger: its log against all checkpoints at hand, and then its rows against its log."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from jobledger.infra.errors import ProofError
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.audit.erasures import check_keys, erased_events
from jobledger.infra.proof.audit.evidence import gather, known_keys, show
from jobledger.infra.proof.audit.prunings import check_records, pruned_ranges
from jobledger.infra.proof.audit.verify_log import OUT_OF_STEP, Shown, verify_log
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.signing.notes import Checkpoint, VerifierKey
from jobledger.infra.settings import Settings
from jobledger.infra.upkeep.verify import Finding, verify

Progress = Callable[[str, int, int], object]


class Audit(NamedTuple):
    """What was looked at, and what does not hold."""

    size: int
    """How many events the log's tree holds."""
    root: bytes
    unsealed: int
    erased: int
    """Events with personal parts whose key was destroyed on request."""
    pruned: int
    """Events that were deleted because their time had come, as an event of the log says."""
    checkpoints: int
    findings: list[Finding]

    @property
    def ok(self) -> bool:
        """Whether all holds."""
        return not self.findings


def audit(
    connection: Connection,
    settings: Settings,
    checkpoints: Sequence[Path] = (),
    keys: Sequence[VerifierKey] = (),
    since: Path | None = None,
    progress: Progress = lambda what, done, size: None,
) -> Audit:
    """Verifies the log, and, if it holds, that every row that is shown follows from it.

    `keys` are whom to trust, the log's own where none are given. Raises ProofError for a
    checkpoint that is none, or of another log, or that no known key signed.
    """
    origin = Tree().standing(connection).origin
    trusted = known_keys(settings, origin, keys)
    shown = [show(file, trusted) for file in checkpoints]
    start = None if since is None else show(since, trusted)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        at_hand = gather(connection, settings, origin, trusted)
        shown += at_hand.shown
        pruned = pruned_ranges(connection)
        verdict = verify_log(connection, shown, start, pruned, partial(progress, "hashing"))
        keys_gone = check_keys(connection)
        findings = [*at_hand.findings, *verdict.findings, *check_records(connection), *keys_gone]
        erased = erased_events(connection)
    if not findings:
        rows = verify(connection, partial(progress, "replaying"))
        findings = [Finding(OUT_OF_STEP, f.position, f.name, f.detail) for f in rows.findings]
    return Audit(
        size=verdict.size,
        root=verdict.root,
        unsealed=verdict.unsealed,
        erased=erased,
        pruned=sum(last - first + 1 for first, last in pruned),
        checkpoints=len(shown) + (start is not None),
        findings=findings,
    )


def hold(
    connection: Connection,
    checkpoint: Checkpoint,
    source: str,
    progress: Callable[[int, int], object] = lambda done, size: None,
) -> None:
    """Raises ProofError unless the log's events are those of a checkpoint, and all of them are still there."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        pruned = pruned_ranges(connection)
        if pruned and pruned[0][0] <= checkpoint.size:
            why = f"of the events that {source} is of some were pruned: nothing can be computed of them again"
            raise ProofError("checkpoint", why)
        verdict = verify_log(connection, [Shown(checkpoint, source)], None, (), progress)
    for finding in verdict.findings:
        why = f"the log does not hold: {finding.kind} at position {finding.position}, {finding.detail}"
        raise ProofError("checkpoint", why)
