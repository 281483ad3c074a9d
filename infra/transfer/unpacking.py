"""Unpacks files that may be gzip'd, whatever their names."""

import gzip
from io import BufferedReader
from typing import Final

GZIP: Final = b"\x1f\x8b"
"""The first bytes of a gzip file (RFC 1952)."""


def unpacked(raw: BufferedReader) -> BufferedReader | gzip.GzipFile:
    """Returns the content of a file or pipe that was opened: unpacked if it is gzip'd, or as it is.

    Args:
        raw: The open file, of which nothing was read.

    Returns:
        The content; reading from it raises OSError, EOFError or zlib.error if the gzip is damaged.
    """
    return gzip.GzipFile(fileobj=raw) if raw.peek().startswith(GZIP) else raw
