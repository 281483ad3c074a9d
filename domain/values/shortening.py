"""Shortens JSON that is too large to be stored to a number of bytes; small parts stay whole.

Of a text the beginning and the end are kept, because the last line of a traceback says most. Each
shortened part gets a mark with the length and the SHA-256 of the whole (see mending.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.mending import PERSONAL, Mender, sha256, whole

ELLIPSIS: Final = " … "
"""Stands for what was left out."""
MIN_MEMBER_BYTES: Final = 64
"""Bytes that a member is worth: below that, members are left out instead."""
MAX_KEY: Final = 512


class Shortener:
    """Shortens values, and marks what it shortened."""

    def __init__(self, mender: Mender) -> None:
        self._mender = mender

    def fit(self, value: Any, max_bytes: int, path: str = "") -> Any:
        """Returns the value in at most that many bytes of canonical JSON, as far as possible."""
        if size(value) <= max_bytes:
            return value
        match value:
            case str():
                self._mender.mark(path, truncated=whole(value))
                return _cut(value, max_bytes)
            case {"@personal": inner} if len(value) == 1:
                return self._personal(inner, max_bytes, path)
            case dict():
                return self._object(value, max_bytes, path)
            case list():
                return self._list(value, max_bytes, path)
        return value

    def _personal(self, inner: Any, max_bytes: int, path: str) -> JsonObject:
        """Keeps encrypted values whole; the digest of the other parts is left out."""
        match inner:
            case {"subject": subject, "value": value}:
                shortener = Shortener(Mender())
                self._mender.mark(path, truncated=True)
                cut = shortener.fit(
                    value, max(MIN_MEMBER_BYTES, max_bytes - size(subject) - 50), path
                )
                inner = {"subject": subject, "value": cut}
        return {PERSONAL: inner}

    def _object(self, value: JsonObject, max_bytes: int, path: str) -> JsonObject:
        named = [(self._key(key, path), key) for key in value]
        overheads = [size(name) + 2 for name, _ in named]
        sizes = [size(value[key]) for _, key in named]
        kept, share = _shares(sizes, overheads, max_bytes)
        self._mark_left_out(value, kept, path)
        return {
            name: self.fit(value[key], share, f"{path}.{name}" if path else name)
            if bytes_ > share
            else value[key]
            for (name, key), bytes_ in zip(named[:kept], sizes, strict=False)
        }

    def _list(self, value: list[Any], max_bytes: int, path: str) -> list[Any]:
        sizes = [size(item) for item in value]
        kept, share = _shares(sizes, [1] * len(value), max_bytes)
        self._mark_left_out(value, kept, path)
        return [
            self.fit(item, share, f"{path}[{n}]") if bytes_ > share else item
            for n, (item, bytes_) in enumerate(zip(value[:kept], sizes, strict=False))
        ]

    def _mark_left_out(self, value: JsonObject | list[Any], kept: int, path: str) -> None:
        if kept < len(value):
            digest = sha256(canonical.encode_any(value).decode())
            self._mender.mark(path, truncated={"members": len(value), "sha256": digest})

    def _key(self, key: str, path: str) -> str:
        if len(key) <= MAX_KEY:
            return key
        self._mender.mark(f"{path}.{key[:20]}" if path else key[:20], truncated=whole(key))
        return f"{key[: MAX_KEY // 2]}{ELLIPSIS}{sha256(key)[:16]}"


def size(value: Any) -> int:
    """Returns the number of bytes of canonical JSON."""
    is_plain = isinstance(value, str | int)
    return len(orjson.dumps(value) if is_plain else canonical.encode_any(value))


def _shares(sizes: list[int], overheads: list[int], max_bytes: int) -> tuple[int, int]:
    """Returns how many members are kept, from the first, and how many bytes each may have."""
    kept = len(sizes)
    while kept:
        left = max_bytes - 2 - sum(overheads[:kept])
        share = _level(sorted(sizes[:kept]), left)
        if share >= min(MIN_MEMBER_BYTES, max(sizes[:kept])):
            return kept, share
        kept = kept * 3 // 4
    return 0, 0


def _level(sizes: list[int], left: int) -> int:
    """Returns the size to which larger parts are cut so that the sum fits (sizes ascending)."""
    for n, each in enumerate(sizes):
        share = left // (len(sizes) - n)
        if each > share:
            return share
        left -= each
    return sizes[-1]


def _cut(text: str, max_bytes: int) -> str:
    """Returns as many characters of the beginning and the end as fit."""
    return _longest(
        lambda n: text[: n - n // 2] + ELLIPSIS + text[len(text) - n // 2 :], len(text), max_bytes
    )


def _longest(make: Callable[[int], str], limit: int, max_bytes: int) -> str:
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if size(make(middle)) <= max_bytes:
            low = middle
        else:
            high = middle - 1
    return make(low)
