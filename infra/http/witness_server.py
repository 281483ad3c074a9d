"""A witness over HTTP: the two requests of C2SP tlog-witness, with its status codes."""

import asyncio
import logging
import re
from typing import Final, NamedTuple

from jobledger.infra.http.protocol import GUARD_HEADERS, limited_protocol
from jobledger.infra.http.types import Receive, Scope, Send
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.notes import MAX_NOTE
from jobledger.infra.proof.witness.witness import Reason, RefusedError, Submission, Witness
from jobledger.infra.serving import logs
from jobledger.infra.serving.listening import Server, config

LOG: Final = logging.getLogger("jobledger.witness")
MAX_BODY: Final = MAX_NOTE + 4096
"""The most bytes of a body: 63 hashes, and then a note."""
REQUEST_TIMEOUT_SECONDS: Final = 10.0
"""How long a body may take to arrive."""
MAX_AT_ONCE: Final = 256
"""Requests served at the same time; more get 503."""
STATUS: Final = {
    Reason.MALFORMED: 400,
    Reason.UNSIGNED: 403,
    Reason.UNKNOWN_LOG: 404,
    Reason.STALE: 409,
    Reason.INCONSISTENT: 422,
}
TEXT: Final = "text/plain; charset=utf-8"
SIZE: Final = "text/x.tlog.size"
_CHECKPOINT: Final = re.compile(r"/([0-9a-f]{64})/checkpoint")


class Answer(NamedTuple):
    """An answer: status, body and content type."""

    status: int
    body: str
    type: str = TEXT


class Application:
    """An ASGI application for one witness."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._at_once = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        assert scope["type"] == "http"
        try:
            answer = await self._answer(scope, receive)
        except Exception:
            LOG.exception("failed")
            answer = Answer(500, "the witness failed; nothing was cosigned\n")
        await _send(send, answer)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        path, method = scope["path"], scope["method"]
        of_log = _CHECKPOINT.fullmatch(path)
        if path != "/add-checkpoint" and of_log is None:
            return Answer(404, "there is nothing at this address\n")
        if method != ("POST" if of_log is None else "GET"):
            return Answer(405, f"{method[:20]} is not for this address\n")
        if of_log is not None:
            return await asyncio.to_thread(self._show, of_log[1])
        try:
            body = await _read(receive)
        except TimeoutError:
            return Answer(408, f"the body did not come within {REQUEST_TIMEOUT_SECONDS:g} s\n")
        if len(body) > MAX_BODY:
            return Answer(413, f"the body is longer than {MAX_BODY} bytes\n")
        if self._at_once >= MAX_AT_ONCE:
            return Answer(503, f"{self._at_once} requests are in work; come again\n")
        self._at_once += 1
        try:
            return await asyncio.to_thread(self._add, body)
        finally:
            self._at_once -= 1

    def _add(self, body: bytes) -> Answer:
        try:
            submission = Submission.parse(body)
            cosignature = self._witness.cosign(submission)
        except RefusedError as error:
            status = STATUS[error.reason]
            fields: dict[str, object] = {"status": status, "why": error.why}
            if error.reason is Reason.INCONSISTENT:
                # The log signed it, so it may prove that the log is forked.
                LOG.warning("refused", extra={**fields, "submission": str(submission)})
            else:
                LOG.info("refused", extra=fields)
            if error.reason is Reason.STALE:
                return Answer(status, f"{error.size}\n", SIZE)
            return Answer(status, f"{error.why}\n")
        now = Checkpoint.parse(submission.note.text)
        LOG.info("cosigned", extra={"origin": now.origin, "size": now.size})
        return Answer(200, str(cosignature))

    def _show(self, origin_hash: str) -> Answer:
        note = self._witness.latest(origin_hash)
        if note is None:
            return Answer(404, "no checkpoint of that log was cosigned\n")
        return Answer(200, str(note))


def serve(witness: Witness, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT; logs the address (port 0: any free one) and the public key."""
    logs.set_up("info")
    how = {
        "http": limited_protocol(),
        "timeout_graceful_shutdown": int(REQUEST_TIMEOUT_SECONDS) + 1,
    }
    options = config(Application(witness), host, port, **how)
    Server(options, LOG, {"key": str(witness.key.verifier)}).run()


async def _read(receive: Receive) -> bytes:
    """Returns the body, or one byte more than the limit if it is too long; raises TimeoutError."""
    body = bytearray()
    async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
        while len(body) <= MAX_BODY:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
    return bytes(body)


async def _send(send: Send, answer: Answer) -> None:
    content = answer.body.encode()
    headers = [
        (b"content-type", answer.type.encode()),
        (b"content-length", str(len(content)).encode()),
        *GUARD_HEADERS,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
