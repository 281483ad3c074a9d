"""Verifies an exported Parquet folder or file against the checkpoint that it names."""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from jobledger.domain.errors import LedgerError
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.errors import ProofError
from jobledger.infra.proof.audit.audit import require_intact
from jobledger.infra.proof.signing.checkpoints import Checkpoint, open_checkpoint
from jobledger.infra.proof.signing.notes import Note, VerifierKey
from jobledger.infra.read.reader import Reader
from jobledger.infra.transfer.exports import export as exporting
from jobledger.infra.transfer.exports.export import Format
from jobledger.infra.transfer.exports.parquet import PARTITION_BY, write
from jobledger.infra.transfer.exports.partitions import FILES, Partition, parquet_files
from jobledger.infra.transfer.exports.selection import Selection, select

PREFIX: Final = "jobledger."


def verify_parquet(
    reader: Reader,
    given: Path,
    keys: Sequence[VerifierKey],
    progress: Callable[[int, int], object] = lambda done, size: None,
) -> Checkpoint:
    """Exports the events of certified Parquet files again, and compares them.

    Args:
        reader: The ledger that they are of.
        given: The folder of the files.
        keys: The public keys to trust.
        progress: Called with the number of events done and their total.

    Returns:
        The checkpoint of the files.

    Raises:
        ProofError: The files have no checkpoint, no trusted key signed it, or their events differ.
    """
    files = parquet_files(given) if given.is_dir() else [given]
    if not files:
        raise ProofError("parquet", f"{given} has no {FILES}")
    wanted, partition_by = _selection(files[0])
    checkpoint = open_checkpoint(Note.parse(wanted.checkpoint), keys)
    if wanted.moment.position > checkpoint.size:
        raise ProofError(
            "parquet",
            f"its checkpoint covers {checkpoint.size} events, and it has those up to {wanted.moment.position}",
        )
    with reader.connection() as connection:
        require_intact(connection, checkpoint, "the files' checkpoint", progress)
    with tempfile.TemporaryDirectory(prefix="jobledger_") as folder:
        again = Path(folder)
        order = exporting.form_of(Format.PARQUET, partition_by).order
        with closing(select(reader, wanted, order)) as events:
            write(again, wanted, events, partition_by)
        _compare(files, again, partition_by, whole=given.is_dir())
    return checkpoint


def _compare(files: Sequence[Path], again: Path, partition_by: Partition, *, whole: bool) -> None:
    depth = len(partition_by.columns) + 1
    expected = {file.parts[-depth:]: file for file in parquet_files(again)}
    if whole and expected.keys() != {file.parts[-depth:] for file in files}:
        raise ProofError(
            "parquet", "its folders differ from those of the events under its checkpoint"
        )
    for file in files:
        twin = expected.get(file.parts[-depth:])
        if twin is None or not _read(file).equals(_read(twin), check_metadata=True):
            raise ProofError("parquet", f"{file} differs from the events under its checkpoint")


def _selection(file: Path) -> tuple[Selection, Partition]:
    """Returns the selection in the file's metadata, and how its export is partitioned."""
    try:
        metadata = pq.read_schema(file).metadata or {}
    except (OSError, pa.ArrowInvalid):
        raise ProofError("parquet", f"{file} is not a readable Parquet file") from None
    fields: dict[str, Any] = {
        key.decode().removeprefix(PREFIX): value.decode()
        for key, value in metadata.items()
        if key.startswith(PREFIX.encode())
    }
    if not fields.get("checkpoint"):
        raise ProofError(
            "parquet", f"{file} names no checkpoint: it was exported without the log's key"
        )
    try:
        moment = Moment(
            int(fields["position"]), datetime.fromisoformat(fields["asOf"]), Clock(fields["clock"])
        )
        partition_by = Partition(fields.get(PARTITION_BY, Partition.DAY))
    except (KeyError, ValueError, LedgerError):
        raise ProofError("parquet", f"{file} has no metadata of an export") from None
    names = {key: fields.get(key, "") for key in ("name", "filter", "checkpoint")}
    return Selection(fields.get("ledger", ""), moment, **names), partition_by


def _read(file: Path) -> Any:
    try:
        return pq.ParquetFile(file).read()
    except (OSError, pa.ArrowInvalid) as error:
        raise ProofError("parquet", f"{file} cannot be read: {error}") from None
