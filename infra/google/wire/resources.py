"""The fields of a job's spec and output that a dialect's resource shows: those of its message."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from jobledger.domain.data import CANCELLED
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.job import Job
from jobledger.domain.states import JobState
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.google.wire import details
from jobledger.infra.google.wire.messages import Api

DEADLINE_EXCEEDED: Final = 4
MAX_DISPLAY_NAME: Final = 128


def time_text(time: datetime | None) -> str | None:
    """Returns a time as RFC 3339 in UTC, with only the needed digits; None for None."""
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def given_fields(api: Api, message: str, spec: Mapping[str, Any]) -> JsonObject:
    """Returns the fields of a job's spec that a message has.

    A job may have been created in another dialect, whose spec has other fields.

    Args:
        api: The API of the message.
        message: Its name.
        spec: The job's configuration.

    Returns:
        The fields, without output-only ones at any depth.
    """
    among = api.fields(message).keys() - api.read_only(message)
    return api.read(message, {key: spec[key] for key in spec if key in among}, output=False)


def reported_fields(api: Api, message: str, reported: Mapping[str, Any]) -> JsonObject:
    """Returns the fields of a message in a report, including output-only ones."""
    shown: JsonObject = _with_known_details(api.read(message, reported, output=True))
    return shown


def made_fields(api: Api, message: str, output: Mapping[str, Any] | None) -> JsonObject:
    """Returns the output-only fields that were reported."""
    if not output:
        return {}
    made = api.read_only(message)
    return reported_fields(api, message, {key: output[key] for key in output if key in made})


def error_of(job: Job) -> JsonObject | None:
    """Returns the google.rpc.Status of a job that failed, was cancelled or expired.

    Args:
        job: The job.

    Returns:
        The status, with details of types that clients know; None for a job without an error.
    """
    if job.state is JobState.EXPIRED:
        return {"code": DEADLINE_EXCEEDED, "message": job.error_message or ""}
    if job.error is None:
        return None
    shown: JsonObject = {
        "code": job.error.get("code", CANCELLED),
        "message": job.error.get("message", ""),
    }
    given = job.error.get("details")
    known = _known_details(given) if isinstance(given, list) else []
    return shown | {"details": known} if known else shown


def _with_known_details(value: Any) -> Any:
    """Returns the same, with only details that clients know in all nested statuses."""
    match value:
        case [{"@type": _}, *_]:
            return _known_details(value)
        case list():
            return [_with_known_details(one) for one in value]
        case dict():
            return {key: _with_known_details(one) for key, one in value.items()}
    return value


def _known_details(given: list[Any]) -> list[JsonObject]:
    return [_detail(one, type_) for one in given if (type_ := details.type_of(one))]


def _detail(detail: JsonObject, type_: str) -> JsonObject:
    known = {key: detail[key] for key in detail if key != "@type"}
    return {"@type": details.PREFIX + type_, **details.API.read(type_, known, output=True)}


def check_display_name(spec: Mapping[str, Any]) -> None:
    """Raises InvalidFieldError for a displayName over 128 characters."""
    length = len(spec.get("displayName", ""))
    if length > MAX_DISPLAY_NAME:
        raise InvalidFieldError(
            "displayName", f"has {length} characters; the limit is {MAX_DISPLAY_NAME}"
        )


def bare(resource: Mapping[str, Any]) -> JsonObject:
    """Returns the message without empty fields, as in proto3 JSON."""
    return {key: value for key, value in resource.items() if value not in (None, {}, [])}
