"""A process that hashes tiles, run as a file: it reads requests from its input, and writes answers.

A request is the sizes (`HEAD`), the key of the tile's salts, the hashes that the tree has of its
leaves, the lengths of its rows, and the rows. The answer is the root over the leaves, if the rows have
these hashes, or else `DIFFERENT`. The process ends at the end of its input.

It imports nothing of the package but the file that hashes, whose folder is its argument: so it starts
in 10 ms, and it has no connection and no secret of the ledger.
"""

from __future__ import annotations

import sys
from array import array
from itertools import accumulate, pairwise
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Final

HEAD: Final = Struct("=QI32s")
"""The bytes of the request behind it, the number of rows, and the key."""
ROOT_SIZE: Final = 32
DIFFERENT: Final = bytes(ROOT_SIZE)


def request(key: bytes, hashes: bytes, rows: Sequence[bytes]) -> bytes:
    """Returns a request."""
    lengths = array("I", map(len, rows)).tobytes()
    content = b"".join(rows)
    size = len(hashes) + len(lengths) + len(content)
    return b"".join((HEAD.pack(size, len(rows), key), hashes, lengths, content))


def rows_of(content: bytes, count: int) -> list[bytes]:
    """Returns that many rows of a request without its head."""
    begin = count * ROOT_SIZE
    lengths = array("I", content[begin : begin + 4 * count])
    ends = accumulate(lengths, initial=begin + 4 * count)
    return [content[at:end] for at, end in pairwise(ends)]


def answer(hashing: Any, key: bytes, hashes: bytes, rows: Sequence[bytes]) -> bytes:
    """Returns the answer to a request; `hashing` is the module that hashes."""
    if hashing.hash_rows(rows, hashing.salts(key)) != hashes:
        return DIFFERENT
    root: bytes = hashing.root_of(hashes)
    return root


def main(folder: str) -> None:
    """Answers requests until there are no more."""
    sys.path.append(folder)
    hashing = __import__("hashing")
    with open(0, "rb") as requests, open(1, "wb", buffering=0) as answers:
        while len(head := requests.read(HEAD.size)) == HEAD.size:
            size, count, key = HEAD.unpack(head)
            content = requests.read(size)
            if len(content) < size:
                return
            hashes, rows = content[: count * ROOT_SIZE], rows_of(content, count)
            answers.write(answer(hashing, key, hashes, rows))


if __name__ == "__main__":
    main(sys.argv[1])
