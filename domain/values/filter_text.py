r"""Strings in filters: their escapes and wildcards.

In a string `\n`, `\r`, `\t` and `\u` with four hex digits are as in JSON, and a backslash before
any other character makes it literal: `"\*"` is an asterisk, and no wildcard.
"""

import re
from typing import Final, NamedTuple

_STRING: Final = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t"}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\"\\]")
_QUOTED: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t", '"': r"\"", "\\": r"\\"}


class Text(NamedTuple):
    """The value of a string or word, and whether it begins or ends with a wildcard (part of `text`)."""

    text: str
    begins_wild: bool
    ends_wild: bool


def unquoted(string: str) -> Text:
    """Returns the value of a quoted string."""
    inner = string[1:-1]
    text = _ESCAPE.sub(_unescaped, inner)
    # Halves of a pair that were written as two escapes.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    escaped_end = re.search(r"(?:^|[^\\])(?:\\\\)*\\\*\Z", inner) is not None
    return Text(text, inner.startswith("*"), inner.endswith("*") and not escaped_end)


def quoted(text: str) -> str:
    """Returns a quoted string that matches exactly this text: on one line, and without wildcards."""
    escaped = _CONTROL.sub(lambda found: _QUOTED.get(found[0]) or f"\\u{ord(found[0]):04x}", text)
    if text.endswith("*"):
        escaped = rf"{escaped[:-1]}\*"
    if text.startswith("*") and len(text) > 1:
        escaped = rf"\{escaped}"
    return f'"{escaped}"'


def without_strings(text: str) -> str:
    """Returns the filter with the content of its strings removed."""
    return _STRING.sub('""', text)


def _unescaped(found: re.Match[str]) -> str:
    code, character = found.groups()
    return chr(int(code, 16)) if code else _ESCAPED.get(character, character)
