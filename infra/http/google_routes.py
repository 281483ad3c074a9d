"""Google's APIs over HTTP: finds the method, checks the caller, and sends the method's answer."""

import re
from typing import Any, Final
from urllib.parse import parse_qsl

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values import canonical
from jobledger.domain.values.nearest import did_you_mean
from jobledger.infra.access.tokens import Role
from jobledger.infra.eventstore.json_view import encode, time_text
from jobledger.infra.google.labeling import methods as datalabeling_v1beta1
from jobledger.infra.google.ml import methods as ml_v1
from jobledger.infra.google.vertex import methods as aiplatform_v1
from jobledger.infra.google.wire.calls import (
    AS_OF,
    Call,
    Method,
    Methods,
    allowed,
    moment_of,
    said_by,
)
from jobledger.infra.google.wire.masks import camel, parse_partial, select
from jobledger.infra.google.wire.receipts import receipts
from jobledger.infra.http.middleware import send_json
from jobledger.infra.http.types import Scope, Send
from jobledger.infra.serving.context import ServerContext

FACES: Final = (*ml_v1.METHODS.all, *aiplatform_v1.METHODS.all, *datalabeling_v1beta1.METHODS.all)
METHODS: Final = Methods([*FACES, *receipts(FACES)])
PREFIXES: Final = ("/v1/", "/v1beta1/", "/v1beta/", "/ui/")
WAITED: Final = 0.75
"""The share of a request's deadline that a waiting method may take."""
IGNORED: Final = frozenset(
    {
        "$.xgafv", "$alt", "$prettyPrint", "access_token", "alt", "callback", "fields", "key",
        "oauth_token", "prettyPrint", "quotaUser", "uploadType", "upload_protocol", "$ct",
    }
)  # fmt: skip
"""Parameters that every method accepts; all but `fields` and `alt` are ignored."""
MAX_PARAMETERS: Final = 100
PRUNED_BEFORE: Final = b"x-jobledger-pruned-before"
_ALT: Final = re.compile(r"json(;enum-encoding=int)?")


async def answer(server: ServerContext, scope: Scope, send: Send) -> None:
    """Answers a request of a path under PREFIXES; raises the method's errors."""
    method, ids = METHODS.find(scope["method"], scope["raw_path"].decode("latin-1"))
    query, fields = _query(method, scope["query_string"]) if scope["query_string"] else ({}, "")
    state = scope["state"]
    headers = state["headers"]

    caller = await server.admit(headers.get(b"authorization", b"").decode("latin-1"))
    state["actor"] = caller.name
    face, about = allowed(method, caller, ids), said_by(caller, state["trace_parent"])
    call = Call(
        server.ledger, ids, query, _body(method, state["body"]), about, server.queue,
        server.limits.deadline * WAITED,
    )  # fmt: skip
    try:
        if method.role is Role.READER:
            server.writers.make_way()
            answered = await face(call)
        else:
            async with server.writers:
                answered = await face(call)
    except InvalidFieldError as error:
        if error.field == "as_of":
            asked = "readTime" if "readTime" in query else "validTime"
            raise InvalidFieldError(asked, error.why) from error
        raise
    shown = select(answered, parse_partial(fields)) if fields else answered
    content = await server.ledger.decrypt_json(encode(shown))
    past = not AS_OF.isdisjoint(query)
    await send_json(send, 200, content, await _pruned(call, scope["path"]) if past else None)


async def _pruned(call: Call, path: str) -> list[tuple[bytes, bytes]]:
    """Returns the header for an answer about a past from which jobs were pruned.

    Google's messages have no field for it.

    Args:
        call: The call.
        path: Its path.

    Returns:
        The header; none if no jobs were pruned.
    """
    as_of, clock = await moment_of(call)
    _, _, name = path.strip("/").partition("/")
    before = (await call.ledger.moment(as_of, clock, name)).pruned_past
    return [] if before is None else [(PRUNED_BEFORE, str(time_text(before)).encode())]


def _query(method: Method, text: bytes) -> tuple[dict[str, str], str]:
    """Returns the method's parameters by their camelCase names, and the value of `fields`."""
    try:
        pairs = parse_qsl(
            text.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=MAX_PARAMETERS,
            errors="strict",
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise InvalidFieldError(
            "query", f"cannot be read: give at most {MAX_PARAMETERS} parameters, in UTF-8"
        ) from error
    query, fields = dict[str, str](), ""
    for key, value in pairs:
        if key in {"alt", "$alt"} and _ALT.fullmatch(value) is None:
            raise InvalidFieldError(key, f"{value[:40]!r} is not supported; the format is json")
        if key == "fields":
            fields = value
        if key in IGNORED:
            continue
        name = key if key in method.query else camel(key)
        if name not in method.query:
            raise InvalidFieldError(
                key[:80], f"is not a parameter of {method.name}{did_you_mean(key, method.query)}"
            )
        if name in query:
            raise InvalidFieldError(key, "is given more than once; give it once")
        query[name] = value
    return query, fields


def _body(method: Method, body: bytes) -> Any:
    """Returns the body's JSON, or None; a method without a body does not parse it."""
    if method.body is None or not body.strip():
        return None
    try:
        value = canonical.loads_exact(body)
    except ValueError as error:
        raise InvalidFieldError("body", f"is not JSON: {error}") from error
    return canonical.object_of("body", value)
