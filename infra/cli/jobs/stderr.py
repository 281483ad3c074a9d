"""Passes on the stderr of a command, and keeps its last lines."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import IO, Final

LAST_LINES: Final = 20
LAST_CHARACTERS: Final = 4_000
"""How much of the command's stderr becomes the error message."""
KEPT_BYTES: Final = 64 * 1024
CHUNK: Final = 64 * 1024


class Stderr:
    """The stderr of a command, with its last bytes."""

    def __init__(self) -> None:
        self._kept = b""

    def pass_on(self, stderr: IO[bytes]) -> None:
        """Reads the file to its end and closes it; passes on each piece at once, also of incomplete lines."""
        with stderr:
            while chunk := os.read(stderr.fileno(), CHUNK):
                self.add(chunk)
                # If our own stderr is closed, the command must not block on it.
                with suppress(OSError):
                    sys.stderr.buffer.write(chunk)
                    sys.stderr.buffer.flush()

    def add(self, chunk: bytes) -> None:
        """Adds bytes, and keeps only the last ones."""
        self._kept = (self._kept + chunk)[-KEPT_BYTES:]

    @property
    def last_lines(self) -> str:
        """Returns the last lines as a terminal shows them, with carriage returns applied."""
        text = self._kept.decode(errors="replace").replace("\r\n", "\n").replace("\0", "")
        lines = [_shown(line) for line in text.split("\n")]
        return "\n".join(lines[-LAST_LINES - 1 :])[-LAST_CHARACTERS:].strip()


def _shown(line: str) -> str:
    """Returns the visible part of a line with carriage returns, which progress bars write."""
    return line.rstrip("\r").rpartition("\r")[2]
