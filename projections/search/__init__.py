"""`search`: which blocks of events may have a text in a job's name, its messages or its display name."""

from __future__ import annotations

from typing import Final

from jobledger.projections.template import Template, read

HASH_MULTIPLIER: Final = 2_654_435_761
HASH_SHIFT: Final = 17
HASHES: Final = 1 << 14
DIGITS: Final = frozenset(b"0123456789")


def functions() -> tuple[Template, ...]:
    """Returns the SQL functions of this projection."""
    return (Template(read(__name__, "fold")),)


def trigram_hashes(text: str, begin: int) -> list[int]:
    """Returns the hashes of every second trigram of a text, as `trigram_hash` in fold.sql has them.

    Args:
        text: The text; its trigrams are those of its UTF-8 bytes.
        begin: The byte that the first trigram begins at, 0 or 1.

    Returns:
        Each hash once, in the order of the text.

    Examples:
        >>> from jobledger.projections.search import trigram_hashes
        >>> len(trigram_hashes("train", 0)), len(trigram_hashes("train", 1))
        (2, 1)
        >>> trigram_hashes("train", 1) == trigram_hashes("rai", 0)
        True
    """
    content = text.encode()
    places = range(begin, len(content) - 2, 2)
    # What a digit begins has four bytes.
    known = [place for place in places if content[place] not in DIGITS or place + 3 < len(content)]
    return [*dict.fromkeys(_hash(content, place) for place in known)]


def _hash(content: bytes, place: int) -> int:
    number = int.from_bytes(content[place : place + 3])
    if content[place] in DIGITS:
        number += content[place + 3] << 24
    return (number * HASH_MULTIPLIER >> HASH_SHIFT) & (HASHES - 1)
