"""Checks that the log was compared with a checkpoint, and that its name is the pinned one."""

from collections.abc import Sequence
from typing import Final

from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.audit.verify_log import KnownCheckpoint
from jobledger.infra.proof.signing.keys import key_origins
from jobledger.infra.proof.signing.notes import VerifierKey
from jobledger.infra.proof.signing.pins import all_pinned, pin_file, pinned_origin, renamed
from jobledger.infra.settings import Settings
from jobledger.infra.upkeep.findings import Finding

LOG: Final = "log"


def check_trust(
    connection: Connection,
    settings: Settings,
    origin: str,
    keys: Sequence[VerifierKey],
    checkpoints: Sequence[KnownCheckpoint],
    *,
    trust_first: bool,
) -> list[Finding]:
    """Finds a log whose name differs from before ("forked"), or that has no checkpoint ("unchecked").

    Args:
        connection: A connection to the ledger's schema.
        settings: Where keys and pins are.
        origin: The name of the log.
        keys: The public keys that were given.
        checkpoints: The checkpoints to compare the log with.
        trust_first: Accept a log without a checkpoint.

    Returns:
        The findings.
    """
    pinned = pinned_origin(settings, connection)
    if pinned is not None and pinned != origin:
        detail = renamed(pinned, origin, pin_file(settings, connection))
        return [Finding("forked", 0, LOG, detail)]
    if trust_first:
        return []
    findings = []
    others = sorted(_other_logs(settings, origin, keys, is_pinned=pinned is not None))
    if others:
        names = ", ".join(map(repr, others))
        detail = f"is named {origin!r}, and the known keys are of {names}, so it was not compared with anything"
        findings.append(Finding("unchecked", 0, LOG, detail))
    if not checkpoints:
        detail = (
            "was not compared, because there is no checkpoint of it with a known key's signature;"
            " give one with --checkpoint and --key, or accept the log with --trust-first"
        )
        findings.append(Finding("unchecked", 0, LOG, detail))
    return findings


def _other_logs(
    settings: Settings, origin: str, keys: Sequence[VerifierKey], *, is_pinned: bool
) -> set[str]:
    """Returns the names of other logs with keys here that may be this log under another name."""
    given = {key.name for key in keys if key.algorithm.is_of_log}
    if given:
        return set() if origin in given else given
    here = key_origins(settings)
    if origin in here or is_pinned:
        # Keys of other ledgers may be here too. Those with the same prefix may be this log's former ones.
        return set() if is_pinned else _of_same_ledger(here, origin) - all_pinned(settings)
    return here - all_pinned(settings)


def _of_same_ledger(origins: set[str], origin: str) -> set[str]:
    ledger, slash, _ = origin.rpartition("/")
    return {other for other in origins - {origin} if slash and other.rpartition("/")[0] == ledger}
