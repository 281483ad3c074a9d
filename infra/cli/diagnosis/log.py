"""Checks of the log: its keys and its last checkpoint."""

import time
from datetime import UTC, datetime
from typing import Final

from jobledger.infra.cli.diagnosis.check import Check, ok, problem
from jobledger.infra.errors import ForkedError, ProofError
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.proof.audit.unsigned import unsigned_since
from jobledger.infra.proof.log.tree import LogState, Tree
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.keys import find_keys, key_file, last_signed_file, read_text
from jobledger.infra.proof.signing.notes import Note
from jobledger.infra.proof.signing.pins import check_pinned
from jobledger.infra.proof.signing.signed_database import check_database
from jobledger.infra.proof.signing.signer import MAX_AHEAD_SECONDS, check_growth, read_kept
from jobledger.infra.settings import Settings

MAX_UNSIGNED_SECONDS: Final = 60.0
GO_ON: Final = (
    "jobledger verify --proof names what was changed; after a failover or a restored backup,"
    " jobledger log resume shows what was lost; with --accept-loss, the log is signed again"
)

WAIT: Final = (
    "set the clocks of the server and of this machine by NTP; until that time, later events are"
    " recorded at it too, and no checkpoint is signed"
)


def check_keys(connection: Connection, settings: Settings) -> Check:
    """Checks that a key of the log is on this machine and valid, or that another machine signs."""
    origin = Tree().log_state(connection).origin
    file = key_file(settings, origin)
    try:
        keys = find_keys(settings, origin)
    except ProofError as error:
        return problem("keys", str(error), f"correct {_place(settings, str(file))}")
    if keys:
        return _check_name(connection, settings, origin, len(keys))
    if read_kept(connection) is not None:
        return ok("keys", f"none of {origin} here; it was signed elsewhere")
    return problem("keys", f"{origin} is not signed: it has no key", "jobledger init makes one")


def _check_name(connection: Connection, settings: Settings, origin: str, count: int) -> Check:
    """Checks that the log's name is the pinned one; its keys do not sign otherwise."""
    try:
        check_pinned(settings, connection, origin)
    except ProofError as error:
        return problem("keys", error.why, "restore the ledger that was here, or delete the file")
    try:
        check_database(settings, connection, origin)
    except ProofError as error:
        return problem("keys", error.why, "jobledger init, unless it is a copy")
    place = _place(settings, str(key_file(settings, origin)))
    return ok("keys", f"{count} of {origin} in {place}")


def check_checkpoint(connection: Connection, settings: Settings) -> Check:
    """Checks that the log extends the last checkpoint, and that all events older than a minute are signed."""
    tree = Tree()
    log, note = tree.log_state(connection), read_kept(connection)
    try:
        check_last_signed(connection, tree, log, settings)
        size = 0 if note is None else Checkpoint.parse(note.text).size
    except ForkedError as error:
        return problem("checkpoint", error.what, GO_ON)
    except ProofError as error:
        return problem("checkpoint", str(error), "put back the file that was signed last")
    return _check_reach(connection, log, size)


def _check_reach(connection: Connection, log: LogState, size: int) -> Check:
    reach = f"the last checkpoint covers {size} of {log.events} events"
    first = unsigned_since(connection, size)
    age = 0.0 if first is None else time.time() - first
    if first is None or -MAX_AHEAD_SECONDS <= age < MAX_UNSIGNED_SECONDS:
        return ok("checkpoint", reach)
    since = time_text(datetime.fromtimestamp(first, UTC))
    if age < 0:
        detail = f"{reach}; the first that is not was recorded at {since}, which is in the future"
        return problem("checkpoint", detail, WAIT)
    return problem(
        "checkpoint",
        f"{reach}; the first that is not was recorded at {since}",
        "where the key is: jobledger log checkpoint, or run a writer without JOBLEDGER_SEAL=false",
    )


def check_last_signed(
    connection: Connection, tree: Tree, log: LogState, settings: Settings
) -> None:
    """Raises ForkedError if the log does not extend the one that was signed here."""
    file = last_signed_file(settings, log.origin)
    if file.exists():
        before = Checkpoint.parse(Note.parse(read_text(file, "checkpoint")).text)
        root = tree.root(connection, log.size)
        check_growth(connection, tree, before, Checkpoint(before.origin, log.size, root))


def _place(settings: Settings, file: str) -> str:
    return file if settings.signing_key is None else "JOBLEDGER_SIGNING_KEY"
