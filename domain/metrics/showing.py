"""The display of an example to annotators: text, or an image that a browser displays."""

import base64
import binascii
import re
from contextlib import suppress
from typing import Any, Final, Literal, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.metrics.evaluation import ANNOTATIONS, Plan
from jobledger.domain.metrics.examples import RejectedError, example_key
from jobledger.domain.values import canonical

_KINDS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_DATA_URI: Final = re.compile(r"data:image/[a-z0-9.+-]+[;,]", re.IGNORECASE)


class Display(NamedTuple):
    """`value` is text, or a data: or https: URI of an image."""

    kind: Literal["text", "image"]
    value: str


def show(plan: Plan, given: Any) -> Display:
    """Returns what an annotator sees of an example.

    That is the value of the job's data_json_key, else of its reference_json_key, else the whole
    input. Images are `{"b64": …}`, base64 text, data: URIs or https: URLs; anything else in place
    of an image (such as a gs:// URI) is text.
    """
    text = _found(plan, given)
    if ANNOTATIONS[plan.annotation] != "IMAGE":
        return Display("text", text)
    uri = _image(text)
    return Display("text", text) if uri is None else Display("image", uri)


def _found(plan: Plan, given: Any) -> str:
    for key in ("data_json_key", "reference_json_key"):
        if plan.keys.get(key):
            with suppress(RejectedError):
                return example_key(plan._replace(keys={key: plan.keys[key]}), given)
    return given if isinstance(given, str) else canonical.encode_any(given).decode()


def _image(text: str) -> str | None:
    """Returns a URI if the text is an image; else None."""
    if text.startswith("https://") or _DATA_URI.match(text):
        return text
    if text.startswith('{"'):
        with suppress(InvalidFieldError):
            inner = canonical.decode(text.encode()).get("b64")
            text = inner if isinstance(inner, str) else ""
    standard = "".join(text.split()).translate(str.maketrans("-_", "+/"))
    kind = _kind(standard)
    return kind and f"data:{kind};base64,{standard}"


def _kind(encoded: str) -> str | None:
    """Returns the media type of encoded data; None if no browser displays it as an image."""
    if _BASE64.fullmatch(encoded) is None:
        return None
    try:
        first = base64.b64decode(encoded[:16])
    except binascii.Error:
        return None
    if first[:4] == b"RIFF" and first[8:] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _KINDS if first.startswith(magic)), None)
