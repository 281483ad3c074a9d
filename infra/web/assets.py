"""The files that pages need. All are in the package; none is loaded from another server.

`lit-html.js` is lit-html 3.3.3 (BSD-3-Clause) as it is published, and `uplot.js` uPlot 1.6.32 (MIT)
with a line that exports it; see LICENSES.txt. The others are our own. Modules are imported by names of
an import map: `lit-html`, `uplot`, and `jobledger/NAME` for NAME.js.
"""

import base64
import gzip
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Final, NamedTuple

import orjson
from markupsafe import Markup

KINDS: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
OTHERS: Final = frozenset({"lit-html", "uplot"})
"""Third-party modules."""
IMPORTED: Final = re.compile(r'^import .*"(.+)";$', re.MULTILINE)
"""How our modules import each other."""
_FOLDER: Final = resources.files("jobledger.infra.web").joinpath("files")


class Asset(NamedTuple):
    """One file, as it is and compressed."""

    content: bytes
    compressed: bytes
    media_type: str


@cache
def find(name: str) -> Asset | None:
    """Returns the file; None if there is no such file."""
    if name not in _names():
        return None
    content = _FOLDER.joinpath(name).read_bytes()
    kind = KINDS[name[name.rindex(".") :]]
    return Asset(content, gzip.compress(content, 9, mtime=0), kind)


def text(name: str) -> Markup:
    """Returns the text of an existing file, for inclusion in a page."""
    return Markup(_FOLDER.joinpath(name).read_text("utf-8"))  # noqa: S704


def address(name: str) -> str:
    """Returns the address of an asset. It changes with the content, so that browsers can cache it permanently."""
    assert name in _names(), name
    return f"/assets/{version()}/{name}"


@cache
def version() -> str:
    """Returns a digest of the content of all files."""
    digest = hashlib.sha256()
    for name in _names():
        digest.update(_FOLDER.joinpath(name).read_bytes())
    return digest.hexdigest()[:12]


@cache
def import_map() -> Markup:
    """Returns the import map of pages that a server sends."""
    return _map(address, dict(_modules()))


@cache
def import_map_within(module: str) -> Markup:
    """Returns an import map that contains a module and those it imports, for a page without a server."""
    return _map(_data, _needed(module))


@cache
def import_map_hash() -> str:
    """Returns the hash of `import_map` for a Content-Security-Policy."""
    digest = hashlib.sha256(import_map().encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _map(place: Callable[[str], str], modules: Mapping[str, str]) -> Markup:
    imports = {module: place(name) for module, name in modules.items()}
    return Markup(orjson.dumps({"imports": imports}).decode())  # noqa: S704


def _modules() -> Iterator[tuple[str, str]]:
    for name in _names():
        if name.endswith(".js"):
            stem = name.removesuffix(".js")
            yield (stem if stem in OTHERS else f"jobledger/{stem}"), name


def _needed(module: str) -> dict[str, str]:
    """Returns a module's file, and those that it imports directly or indirectly."""
    there, needed, wanted = dict(_modules()), dict[str, str](), [module]
    while wanted:
        each = wanted.pop()
        needed[each] = there[each]
        wanted += set(IMPORTED.findall(text(there[each]))) - needed.keys()
    return needed


def _data(name: str) -> str:
    content = base64.b64encode(_FOLDER.joinpath(name).read_bytes()).decode()
    return f"data:text/javascript;base64,{content}"


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(f.name for f in _FOLDER.iterdir() if f.name.endswith(tuple(KINDS))))
