"""Roles, bearer tokens, and the check that every route makes."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import IntEnum
from itertools import count
from time import monotonic
from typing import Any, Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.names import parse_name, parse_text, project_of
from jobledger.infra.errors import PermissionDeniedError, TokenExistsError, UnauthenticatedError
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Pool, translated
from jobledger.infra.ttl_cache import TtlCache

CREATE_TOKEN: Final = sql.load(__package__, "create_token")
FIND_TOKEN: Final = sql.load(__package__, "find_token")
LIST_TOKENS: Final = sql.load(__package__, "list_tokens")
REVOKE_TOKEN: Final = sql.load(__package__, "revoke_token")
READ_ACCESS: Final = sql.load(__package__, "read_access")
REMEMBERED: Final = 5.0
"""Seconds after which a token is looked up again: a revocation acts within them, in every process."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}", re.ASCII)
_SECRET: Final = re.compile(r"jlt_[A-Za-z0-9_-]{43}", re.ASCII)


class Role(IntEnum):
    """The role of a token; each role includes those before it."""

    READER = 1
    """Reads."""
    REPORTER = 2
    """May report what happened to jobs."""
    OPERATOR = 3
    """May also send commands: create, cancel, pause, update, delete."""
    ADMIN = 4
    """Decides on policies, and everything else."""

    def __str__(self) -> str:
        return self.name.lower()

    @classmethod
    def parse(cls, text: str) -> Role:
        """Parses a role; raises InvalidFieldError if there is no such role."""
        for role in cls:
            if str(role) == text:
                return role
        raise InvalidFieldError("role", f"{text!r:.80} is not reader, reporter, operator or admin")


class Caller(NamedTuple):
    """The sender of a request; it has no name if the server needs no tokens."""

    name: str | None
    """The actor of what it writes."""
    role: Role
    project: str | None = None
    """The only project it sees; None sees all."""

    def may(self, role: Role) -> bool:
        """Whether the caller's role includes the given one."""
        return self.role >= role

    def sees(self, name: str) -> bool:
        """Whether the caller may see a project, or the job of that name."""
        project = project_of(name) if name.startswith("projects/") else name
        return self.project in (None, project)


ANYBODY: Final = Caller(None, Role.ADMIN)
"""The caller if the server needs no tokens."""


def check(caller: Caller, needed: Role, name: str | None = None) -> None:
    """Checks that the caller has a role and may see a resource.

    A request that names no resource is not checked here: reads of many jobs are restricted to
    `caller.project` by their filter.

    Args:
        caller: Who makes the request.
        needed: The role that the request takes.
        name: The resource that the request names; None if it names none.

    Raises:
        PermissionDeniedError: The caller has a lesser role, or a token of another project.
    """
    if not caller.may(needed):
        raise PermissionDeniedError(caller.name, role=str(needed))
    if name is not None and not caller.sees(name):
        raise PermissionDeniedError(caller.name, project=caller.project)


class Token(NamedTuple):
    """A token as it is stored: everything but its secret."""

    name: str
    role: Role
    project: str | None
    create_time: datetime
    created_by: str | None
    expire_time: datetime | None
    revoke_time: datetime | None

    def caller(self, now: datetime) -> Caller:
        """Returns the token's caller; raises UnauthenticatedError if it is invalid."""
        if self.revoke_time is not None:
            raise UnauthenticatedError("revoked", self.name)
        if self.expire_time is not None and self.expire_time <= now:
            raise UnauthenticatedError("expired", self.name)
        return Caller(self.name, self.role, self.project)


class Tokens:
    """The tokens of one ledger; any number of threads may use it."""

    def __init__(self, pool: Pool, clock: Callable[[], float] = monotonic) -> None:
        self._pool = pool
        self._clock = clock
        # Cached apart, so that many wrong secrets do not evict valid tokens.
        self._known = TtlCache[Token](REMEMBERED)
        self._unknown = TtlCache[bool](REMEMBERED)
        self._ever = TtlCache[bool](REMEMBERED)

    def create(
        self,
        name: str,
        role: Role,
        project: str | None = None,
        expires: datetime | None = None,
        created_by: str | None = None,
    ) -> str:
        """Creates a token.

        Args:
            name: The name of the token, which becomes the actor of events written with it.
            role: What it permits.
            project: The only project it is valid for; None for all.
            expires: When it expires (with a time zone); None for never.
            created_by: Who creates it, for the list of tokens.

        Returns:
            The secret, which is stored nowhere.

        Raises:
            InvalidFieldError: A value is not accepted.
            TokenExistsError: The name was used before, even by a revoked token.
        """
        secret = f"jlt_{secrets.token_urlsafe(32)}"
        row = {
            "name": _parse_token_name(name),
            "hash": _hash(secret),
            "role": str(role),
            "project": None if project is None else _parse_project(project),
            "created_by": parse_text("created_by", created_by),
            "expire_time": None if expires is None else _parse_expiry(expires),
        }
        if not self._rows(CREATE_TOKEN, row):
            raise TokenExistsError(name)
        self._ever.clear()
        return secret

    def create_numbered(
        self,
        role: Role,
        project: str | None = None,
        expires: datetime | None = None,
        created_by: str | None = None,
    ) -> tuple[str, str]:
        """Creates a token with the first free name of `reader-1`, `reader-2`, …; returns name, secret."""
        while True:
            names = {token.name for token in self.list()}
            name = next(name for n in count(1) if (name := f"{role}-{n}") not in names)
            # Another process may take it first.
            with suppress(TokenExistsError):
                return name, self.create(name, role, project, expires, created_by)

    def list(self) -> list[Token]:
        """Returns all tokens ever created, oldest first."""
        return [_token(row) for row in self._rows(LIST_TOKENS)]

    def revoke(self, name: str) -> Token:
        """Revokes a token: at once in this process, and within five seconds in others.

        Args:
            name: The name of the token.

        Returns:
            The token; one that was revoked before keeps its time.

        Raises:
            InvalidFieldError: There is no token of that name.
        """
        with translated(), self._pool.connection() as connection:
            connection.execute(REVOKE_TOKEN, {"name": _parse_token_name(name)})
        self._known.clear()
        for token in self.list():
            if token.name == name:
                return token
        raise InvalidFieldError(
            "name", f"there is no token {name!r}; jobledger token list shows all"
        )

    def find(self, secret: str | None, now: datetime) -> Caller:
        """Returns the caller with that secret; raises UnauthenticatedError if the token is invalid."""
        if not secret:
            raise UnauthenticatedError("missing")
        token = self._remembered(_hash(secret)) if _SECRET.fullmatch(secret) else None
        if token is None:
            raise UnauthenticatedError("unknown")
        return token.caller(now)

    def admit(self, secret: str | None, now: datetime) -> Caller:
        """Returns the caller as `find` does, but accepts anybody while the server needs no tokens."""
        return ANYBODY if self.is_open() else self.find(secret, now)

    def configured(self) -> bool:
        """Whether any token is valid now."""
        serves, _ = self._rows(READ_ACCESS)[0]
        return bool(serves)

    def is_open(self) -> bool:
        """Whether no token was ever created; revoking the last one does not open the server again."""
        began = self._clock()
        ever = self._ever.find(b"", began)
        if ever is None:
            ever = bool(self._rows(READ_ACCESS)[0][1])
            self._ever.keep(b"", ever, began)
        return not ever

    def is_cached(self, secret: str) -> bool:
        """Whether `admit` needs no database query."""
        now = self._clock()
        ever = self._ever.find(b"", now)
        if ever is None or not ever or _SECRET.fullmatch(secret) is None:
            return ever is not None
        hash_ = _hash(secret)
        return bool(self._known.find(hash_, now) or self._unknown.find(hash_, now))

    def _remembered(self, hash_: bytes) -> Token | None:
        # Timed from before the look-up: a revocation in the middle of it is waited for no longer.
        began = self._clock()
        known = self._known.find(hash_, began)
        if known is not None or self._unknown.find(hash_, began):
            return known
        rows = self._rows(FIND_TOKEN, {"hash": hash_})
        if not rows:
            self._unknown.keep(hash_, value=True, began=began)
            return None
        token = _token(rows[0])
        self._known.keep(hash_, token, began)
        return token

    def _rows(self, statement: bytes, parameters: Any = None) -> Sequence[tuple[Any, ...]]:
        with translated(), self._pool.connection() as connection:
            return connection.execute(statement, parameters).fetchall()


def _hash(secret: str) -> bytes:
    """Returns the hash of a secret, by which its token is stored and found.

    Salt and many rounds protect secrets that can be guessed; this one is 256 random bits. The
    comparison need not take constant time: its timing depends on the hash, which nobody can choose.
    """
    return hashlib.sha256(secret.encode()).digest()


def _token(row: tuple[Any, ...]) -> Token:
    name, role, *rest = row
    return Token(name, Role.parse(role), *rest)


def _parse_token_name(name: str) -> str:
    if parse_text("name", name) is None or _NAME.fullmatch(name) is None:
        raise InvalidFieldError(
            "name",
            f"{name!r:.80} is not 1 to 64 letters, digits and _ . @ -, a letter or digit first",
        )
    return name


def _parse_project(project: str) -> str:
    """Validates a project's id, as it occurs in names of jobs."""
    try:
        if project_of(parse_name(f"projects/{project}/jobs/x")) == project:
            return project
    except InvalidFieldError:
        pass
    raise InvalidFieldError("project", f"{project!r:.80} is not a project's id, such as my-project")


def _parse_expiry(time: datetime) -> datetime:
    if time.utcoffset() is None:
        raise InvalidFieldError("expires", f"{time} has no time zone; give one, such as UTC")
    if time <= datetime.now(UTC):
        raise InvalidFieldError(
            "expires", f"{time.isoformat()} is in the past; give a time to come"
        )
    return time
