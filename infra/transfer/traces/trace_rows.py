"""The lines of a trace's file, gzip'd or not, in chunks, and whether they are of a kind."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.errors import InputError
from jobledger.infra.transfer.traces.google_cluster import BadRowError, Kind, read_row
from jobledger.infra.transfer.unpacking import unpacked

CHUNK: Final = 2_000
"""Rows in one transaction."""
FIRST_ROWS: Final = 100
"""If none of this many first rows can be read, the file has another format."""

Progress = Callable[[int], object]
"""Called with the number of bytes read."""


def check_kind(file: Path, kind: Kind) -> None:
    """Raises InputError where the first rows are of another table of the trace, or of none."""
    first: list[bytes] = []
    with suppress(InputError):  # Raised when it is read in earnest.
        first.extend(islice(lines_of(file), FIRST_ROWS))
    if not first or any(_is_readable(kind, line) for line in first):
        return
    for other in Kind:
        if all(_is_readable(other, line) for line in first):
            why = f"is a {other} event, and not a {kind} event: import the file with --kind {other}"
            raise InputError(str(file), 1, why)
    if len(first) == FIRST_ROWS:
        why = f"is not a {kind} event, and neither are the next {FIRST_ROWS - 1} rows"
        raise InputError(str(file), 1, why)


def _is_readable(kind: Kind, line: bytes) -> bool:
    try:
        read_row(kind, "p", line)
    except (BadRowError, InvalidFieldError):
        return False
    return True


def chunks_of(lines: Iterator[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    """CHUNK lines at a time."""
    while chunk := list(islice(lines, CHUNK)):
        yield chunk


def lines_of(file: Path, progress: Progress = lambda read: None) -> Iterator[bytes]:
    """The lines of a file, gzip'd or not; raises InputError where it cannot be read on."""
    number = 0
    try:
        with file.open("rb") as raw:
            if not raw.seekable():
                raise InputError(str(file), 0, "is a pipe; a trace is read twice, so give files")
            for number, line in enumerate(unpacked(raw), start=1):
                yield line
                if number % CHUNK == 0:
                    progress(raw.tell())
            progress(raw.tell())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            str(file), number + 1, f"the gzip is broken off or damaged: {error}"
        ) from None
    except OSError as error:
        raise InputError(str(file), 0, error.strerror or str(error)) from None
