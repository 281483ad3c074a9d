"""Which requests are accepted: checks their Host, the site they come from, and the type of their body.

A web page of another site can make a browser send requests to a server on loopback, and can make
its own host name resolve to it. So a server without tokens answers only requests whose Host is a
loopback address or a configured name, and refuses changes that are requested by a
page of another site.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.errors import ForeignRequestError
from jobledger.infra.serving.context import is_loopback

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITE: Final = frozenset({b"same-origin", b"none"})
FORM: Final = b"application/x-www-form-urlencoded"
MAX_CACHED: Final = 64


class Hosts:
    """The host names of a server."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        """`names` are hosts in addition to the loopback ones, without a port."""
        self._names = frozenset(name.lower() for name in names)
        self._known: dict[bytes, bool] = {}

    def has(self, host: bytes | None) -> bool:
        """Whether a Host header names this server; browsers always send one."""
        if host is None:
            return True
        known = self._known.get(host)
        if known is None:
            known = self._has(host.decode("latin-1"))
            if len(self._known) < MAX_CACHED:
                self._known[host] = known
        return known

    def has_origin(self, origin: bytes, host: bytes | None) -> bool:
        """Whether a page of that Origin belongs to this server, which the request calls `host`."""
        try:
            authority = urlsplit(origin.decode("latin-1")).netloc.lower()
        except ValueError:
            return False
        if not authority:
            return False
        return (
            authority.encode("latin-1") == (host or b"").lower() or _name(authority) in self._names
        )

    def _has(self, host: str) -> bool:
        name = _name(host)
        return name in self._names or is_loopback(name)


def check_site(method: str, headers: Mapping[bytes, bytes], hosts: Hosts) -> None:
    """Raises ForeignRequestError for a change that is requested by a page of another site."""
    if method in READING:
        return
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        if site not in OWN_SITE:
            raise ForeignRequestError("Sec-Fetch-Site", site.decode("latin-1"), "same-origin")
        return
    origin = headers.get(b"origin")
    host = headers.get(b"host")
    if origin is not None and not hosts.has_origin(origin, host):
        own = (host or b"").decode("latin-1")
        raise ForeignRequestError("Origin", origin.decode("latin-1"), f"that of {own}")


def check_content_type(headers: Mapping[bytes, bytes]) -> None:
    """Checks that a body is declared as JSON.

    A form's type, which curl declares for any data, is accepted with an Authorization header, because no page
    of another site can send one.

    Args:
        headers: The headers of the request, in lower case.

    Raises:
        InvalidFieldError: The Content-Type is another one.
    """
    given = headers.get(b"content-type", b"")
    if given == b"application/json":
        return
    kind = given.partition(b";")[0].strip().lower()
    if kind == b"application/json" or (
        kind.startswith(b"application/") and kind.endswith(b"+json")
    ):
        return
    if kind == FORM and b"authorization" in headers:
        return
    shown = given.decode("latin-1")[:80]
    raise InvalidFieldError("Content-Type", f"{shown!r} must be application/json (curl: --json)")


def _name(authority: str) -> str:
    """The host without its port, in lower case; an IPv6 address without brackets."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].lower()
