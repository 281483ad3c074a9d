"""Errors as google.rpc.Status: one table of the ledger's errors, for every API and transport.

`details` has a google.rpc.ErrorInfo (AIP-193), because over HTTP clients cannot distinguish two codes with
the same HTTP status without it.
"""

import re
from enum import Enum
from typing import Any, Final, NamedTuple

import orjson
from jobledger.domain import errors as domain
from jobledger.domain.data import CODES as GOOGLE_CODES
from jobledger.domain.errors import LedgerError
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra import errors as infra
from jobledger.infra.evaluation import errors as labeling
from jobledger.infra.google.wire.calls import UnimplementedError, UnknownMethodError

DOMAIN: Final = "jobledger"


class Code(NamedTuple):
    """A google.rpc.Code and its HTTP status."""

    name: str
    number: int
    http: int


CODES: Final = {
    name: Code(name, GOOGLE_CODES.index(name), http)
    for name, http in {
        "CANCELLED": 499,
        "UNKNOWN": 500,
        "INVALID_ARGUMENT": 400,
        "DEADLINE_EXCEEDED": 504,
        "NOT_FOUND": 404,
        "ALREADY_EXISTS": 409,
        "PERMISSION_DENIED": 403,
        "RESOURCE_EXHAUSTED": 429,
        "FAILED_PRECONDITION": 400,
        "ABORTED": 409,
        "OUT_OF_RANGE": 400,
        "UNIMPLEMENTED": 501,
        "INTERNAL": 500,
        "UNAVAILABLE": 503,
        "DATA_LOSS": 500,
        "UNAUTHENTICATED": 401,
    }.items()
}

ERRORS: Final[dict[type[LedgerError], str]] = {
    domain.InvalidFieldError: "INVALID_ARGUMENT",
    domain.JobNotFoundError: "NOT_FOUND",
    domain.JobExistsError: "ALREADY_EXISTS",
    domain.IllegalTransitionError: "FAILED_PRECONDITION",
    domain.NotSamplingError: "FAILED_PRECONDITION",
    domain.EtagMismatchError: "ABORTED",
    domain.VersionConflictError: "ABORTED",
    domain.RequestReusedError: "ALREADY_EXISTS",
    infra.LedgerUnavailableError: "UNAVAILABLE",
    infra.QueryTimeoutError: "DEADLINE_EXCEEDED",
    infra.MissingGrantError: "PERMISSION_DENIED",
    infra.OwnerNeededError: "PERMISSION_DENIED",
    infra.JobHeldError: "FAILED_PRECONDITION",
    infra.StorageFullError: "RESOURCE_EXHAUSTED",
    infra.LedgerBusyError: "FAILED_PRECONDITION",
    infra.ReadOnlyServerError: "FAILED_PRECONDITION",
    infra.PoolerError: "FAILED_PRECONDITION",
    infra.ServerInUseError: "FAILED_PRECONDITION",
    infra.SchemaError: "FAILED_PRECONDITION",
    infra.BrokenLedgerError: "DATA_LOSS",
    infra.LogFileNotFoundError: "NOT_FOUND",
    infra.ProofError: "FAILED_PRECONDITION",
    infra.ForkedError: "DATA_LOSS",
    infra.InputError: "INVALID_ARGUMENT",
    infra.UnauthenticatedError: "UNAUTHENTICATED",
    infra.PermissionDeniedError: "PERMISSION_DENIED",
    infra.ForeignRequestError: "PERMISSION_DENIED",
    infra.OverloadedError: "UNAVAILABLE",
    infra.DeadlineExceededError: "DEADLINE_EXCEEDED",
    labeling.TaskNotFoundError: "NOT_FOUND",
    labeling.TaskClosedError: "FAILED_PRECONDITION",
    labeling.AnsweredTwiceError: "ALREADY_EXISTS",
    labeling.EnoughAnswersError: "FAILED_PRECONDITION",
    UnknownMethodError: "NOT_FOUND",
    UnimplementedError: "UNIMPLEMENTED",
}
"""The code of each error and its subclasses."""


class Status(NamedTuple):
    """google.rpc.Status with one ErrorInfo."""

    code: Code
    message: str
    reason: str
    metadata: dict[str, str]

    @property
    def details(self) -> list[JsonObject]:
        """The ErrorInfo as JSON."""
        info = {"reason": self.reason, "domain": DOMAIN, "metadata": self.metadata}
        return [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", **info}]

    def body(self) -> JsonObject:
        """Returns the body of a REST answer."""
        error = {"code": self.code.http, "message": self.message, "status": self.code.name}
        return {"error": {**error, "details": self.details}}

    def json(self) -> JsonObject:
        """Returns the message itself, as in an Operation or in a batch's answer."""
        return {"code": self.code.number, "message": self.message, "details": self.details}


def status_of(error: BaseException) -> Status:
    """Returns the status of an error; other errors than LedgerError are INTERNAL, without details."""
    for cls in type(error).__mro__:
        if cls in ERRORS:
            return Status(CODES[ERRORS[cls]], str(error), _reason(type(error)), _metadata(error))
    return Status(CODES["INTERNAL"], "the ledger failed; its log says how", "INTERNAL", {})


def _reason(error: type[BaseException]) -> str:
    """Returns the reason of an error, such as `JOB_NOT_FOUND` for JobNotFoundError."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", error.__name__.removesuffix("Error")).upper()


def _metadata(error: Any) -> dict[str, str]:
    """Returns the error's fields as text, as an ErrorInfo holds only text; other values become JSON."""
    return {key: _text(value)[:256] for key, value in vars(error).items() if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, bool | int | float | list | dict | tuple) and not isinstance(value, Enum):
        return orjson.dumps(value, default=str).decode()
    return str(value)
