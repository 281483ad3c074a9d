"""The files that pages need, all of them in the package: none is fetched from elsewhere.

`lit-html.js` is lit-html 3.3.3 (BSD-3-Clause, see LICENSES.txt); the others are our own. Modules
are imported by names of an import map: `lit-html`, and `jobledger/NAME` for NAME.js.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

import orjson
from markupsafe import Markup

KINDS: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_FOLDER: Final = resources.files("jobledger.infra.web").joinpath("files")


class Asset(NamedTuple):
    """One file, as it is and compressed."""

    content: bytes
    compressed: bytes
    media_type: str


@cache
def find(name: str) -> Asset | None:
    """None if there is no such file."""
    if name not in _names():
        return None
    content = _FOLDER.joinpath(name).read_bytes()
    kind = KINDS[name[name.rindex(".") :]]
    return Asset(content, gzip.compress(content, 9, mtime=0), kind)


def text(name: str) -> Markup:
    """The text of a file there is, for a page that holds it itself."""
    return Markup(_FOLDER.joinpath(name).read_text("utf-8"))  # noqa: S704


def address(name: str) -> str:
    """Where a page finds it: another address for other content, so that it can be kept for ever."""
    assert name in _names(), name
    return f"/assets/{version()}/{name}"


@cache
def version() -> str:
    """Of the content of all files together."""
    digest = hashlib.sha256()
    for name in _names():
        digest.update(_FOLDER.joinpath(name).read_bytes())
    return digest.hexdigest()[:12]


@cache
def import_map() -> Markup:
    """Where modules are, for pages that a server sends."""
    return _map(address)


@cache
def import_map_within() -> Markup:
    """The modules themselves, for a page that has no server."""
    return _map(_data)


@cache
def import_map_hash() -> str:
    """What a Content-Security-Policy calls `import_map`."""
    digest = hashlib.sha256(import_map().encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _map(place: Callable[[str], str]) -> Markup:
    imports = {module: place(name) for module, name in _modules()}
    return Markup(orjson.dumps({"imports": imports}).decode())  # noqa: S704


def _modules() -> Iterator[tuple[str, str]]:
    for name in _names():
        if name.endswith(".js"):
            stem = name.removesuffix(".js")
            yield (stem if stem == "lit-html" else f"jobledger/{stem}"), name


def _data(name: str) -> str:
    content = base64.b64encode(_FOLDER.joinpath(name).read_bytes()).decode()
    return f"data:text/javascript;base64,{content}"


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(f.name for f in _FOLDER.iterdir() if f.name.endswith(tuple(KINDS))))
