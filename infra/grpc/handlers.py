"""Answers RPCs: checks the caller, calls the API's method, and returns errors as google.rpc.Status."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from jobledger.infra.access.tokens import Role
from jobledger.infra.errors import DeadlineExceededError
from jobledger.infra.google.wire.calls import Call, UnimplementedError, allowed, said_by
from jobledger.infra.google.wire.status import DOMAIN, Status, status_of
from jobledger.infra.grpc.peers import Peers
from jobledger.infra.grpc.rpcs import RPCS
from jobledger.infra.grpc.wire import Wire
from jobledger.infra.serving.context import ServerContext, trace_of

LOG: Final = logging.getLogger("jobledger.grpc")
WAITED: Final = 0.75
"""How much of a call's deadline a method that waits may take."""
MAX_MESSAGE: Final = 1_000
"""Bytes of an error's sentence: it travels in headers, twice, and clients refuse long ones."""


class Answering(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers all RPCs of a server, including unknown ones."""

    def __init__(self, server: ServerContext, peers: Peers) -> None:
        self._server = server
        self._peers = peers
        self._wires = {path: Wire(rpc) for path, rpc in RPCS.items()}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Messages stay bytes until their caller is admitted."""
        path: str = handler_call_details.method

        async def answer(
            messages: AsyncIterator[bytes], context: grpc.aio.ServicerContext
        ) -> bytes:
            rpc = _Call(self._server, path, _headers(context))
            try:
                with self._peers.call(context.peer()) as call:
                    data = await call.message(messages)
                    return await rpc.answer(self._wires.get(path), data)
            except Exception as error:
                refusal = rpc.refuse(error)
            finally:
                rpc.log()
            await context.abort_with_status(refusal)
            raise AssertionError("unreachable")

        # On the wire it looks like a call with one message, for which gRPC would wait endlessly.
        return grpc.stream_unary_rpc_method_handler(answer)


class _Call:
    """One RPC, from its arrival to its log line."""

    def __init__(self, server: ServerContext, path: str, headers: Mapping[str, str]) -> None:
        self._server = server
        self._path = path
        self._authorization = headers.get("authorization", "")
        self._trace_parent, trace_id = trace_of(headers.get("traceparent", ""))
        self._began = time.monotonic()
        self._noted: dict[str, Any] = {"trace_id": trace_id, "actor": None}
        self._code = "CANCELLED"  # Unless a caller waits for the result.

    async def answer(self, wire: Wire | None, data: bytes) -> bytes:
        deadline = self._server.limits.deadline
        try:
            async with asyncio.timeout(deadline):
                answer = await self._work(wire, data)
        except TimeoutError:
            raise DeadlineExceededError(deadline) from None
        self._code = "OK"
        return answer

    async def _work(self, wire: Wire | None, data: bytes) -> bytes:
        caller = await self._server.admit(self._authorization)
        self._noted["actor"] = caller.name
        if wire is None:
            raise UnimplementedError(self._path[:200])
        asked = wire.read(data)
        face = allowed(wire.rpc.method, caller, asked.ids)
        about = said_by(caller, self._trace_parent)
        server = self._server
        who = self._authorization.encode("latin-1", "replace") or None
        call = Call(server.ledger, *asked, about, server.queue, server.limits.deadline * WAITED)
        is_read = wire.rpc.method.role is Role.READER
        places = server.reads if is_read else server.writes
        places.take(who)
        try:
            if is_read:
                server.writers.make_way()
                return wire.write(await face(call))
            async with server.writers:
                return wire.write(await face(call))
        finally:
            places.give(who)

    def refuse(self, error: Exception) -> grpc.Status:
        status = status_of(error)
        self._code = status.code.name
        self._noted["error"] = str(error)[:512]
        if self._code == "INTERNAL":
            LOG.error("failed", exc_info=error, extra={"trace_id": self._noted["trace_id"]})
        return _wire_status(status)

    def log(self) -> None:
        fields = {"method": self._path[:512], "code": self._code}
        seconds = {"seconds": round(time.monotonic() - self._began, 6)}
        LOG.info("request", extra=fields | seconds | self._noted)


def _wire_status(status: Status) -> grpc.Status:
    """Returns the status in its wire form, with its ErrorInfo."""
    info = Packed()
    sendable = {k: v.encode(errors="replace").decode() for k, v in status.metadata.items()}
    error_info = {"reason": status.reason, "domain": DOMAIN, "metadata": sendable}
    info.Pack(error_details_pb2.ErrorInfo(**error_info))
    message = status.message.encode(errors="replace")[:MAX_MESSAGE].decode(errors="ignore")
    whole = status_pb2.Status(code=status.code.number, message=message, details=[info])
    return rpc_status.to_status(whole)


def _headers(context: grpc.aio.ServicerContext) -> dict[str, str]:
    """The metadata of the call that are text, with names in lower case."""
    given = context.invocation_metadata() or ()
    return {key: value for key, value in given if isinstance(value, str)}
