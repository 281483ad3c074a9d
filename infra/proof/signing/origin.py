"""Gives a log its name and its key, when its ledger is created."""

from typing import Final

from jobledger.infra.errors import ProofError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.signing.algorithms import SIGNATURE
from jobledger.infra.proof.signing.keys import create_key, find_keys
from jobledger.infra.proof.signing.notes import SigningKey, VerifierKey
from jobledger.infra.proof.signing.pins import pin
from jobledger.infra.proof.signing.signed_database import keep_database
from jobledger.infra.proof.signing.signer import read_kept
from jobledger.infra.settings import Settings
from psycopg import errors

NAME_LOG: Final = sql.load(__package__, "name_log")


def name_log(
    connection: Connection, settings: Settings, origin: str | None = None
) -> list[VerifierKey]:
    """Names the log, and creates a key if there is none.

    Args:
        connection: A connection to the ledger's schema.
        settings: Where the keys are.
        origin: The name; None for that of a key in the environment. It can change until a checkpoint
            is signed.

    Returns:
        The log's public keys.

    Raises:
        ProofError: The name is not valid or cannot be changed any more, or a key cannot be used.
    """
    log = Tree().log_state(connection)
    wanted = origin or _named_by_key(settings) or log.origin
    if wanted != log.origin:
        VerifierKey.made(wanted, SIGNATURE, bytes(32))  # Is it a name at all?
        try:
            with translated():
                connection.execute(NAME_LOG, {"origin": wanted})
        except errors.RestrictViolation:
            why = f"checkpoints of the log were signed under its name {log.origin!r}, which cannot change any more"
            raise ProofError("origin", why) from None
    pin(settings, connection, wanted, again=origin is not None or log.events == 0)
    keys = find_keys(settings, wanted)
    if not keys and read_kept(connection) is None:
        keys = [create_key(settings, wanted)]
    if keys:
        keep_database(settings, connection, wanted)
    return [key.verifier for key in keys]


def _named_by_key(settings: Settings) -> str | None:
    keys = (settings.signing_key or "").split()
    return SigningKey.parse(keys[-1]).verifier.name if keys else None
