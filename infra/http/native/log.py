"""Proof over HTTP: receipts of events, and the log itself as C2SP tlog-tiles has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from jobledger.domain.canonical import JsonObject
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.names import parse_name
from jobledger.infra.access.tokens import Caller, Role
from jobledger.infra.errors import PermissionDeniedError, ProofError
from jobledger.infra.http.native.routes import Asking, Json
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.signing.keys import find_keys
from jobledger.infra.proof.signing.signer import read_kept
from jobledger.infra.proof.tiles import read_file
from jobledger.infra.settings import Settings

NOTE: Final = "text/plain; charset=utf-8"
TILE: Final = "application/octet-stream"
Version = Annotated[
    int | None, Query(ge=1, lt=2**31, description="Of which event; else of the last.")
]


def proving(asking: Asking) -> APIRouter:
    """The routes of who checks."""
    router = APIRouter(prefix="/ledger/v1", tags=["proof"])
    _add_log(router, asking)
    _add_receipt(router, asking)
    return router


def _add_log(router: APIRouter, asking: Asking) -> None:
    ledger = asking.served.ledger

    @router.get("/log")
    async def log(request: Request) -> Json:
        """What the log is called, how many of its events are sealed, and the public keys it is signed with here."""

        def work(_: Caller) -> JsonObject:
            with ledger.pool.connection() as connection:
                standing = Tree().standing(connection)
            said = {"origin": standing.origin, "events": standing.events, "sealed": standing.size}
            return {**said, "keys": _keys(standing.origin)}

        return await asking.read(request, None, work)

    @router.get("/log/checkpoint", response_class=Response)
    async def checkpoint(request: Request) -> Response:
        """The last that was signed (C2SP tlog-checkpoint)."""

        def work(_: Caller) -> str:
            with ledger.pool.connection() as connection:
                note = read_kept(connection)
            if note is None:
                raise ProofError("checkpoint", "nothing was signed yet")
            return str(note)

        return await _sent(asking, request, None, work, NOTE)

    @router.get("/log/tile/{path:path}", response_class=Response)
    async def tile(request: Request, path: str) -> Response:
        """Hashes of the log's tree, or the entries they are of (C2SP tlog-tiles); entries are of all projects."""

        def work(caller: Caller) -> bytes:
            if caller.project is not None:
                raise PermissionDeniedError(caller.name, project=caller.project)
            with ledger.pool.connection() as connection:
                found = read_file(connection, f"tile/{path}")
            if found is None:
                raise InvalidFieldError("path", f"there is no tile {path[:80]!r}")
            return found

        return await _sent(asking, request, None, work, TILE)


def _keys(origin: str) -> list[str]:
    """As vkeys; none where this server signs nothing."""
    try:
        return [str(key.verifier) for key in find_keys(Settings(), origin)]
    except ProofError:
        # With a key that cannot be used it signs nothing; its log says why, which no reader need know.
        return []


def _add_receipt(router: APIRouter, asking: Asking) -> None:
    @router.get("/{name:path}:receipt", response_class=Response)
    async def receipt(request: Request, name: str, version: Version = None) -> Response:
        """That an event of a job is in the log, to be checked offline (C2SP tlog-proof)."""
        parsed = parse_name(name)
        return await _sent(
            asking,
            request,
            parsed,
            lambda _: str(asking.served.ledger.receipt(parsed, version)),
            NOTE,
        )


async def _sent(
    asking: Asking,
    request: Request,
    name: str | None,
    work: Callable[[Caller], str | bytes],
    media_type: str,
) -> Response:
    """What a reader may see, as it is."""
    content = await asking.served.at_length(lambda: work(asking.admit(request, Role.READER, name)))
    return Response(content, headers={"content-type": media_type})
