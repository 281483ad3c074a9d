"""Errors of a server as the errors that `Ledger` raises, and which of them can be retried."""

import json
from collections.abc import Mapping
from typing import Any, Final

from jobledger.domain import errors as domain
from jobledger.domain.errors import LedgerError
from jobledger.infra import errors as infra
from jobledger.infra.evaluation import errors as labeling
from pydantic.alias_generators import to_camel

RETRIED: Final = frozenset({408, 429, 502, 503, 504})
"""HTTP statuses after which the same request is sent again: it carries a request id."""
OK: Final = 200
BAD_REQUEST: Final = 400
ARGUMENTS: Final = {
    to_camel(name): name
    for name in (
        "as_of", "occurred_time", "order_by", "page_size", "page_token", "request_id", "run_id", "trace_parent",
    )
}  # fmt: skip
"""Arguments of the client's methods, by their names in requests."""


class ServerRefusedError(LedgerError):
    """A refusal of the server without a class of its own; `http` is its status, `code` its google.rpc.Code."""

    def __init__(self, http: int, code: str, message: str) -> None:
        self.http = http
        self.code = code
        super().__init__(message)


def _by_reason() -> Mapping[str, type[LedgerError]]:
    found: dict[str, type[LedgerError]] = {}
    for module in (domain, infra, labeling):
        for cls in vars(module).values():
            if isinstance(cls, type) and issubclass(cls, LedgerError):
                found[reason_of(cls)] = cls
    return found


def reason_of(cls: type[BaseException]) -> str:
    """`JOB_NOT_FOUND`, of JobNotFoundError: the reason in the ErrorInfo of such an error."""
    name = cls.__name__.removesuffix("Error")
    return "".join(f"_{c}" if c.isupper() and n else c for n, c in enumerate(name)).upper()


REASONS: Final = _by_reason()


def error_of(http: int, content: bytes) -> LedgerError:
    """Returns the error of a google.rpc.Status, with the attributes of the server's own error."""
    try:
        status = json.loads(content)["error"]
        message, code = str(status["message"]), str(status["status"])
        info = next(each for each in status["details"] if "reason" in each)
        cls = REASONS[info["reason"]]
    except (ValueError, KeyError, TypeError, StopIteration):
        text = content[:200].decode(errors="replace")
        return ServerRefusedError(http, _code(content), _message(content) or f"HTTP {http}: {text}")
    error = cls.__new__(cls)
    LedgerError.__init__(error, message)
    for field, value in info.get("metadata", {}).items():
        setattr(error, field, _value(value))
    error.__dict__.setdefault("code", code)
    _name_argument(error)
    return error


def _name_argument(error: LedgerError) -> None:
    """Renames the field of an error about an argument as the caller wrote it: `as_of`, not `asOf`."""
    sent = getattr(error, "field", None)
    if isinstance(sent, str) and sent in ARGUMENTS:
        error.__dict__["field"] = ARGUMENTS[sent]
        error.args = (str(error).replace(sent, ARGUMENTS[sent], 1),)


def _message(content: bytes) -> str:
    try:
        return str(json.loads(content)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return ""


def _code(content: bytes) -> str:
    try:
        return str(json.loads(content)["error"]["status"])
    except (ValueError, KeyError, TypeError):
        return "UNKNOWN"


def _value(text: str) -> Any:
    """A field of the error: text, or what JSON other fields are written as."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if isinstance(value, str) else value
