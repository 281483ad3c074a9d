"""Receipts in Google's APIs, which have none: `GET` of a job's path followed by `:receipt`."""

from collections.abc import Iterable
from functools import partial
from typing import Final

from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.google.wire.calls import Call, Face, Method

VERSION: Final = frozenset({"version"})
JOBS: Final = ("obs.get", "trainingPipelines.get")


def receipts(methods: Iterable[Method]) -> list[Method]:
    """Adds a method for receipts for each method that gets a job."""
    return [
        Method(
            f"{method.name.removesuffix('.get')}.receipt",
            "GET",
            f"{method.shape}:receipt",
            partial(_receipt, method.shape, method.call),
            VERSION,
        )
        for method in methods
        if method.name.endswith(JOBS) and method.call is not None
    ]


async def _receipt(shape: str, get: Face, call: Call) -> JsonObject:
    """Returns a C2SP tlog-proof for an event of a job of this API: of the given version, or the last one."""
    await get(call._replace(query={}))
    _, *segments = shape.split("/")
    ids = iter(call.ids)
    name = "/".join(next(ids) if segment == "*" else segment for segment in segments)
    version = call.number("version") if "version" in call.query else None
    return {"receipt": str(await call.ledger.receipt(name, version))}
