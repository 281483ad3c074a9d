"""Output files that options name; `-` is standard output."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from jobledger.infra.errors import FileAccessError

STDOUT: Final = Path("-")


def write_file(path: Path, content: bytes) -> None:
    """Writes the content to the file, or to standard output; raises FileAccessError."""
    if path == STDOUT:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        path.write_bytes(content)
    except OSError as error:
        raise FileAccessError("file", f"{path} cannot be written: {error.strerror}") from error


def write_picture(path: Path, draw: Callable[[Path], object]) -> None:
    """Draws to a file in the format of its extension; to standard output as SVG."""
    if path != STDOUT:
        draw(path)
        return
    with TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.svg"
        draw(picture)
        write_file(STDOUT, picture.read_bytes())
