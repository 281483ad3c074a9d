"""Parses reports, and mends those that cannot be stored: a report is never refused for its content.

A report is mended only if it cannot be parsed or encoded as it is. The list `@mended` in the
event's data says what was changed (see mending.py). A report without a readable meaning is recorded
whole, as `Contradicted`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from jobledger.domain.data import CODES, MAX_DATA_BYTES, PLACED_KEY, UNKNOWN, Data
from jobledger.domain.errors import InvalidFieldError, UnknownEventTypeError
from jobledger.domain.events import EVENT_TYPES, MAX_PARENTS, MAX_RELATIVE, parse_data
from jobledger.domain.values import canonical, labels
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.mending import MARKS, PERSONAL, Mender
from jobledger.domain.values.shortening import Shortener, size

MAX_MENDED_BYTES: Final = MAX_DATA_BYTES - 20 * 1024
"""Bytes of mended data, without its marks."""
MAX_MENDED_PERSONAL_BYTES: Final = MAX_MENDED_BYTES * 6 // 10
"""The same where parts will be encrypted, which makes them larger."""
MAX_MARKS_BYTES: Final = 16 * 1024
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,15}", re.ASCII)


class Unreadable(Data):
    """A report without a readable meaning; no state allows it, so it is recorded as Contradicted."""

    max_bytes: ClassVar[int] = MAX_DATA_BYTES + 512

    report: str
    data: JsonObject = {}


def parse_report(type_: str, given: Mapping[str, Any]) -> Data:
    """Parses a report, and mends it if its fields are not valid; it may still be too large.

    Args:
        type_: The event type.
        given: The data as JSON.

    Returns:
        The data.

    Raises:
        UnknownEventTypeError: There is no such event type.
        InvalidFieldError: A personal value is where it cannot be encrypted.
    """
    try:
        return parse_data(type_, given)
    except UnknownEventTypeError:
        raise
    except InvalidFieldError:
        if not isinstance(given, Mapping):
            raise
        return _mended(type_, given)


def reported_type(report: Data) -> str:
    """Returns the type of the reported event, also of a report without a readable meaning."""
    return report.report if isinstance(report, Unreadable) else type(report).__name__


def with_fields(report: Data, given: JsonObject) -> Data:
    """Sets fields of a report's data.

    Args:
        report: The report.
        given: The fields as JSON.

    Returns:
        The report with the fields.

    Raises:
        InvalidFieldError: The event type does not accept a field.
    """
    if isinstance(report, Unreadable):
        return report.model_copy(update={"data": report.data | given})
    return parse_data(type(report).__name__, report.json_object() | given)


def mended(report: Data) -> Data:
    """Mends a parsed report that cannot be encoded; raises InvalidFieldError as `parse_report`."""
    fields = report.data if isinstance(report, Unreadable) else report.json_object()
    return _mended(reported_type(report), fields)


def encoded(report: Data) -> tuple[Data, bytes]:
    """Returns the report, mended if it cannot be encoded, and its canonical JSON."""
    try:
        return report, report.encode()
    except InvalidFieldError:
        report = mended(report)
        return report, report.encode()


def storable(fields: JsonObject) -> JsonObject:
    """Returns the object if it can be stored as part of an event; else a mended copy with its marks."""
    mender = Mender()
    kept: JsonObject = Shortener(mender).fit(mender.value(fields), MAX_MENDED_BYTES)
    return kept | _limited_marks(mender.marks)


def _mended(type_: str, given: Mapping[str, Any]) -> Data:
    mender = Mender()
    value = mender.value(given)
    assert isinstance(value, dict)
    before = value.pop(MARKS, [])
    fields = _Fields(mender, value)
    readable = fields.mend(type_)
    max_bytes = (
        MAX_MENDED_PERSONAL_BYTES
        if PERSONAL.encode() in canonical.encode(value)
        else MAX_MENDED_BYTES
    )
    value = Shortener(mender).fit(value, max_bytes)
    marks = _limited_marks([*(before if isinstance(before, list) else [before]), *mender.marks])
    try:
        if readable:
            data = parse_data(type_, value | marks)
            data.encode()
            return data
    except InvalidFieldError:
        pass
    return Unreadable.model_validate({"report": type_, "data": value} | marks)


def _limited_marks(marks: list[Any]) -> JsonObject:
    """Returns as many of the marks as fit."""
    kept = marks[:200]
    while size(kept) > MAX_MARKS_BYTES:
        kept = kept[: len(kept) * 3 // 4]
    if len(kept) < len(marks):
        kept.append({"path": "", "more": len(marks) - len(kept)})
    return {MARKS: kept} if kept else {}


class _Fields:
    """Mends the known fields of a report's data, in place."""

    def __init__(self, mender: Mender, fields: JsonObject) -> None:
        self._mender = mender
        self._data = fields

    def mend(self, type_: str) -> bool:
        """Mends the fields; returns whether the event still has a readable meaning."""
        readable = True
        if PLACED_KEY in self._data:  # It says where the ledger put a late report.
            self._move_to_mark(PLACED_KEY, self._data[PLACED_KEY])
        for name, info in EVENT_TYPES[type_].model_fields.items():
            alias = info.alias or name
            if name in self._data:
                self._data.setdefault(alias, self._data.pop(name))
            if alias in self._data:
                readable = self._mend(alias, self._data[alias], type_) and readable
        return readable

    def _mend(self, field: str, value: Any, type_: str) -> bool:
        match field:
            case "error":
                self._put(field, self._error(value))
            case "labels":
                return self._labels(value, type_)
            case "spec" | "output" | "policy" | "data" if not isinstance(value, dict):
                self._object(field, value)
            case "reason" | "note" | "report" | "state" if not isinstance(value, str | None):
                self._put(field, self._mender.as_text(value, field))
            case "parents" if not _are_names(value):
                self._move_to_mark(field, value)
            case "root" | "triggeredBy" if value is not None and not _is_name(value):
                self._move_to_mark(field, value)
            case "queuePosition":
                self._put(field, self._count(field, value))
            case "inferred" | "lost" if not isinstance(value, bool):
                self._move_to_mark(field, value)
        return True

    def _put(self, field: str, value: Any) -> None:
        self._data[field] = value

    def _move_to_mark(self, field: str, value: Any) -> None:
        """Removes the field, and keeps its value in a mark."""
        self._mender.mark_given(field, value)
        self._data.pop(field, None)

    def _object(self, field: str, value: Any) -> None:
        if value is None:
            self._data.pop(field)
            return
        self._mender.mark(field, wrapped=True)
        self._put(field, {"value": value})

    def _count(self, field: str, value: Any) -> int | None:
        """Returns a number from 0, also of a number in text; else None, and a mark keeps the value."""
        number = _whole_number(value)
        if number is not None and number < 0:
            number = None
        if number is not value:
            self._mender.mark_given(field, value)
        return number

    def _labels(self, value: Any, type_: str) -> bool:
        if not isinstance(value, dict):
            if value is not None:
                self._move_to_mark("labels", value)
            # Without any, the job's labels would be taken away.
            return type_ != "LabelsChanged" or value is None
        kept: dict[str, str] = {}
        for key, text in value.items():
            given = text if isinstance(text, str) else "" if text is None else _plain(text)
            name, accepted = labels.nearest(key, given)
            if (name, accepted) != (key, text):
                self._mender.mark_given(f"labels.{name}", {key: text})
            if name not in kept and len(kept) < labels.MAX_LABELS:
                kept[name] = accepted
            elif (name, accepted) == (key, text):
                self._mender.mark_given(f"labels.{name}", {key: text})
        self._put("labels", kept)
        return True

    def _error(self, error: Any) -> Any:
        """Returns a google.rpc.Status; an unknown code is kept as exitCode or reason."""
        match error:
            case None | str():
                return error
            case dict():
                message = error.get("message", "")
                if not isinstance(message, str):
                    message = (
                        "" if message is None else self._mender.as_text(message, "error.message")
                    )
                return {**error, "code": self._code(error.get("code", UNKNOWN)), "message": message}
            case int() if not isinstance(error, bool):
                return {"code": self._code(error), "message": ""}
        return self._mender.as_text(error, "error")

    def _code(self, given: Any) -> int:
        code = _code_of(given)
        if type(code) is int and 0 <= code < len(CODES):
            if code is not given:
                self._mender.mark_given("error.code", given)
            return code
        self._mender.mark_given("error.code", given)
        if type(code) is int:
            self._data.setdefault("exitCode", code)
        elif code is not None:
            self._data.setdefault("reason", code if isinstance(code, str) else _plain(code))
        return UNKNOWN


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_RELATIVE


def _are_names(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, list) and len(value) <= MAX_PARENTS and all(map(_is_name, value))


def _code_of(given: Any) -> Any:
    """Returns a code's number, also of a number in text or a name of google.rpc.Code."""
    number = _whole_number(given)
    if number is not None:
        return number
    name = given.upper().replace(" ", "_") if isinstance(given, str) else None
    return CODES.index(name) if name in CODES else given


def _whole_number(given: Any) -> int | None:
    """Returns an integer that JSON can represent, also of `5.0` and of a number in text; else None."""
    match given:
        case bool():
            return None
        case int():
            return given
        case float() if given.is_integer() and abs(given) <= canonical.MAX_INTEGER:
            return int(given)
        case str() if _WHOLE.fullmatch(given):
            return int(given)
    return None


def _plain(value: Any) -> str:
    """Returns JSON as text."""
    return canonical.encode_any(value).decode()
