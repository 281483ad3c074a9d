"""Proof over HTTP: receipts of events, and the log itself as C2SP tlog-tiles has it."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.names import parse_name
from jobledger.infra.access.required import READ
from jobledger.infra.errors import LogFileNotFoundError, PermissionDeniedError, ProofError
from jobledger.infra.http.native import answers
from jobledger.infra.http.native.routes import Json, NativeRoutes
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.signing.keys import find_keys
from jobledger.infra.proof.signing.signer import read_kept
from jobledger.infra.proof.tiles import read_file
from jobledger.infra.settings import Settings

NOTE: Final = "text/plain; charset=utf-8"
TILE: Final = "application/octet-stream"
IMMUTABLE: Final = "max-age=31536000, immutable"
"""The caching of full tiles, whose bytes never change; bundles change when events are pruned."""
Version = Annotated[
    int | None, Query(ge=1, lt=2**31, description="Of which event; else of the last.")
]


def log_routes(routes: NativeRoutes) -> APIRouter:
    """The routes of auditors."""
    router = APIRouter(prefix="/ledger/v1", tags=["proof"])
    _add_log(router, routes)
    _add_checkpoint(router, routes)
    _add_tile(router, routes)
    _add_receipt(router, routes)
    return router


def _add_log(router: APIRouter, routes: NativeRoutes) -> None:
    ledger, pool = routes.ledger, routes.reader.pool

    @router.get("/log", response_model=answers.LogJson)
    async def log(request: Request) -> Json:
        """The log's name, how many of its events are in the tree, and the public keys that sign it here."""
        await routes.admit(request, READ)

        def read() -> JsonObject:
            with pool.connection() as connection:
                log = Tree().log_state(connection)
            answer = {
                "origin": log.origin,
                "events": log.events,
                "size": log.size,
                "sealed": log.size,
            }
            return {**answer, "keys": _keys(log.origin)}

        return await routes.json(await ledger.run(read))


def _add_checkpoint(router: APIRouter, routes: NativeRoutes) -> None:
    ledger, pool = routes.ledger, routes.reader.pool

    @router.get(
        "/log/checkpoint",
        response_class=Response,
        responses=answers.of_content("text/plain", "A signed note."),
    )
    async def checkpoint(request: Request) -> Response:
        """Returns the last checkpoint that was signed (C2SP tlog-checkpoint)."""
        await routes.admit(request, READ)

        def read() -> str:
            with pool.connection() as connection:
                note = read_kept(connection)
            if note is None:
                raise LogFileNotFoundError("checkpoint")
            return str(note)

        headers = {"content-type": NOTE, "cache-control": "no-cache"}
        return Response(await ledger.run(read), headers=headers)


def _add_tile(router: APIRouter, routes: NativeRoutes) -> None:
    ledger, pool = routes.ledger, routes.reader.pool

    @router.get(
        "/log/tile/{path:path}",
        response_class=Response,
        responses=answers.of_content("application/octet-stream", "A tile, or a bundle of entries."),
    )
    async def tile(request: Request, path: str) -> Response:
        """Returns a tile of hashes, or a bundle of entries (C2SP tlog-tiles); entries are of all projects."""
        caller = await routes.admit(request, READ)
        if caller.project is not None:
            raise PermissionDeniedError(caller.name, project=caller.project)

        def read() -> bytes:
            with pool.connection() as connection:
                found = read_file(connection, f"tile/{path}")
            if found is None:
                raise LogFileNotFoundError(f"tile/{path}")
            return found

        # If tokens are needed, shared caches must not store the answer.
        shared = "private" if caller.name is not None else "public"
        kept = "no-cache" if ".p/" in path or path.startswith("entries/") else IMMUTABLE
        headers = {"content-type": TILE, "cache-control": f"{shared}, {kept}"}
        return Response(await ledger.run(read), headers=headers)


def _keys(origin: str) -> list[str]:
    """The public keys as vkeys; empty if this server does not sign."""
    try:
        return [str(key.verifier) for key in find_keys(Settings(), origin)]
    except ProofError:
        # A server with an invalid key signs nothing; the reason is in its log, and not for readers.
        return []


def _add_receipt(router: APIRouter, routes: NativeRoutes) -> None:
    @router.get(
        "/{name:path}:receipt",
        response_class=Response,
        responses=answers.of_content("text/plain", "A C2SP tlog-proof."),
    )
    async def receipt(request: Request, name: str, version: Version = None) -> Response:
        """Returns a receipt: an offline proof that an event of a job is in the log (C2SP tlog-proof)."""
        name = parse_name(name)
        await routes.admit(request, READ, name)
        made = await routes.ledger.receipt(name, version)
        return Response(str(made), headers={"content-type": NOTE})
