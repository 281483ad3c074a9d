"""Checks that there was something to compare the log with: an unsigned log is not called intact."""

from collections.abc import Sequence
from typing import Final

from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.audit.verify_log import Shown
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
    held: Sequence[Shown],
    *,
    trust_first: bool,
) -> list[Finding]:
    """Finds a log whose name differs from before ("forked"), or that has no checkpoint ("unchecked").

    Args:
        connection: A connection to the ledger's schema.
        settings: Where keys and pins are.
        origin: The name of the log.
        keys: The public keys that were given.
        held: The checkpoints to compare the log with.
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
    others = sorted(_unheld(settings, origin, keys, is_pinned=pinned is not None))
    if others:
        names = ", ".join(map(repr, others))
        detail = f"is called {origin!r}, and the keys at hand are of {names}: it was compared with none of them"
        findings.append(Finding("unchecked", 0, LOG, detail))
    if not held:
        detail = (
            "was not compared: no known key signed a checkpoint of it;"
            " name one with --checkpoint and --key, or trust it as it is with --trust-first"
        )
        findings.append(Finding("unchecked", 0, LOG, detail))
    return findings


def _unheld(
    settings: Settings, origin: str, keys: Sequence[VerifierKey], *, is_pinned: bool
) -> set[str]:
    """Returns the names of other logs with keys here that may be this log under another name."""
    given = {key.name for key in keys if key.algorithm.is_of_log}
    if given:
        return set() if origin in given else given
    here = key_origins(settings)
    if origin in here or is_pinned:
        # Other ledgers' keys may be here, too: those that begin as this log's do may be its own of before.
        return set() if is_pinned else _of_same_ledger(here, origin) - all_pinned(settings)
    return here - all_pinned(settings)


def _of_same_ledger(origins: set[str], origin: str) -> set[str]:
    ledger, slash, _ = origin.rpartition("/")
    return {other for other in origins - {origin} if slash and other.rpartition("/")[0] == ledger}
