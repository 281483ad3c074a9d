"""Receipts: offline proofs that one event is in the log (C2SP tlog-proof).

The extra data of a receipt is the event's salt (32 bytes) and its entry (domain/proof/leaves.py).
The entry contains all of the event but its data, to which it commits: with the salt, anybody who
has the data can verify it. The entry is readable, so give receipts only to those who may know of
the job.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.proof import leaves, merkle
from jobledger.domain.proof.leaves import SALT_SIZE, TILE, Entry
from jobledger.infra.errors import ProofError
from jobledger.infra.eventstore.stored_event import RecordedEvent, entered_state
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.proof.log.leaves import Stored, copy_rows
from jobledger.infra.proof.log.tree import Tree, read_tiles
from jobledger.infra.proof.signing import notes
from jobledger.infra.proof.signing.checkpoints import Checkpoint, open_checkpoint, signed_time
from jobledger.infra.proof.signing.resumption import Resumption
from jobledger.infra.proof.signing.signer import read_kept
from jobledger.infra.read.moments import read_pruned_before

FIND_EVENT: Final = sql.load(__package__, "find_event")
FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
MAX_PROOF: Final = 63


@dataclass(frozen=True)
class Receipt:
    """A receipt; its content proves nothing until it is verified. `str` is the file's content.

    Attributes:
        salt: The salt of the event's commitment (32 bytes).
        entry: The event's leaf: all of the event but its data.
        index: The leaf's index in the log, from 0.
        proof: The inclusion proof (RFC 6962).
        note: The signed checkpoint.
    """

    salt: bytes
    entry: Entry
    index: int
    proof: tuple[bytes, ...]
    note: notes.Note

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses a receipt.

        Args:
            text: The content of the file.

        Returns:
            The receipt.

        Raises:
            ProofError: The text is not a complete receipt of a job ledger.
        """
        head, blank, note = text.partition("\n\n")
        lines = head.split("\n")
        if lines[0] != FIRST_LINE:
            raise ProofError("receipt", f"does not begin with the line {FIRST_LINE}")
        if not blank or len(lines) < 3:
            raise ProofError("receipt", "is incomplete: it ends before the checkpoint")
        if not lines[1].startswith("extra ") or not lines[2].startswith("index "):
            raise ProofError(
                "receipt", "is damaged: its second and third line must begin with extra and index"
            )
        salt, entry = _parse_extra(lines[1].removeprefix("extra "))
        index = notes.parse_number(lines[2].removeprefix("index "), "receipt")
        if len(lines) - 3 > MAX_PROOF:
            raise ProofError("receipt", f"has more than {MAX_PROOF} hashes")
        proof = tuple(notes.decode_hash(line, "receipt") for line in lines[3:])
        return cls(salt, entry, index, proof, notes.Note.parse(note))

    def __str__(self) -> str:
        extra = base64.b64encode(self.salt + self.entry.encode()).decode()
        head = f"{FIRST_LINE}\nextra {extra}\nindex {self.index}\n"
        return f"{head}{notes.encode_hashes(self.proof)}\n{self.note}"

    @property
    def position(self) -> int:
        """The event's position in the ledger, from 1."""
        return self.index + 1

    def verify(
        self, keys: Sequence[notes.VerifierKey]
    ) -> tuple[Checkpoint, list[notes.VerifierKey]]:
        """Verifies that the log, by one of its known keys, signed for exactly this entry.

        Args:
            keys: The public keys to trust, of the log and of witnesses.

        Returns:
            The checkpoint, and the known keys that signed it, also those of witnesses.

        Raises:
            ProofError: The receipt is not valid.
        """
        checkpoint = open_checkpoint(self.note, keys)
        self.check_inclusion(checkpoint)
        return checkpoint, [key for key, _ in self.note.signed_by(keys)]

    def check_inclusion(self, checkpoint: Checkpoint) -> None:
        """Verifies that the entry is in the log of a checkpoint; signatures are not verified.

        Args:
            checkpoint: The checkpoint.

        Raises:
            ProofError: The entry is not in that log.
        """
        leaf = merkle.hash_leaf(self.entry.encode())
        if not merkle.includes(leaf, self.index, checkpoint.size, self.proof, checkpoint.root):
            raise ProofError(
                "receipt",
                "the event is not in the signed log: the proof does not lead to the signed root;"
                " jobledger verify --proof names what was changed",
            )

    def verify_event(self, event: RecordedEvent) -> None:
        """Verifies that an event is the receipt's, byte for byte, at its position and in its state.

        Args:
            event: An event of the ledger or of an export.

        Raises:
            ProofError: The event differs; the message names the field.
        """
        led_to = entered_state(event.type, event.schema, event.stored)
        if event.position != self.position or led_to not in {None, event.state}:
            field = "position" if event.position != self.position else "state"
            raise ProofError(
                "receipt", f"{event.name} v{event.version} is not as recorded: its {field}"
            )
        if self.entry != entry_of(event, self.salt):
            ours = entry_of(event, self.salt)
            field = next(
                name for name, a, b in zip(Entry._fields, self.entry, ours, strict=True) if a != b
            )
            value = "data" if field == "commitment" else field.replace("_", " ")
            raise ProofError(
                "receipt", f"{event.name} v{event.version} is not as recorded: its {value}"
            )


def entry_of(event: RecordedEvent, salt: bytes) -> Entry:
    """Returns the entry of an event's leaf."""
    fields = {field: getattr(event, field) for field in Entry._fields if field != "commitment"}
    return Entry(**fields, commitment=leaves.commit(salt, event.stored))


def make_receipt(
    connection: Connection, tree: Tree, name: str, version: int | None = None
) -> Receipt:
    """Makes the receipt of a job's event under the last checkpoint.

    Args:
        connection: A connection to the ledger's schema.
        tree: The Merkle tree.
        name: The job's resource name.
        version: The version of the event; None for the last.

    Returns:
        The receipt.

    Raises:
        JobNotFoundError: There is no such job.
        InvalidFieldError: The job has no such version.
        ProofError: No checkpoint covers the event, or the event was changed or pruned.
    """
    position = _find(connection, name, version)
    note = read_kept(connection)
    checkpoint = None if note is None else Checkpoint.parse(note.text)
    if note is None or checkpoint is None or checkpoint.size < position:
        why = "nothing was signed yet" if note is None else "no checkpoint covers its event yet"
        raise ProofError(
            "receipt", f"{why}; the process that has the log's key signs within a second"
        )
    index = position - 1
    with translated():
        rows = list(copy_rows(connection, position, position))
    [tile] = read_tiles(connection, [(0, index // TILE)])
    if not rows or tile.key is None:
        raise ProofError(
            "receipt", f"the event at position {position} was pruned; make receipts before that"
        )
    salt = leaves.salt_at(leaves.salts(tile.key), index)
    entry = Entry.decode(Stored.of(rows[0]).entry(salt))
    proof = tree.prove_inclusion(connection, index, checkpoint.size)
    receipt = Receipt(salt, entry, index, tuple(proof), note)
    receipt.check_inclusion(checkpoint)
    return receipt


def _find(connection: Connection, name: str, version: int | None) -> int:
    with translated():
        row = connection.execute(FIND_EVENT, {"name": name, "version": version}).fetchone()
        if row is not None:
            return int(row[0])
        row = connection.execute(FIND_EVENT, {"name": name, "version": None}).fetchone()
        if row is None:
            raise JobNotFoundError(name, pruned_before=read_pruned_before(connection))
    raise InvalidFieldError("version", f"there is no {version}: {name} is at v{row[1]}")


def _parse_extra(text: str) -> tuple[bytes, Entry]:
    try:
        extra = notes.decode_base64(text)
        if len(extra) <= SALT_SIZE:
            raise ValueError
        return extra[:SALT_SIZE], Entry.decode(extra[SALT_SIZE:])
    except ValueError:
        raise ProofError("receipt", "its extra line must be an entry of a job ledger") from None


def find_loss(
    receipt: Receipt, checkpoint: Checkpoint, resumptions: Sequence[Resumption]
) -> Resumption | None:
    """Returns the statement that the receipt's event was lost, if one of them says so."""
    signed = signed_time(receipt.note.text)
    for each in resumptions:
        if receipt.position > each.kept.size and each.covers(checkpoint, signed):
            return each
    return None
