"""Stored events stay readable: canonical bytes, stable names, schemas that are upcast."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from jobledger.domain.data import PLACED, Status, parse
from jobledger.domain.errors import DataTooLargeError, InvalidFieldError, UnknownEventTypeError
from jobledger.domain.events import (
    EVENT_TYPES,
    Created,
    Failed,
    Placement,
    Started,
    parse_data,
    place,
    placement_of,
    read_data,
)
from jobledger.domain.values import canonical

from tests.checkout import TESTS

GOLDEN = TESTS / "domain/golden_events.jsonl"
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | TEXT
    | st.floats(allow_nan=False, allow_infinity=False)
)
# Hypothesis throws away a value that has more leaves, which most would be if any list in a list could be long.
JSON = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(SCALAR)
        | st.dictionaries(TEXT, inner, max_size=4)
        | st.dictionaries(TEXT, SCALAR)
    ),
    max_leaves=20,
)


def golden() -> list[dict[str, Any]]:
    return [json.loads(line) for line in GOLDEN.read_text().splitlines()]


def test_there_is_a_golden_event_of_every_type() -> None:
    assert [event["type"] for event in golden() if event["schema"] == 1] == list(EVENT_TYPES)
    newest = {event["type"]: event["schema"] for event in golden()}
    assert newest == {type_: cls.schema_number for type_, cls in EVENT_TYPES.items()}


@pytest.mark.slow
@pytest.mark.parametrize("event", golden(), ids=lambda event: f"{event['type']}{event['schema']}")
def test_an_event_stored_long_ago_is_read_and_would_be_stored_the_same(
    event: dict[str, Any],
) -> None:
    data = read_data(event["type"], event["schema"], event["data"].encode())

    assert repr(data) == event["reads"]
    if event["schema"] == type(data).schema_number:
        assert data.encode().decode() == event["data"]


def test_data_of_older_schemas_is_upcast_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Started, "schema_number", 3)
    upcasters = {
        ("Started", 1): lambda data: {"node": data["host"]},
        ("Started", 2): lambda data: {"worker": f"{data['node']}/0"},
    }

    assert read_data("Started", 1, b'{"host":"n1"}', upcasters).json_object() == {"worker": "n1/0"}
    assert read_data("Started", 2, b'{"node":"n1"}', upcasters).json_object() == {"worker": "n1/0"}
    assert read_data("Started", 3, b'{"worker":"w"}', upcasters).json_object() == {"worker": "w"}


def test_a_schema_of_the_future_is_refused() -> None:
    with pytest.raises(UnknownEventTypeError, match=r"schema 4"):
        read_data("Started", 4, b"{}")


def test_fields_of_an_older_schema_get_no_later_meaning() -> None:
    stored = b'{"attempt":"7/a","attemptsBegun":5,"inferred":"x","runId":[1],"worker":"w"}'

    for type_, aside in (
        ("Started", {"inferred": "x"}),
        ("Queued", {}),
        ("Preparing", {}),
        ("Retried", {}),
    ):
        data = read_data(type_, 1, stored)
        assert data == parse_data(type_, {
            "worker": "w", "attempt": "7/a", "ofSchema1": {"attemptsBegun": 5, "runId": [1]} | aside,
            **({} if aside else {"inferred": "x"}),
        })  # fmt: skip


@pytest.mark.slow
@given(st.dictionaries(TEXT, JSON))
def test_bytes_are_those_of_rfc_8785(value: dict[str, Any]) -> None:
    assert canonical.encode(value) == rfc8785.dumps(value)
    assert canonical.decode(canonical.encode(value)) == value


@pytest.mark.slow
@pytest.mark.parametrize(
    "characters",
    [
        range(1, 0xD800),
        [*range(0xD000, 0xD800), *range(0xE000, 0x10000)],
        [*range(0xD000, 0xD800), *range(0x10000, 0x12000)],
        [*range(0xF000, 0x10000), *range(0x10000, 0x12000)],
    ],
    ids=["up to U+D7FF", "from U+E000", "beyond U+FFFF", "both"],
)
def test_characters_are_written_and_sorted_as_rfc_8785_says(characters: Iterable[int]) -> None:
    texts = [chr(number) for number in characters]
    for value in ({"é": "".join(texts)}, dict.fromkeys(reversed(texts), 1)):
        assert canonical.encode(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ({"b": 1, "a": "x"}, b'{"a":"x","b":1}'),
        ({"n": [1.0, 1e21, 1e-7, 333333333.33333329]}, b'{"n":[1,1e+21,1e-7,333333333.3333333]}'),
        ({"\ufb33": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ufb33":1}'.encode()),
        ({"s": "1.5:2.5 [3.5"}, b'{"s":"1.5:2.5 [3.5"}'),
        (
            {"s": "\\u0000 is a backslash and five more"},
            b'{"s":"\\\\u0000 is a backslash and five more"}',
        ),
    ],
)
def test_numbers_and_keys_are_written_as_ecmascript_would(
    value: dict[str, Any], encoded: bytes
) -> None:
    assert canonical.encode(value) == encoded


@pytest.mark.parametrize(
    "value",
    [
        {"x": "a\0b"},
        {"x\0": 1},
        {"x": 2**53},
        {"x": float("nan")},
        {"x": {1: 2}},
        {"x": "\ud800"},
        {"x": object()},
        {"x": b"bytes"},
    ],
)
def test_values_outside_json_are_refused(value: dict[str, Any]) -> None:
    with pytest.raises(InvalidFieldError):
        canonical.encode(value)


def test_data_ends_at_256_kib() -> None:
    room = 256 * 1024 - len('{"worker":""}')
    assert len(parse_data("Started", {"worker": "x" * room}).encode()) == 256 * 1024
    with pytest.raises(DataTooLargeError) as caught:
        parse_data("Started", {"worker": "x" * (room + 1)}).encode()
    assert (caught.value.size, caught.value.limit) == (256 * 1024 + 1, 256 * 1024)


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(UnknownEventTypeError, match="'Exploded'"):
        parse_data("Exploded", {})


@pytest.mark.parametrize(
    ("type_", "data", "field"),
    [
        ("Failed", {"error": {"code": 99, "message": ""}}, "data.error.code"),
        ("Failed", {"error": 7}, "data.error"),
        ("Queued", {"queuePosition": -1}, "data.queuePosition"),
        ("Queued", {"queuePosition": "first"}, "data.queuePosition"),
        ("Succeeded", {"output": "text"}, "data.output"),
        ("Created", {"labels": {"Team": "a"}}, "labels"),
        ("Created", {"labels": ["a"]}, "data.labels"),
    ],
)
def test_a_wrong_field_is_named(type_: str, data: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        parse_data(type_, data)
    assert caught.value.field == field


def test_unknown_fields_are_kept_and_defaults_are_not_stored() -> None:
    assert parse_data("Started", {"worker": "w", "gpu": 2}).encode() == b'{"gpu":2,"worker":"w"}'
    assert Created(labels={}, spec={}).encode() == b"{}"
    assert (
        parse_data("Failed", {"error": "boom"}).encode() == b'{"error":{"code":2,"message":"boom"}}'
    )
    assert parse_data("Failed", {"error": {"message": "m", "details": [1]}}) == Failed(
        error={"code": 2, "message": "m", "details": [1]}  # type: ignore[arg-type]
    )


def test_a_placed_event_is_stored_under_a_schema_of_its_own() -> None:
    placement = Placement(after=3, latest=True)
    placed = place(Started(worker="w"), placement)
    assert (placed.schema_number, type(placed).__name__) == (PLACED + 3, "Started")
    assert placed.json_object() == {"worker": "w", "@placed": {"after": 3, "latest": True}}
    assert placement_of(placed) == placement
    assert placement_of(Started()) is None
    stored = placed.encode()
    assert read_data("Started", placed.schema_number, stored) == placed
    assert read_data("Started", PLACED + 1, stored) == placed
    assert placed.max_bytes == Started.max_bytes + 1024
    # A field of that name is a further field of its reporter.
    further = parse_data("Started", {"placed": 7})
    assert place(further, placement).json_object()["placed"] == 7


def test_a_report_cannot_place_itself() -> None:
    with pytest.raises(InvalidFieldError) as caught:
        place(parse_data("Started", {"@placed": 1}), Placement(after=1))
    assert (caught.value.field, caught.value.why) == (
        "data.@placed", "is reserved; give the field another name",
    )  # fmt: skip


def test_invalid_stored_data_is_reported_with_its_field_or_type() -> None:
    with pytest.raises(InvalidFieldError) as caught:
        read_data("Queued", 2, b'{"queuePosition":"first"}')
    assert caught.value.field == "data.queuePosition"
    for type_, schema, shown in (
        ("Exploded", 1, "'Exploded'"),
        ("Exploded", PLACED + 1, "'Exploded'"),
        ("Started", PLACED, "'Started (schema 100)'"),
        ("Started", PLACED + 4, "'Started (schema 104)'"),
    ):
        with pytest.raises(UnknownEventTypeError) as unknown:
            read_data(type_, schema, b"{}")
        assert str(unknown.value) == f"type: unknown event type {shown}"


def test_times_of_runs_are_in_utc() -> None:
    for time in ("2026-06-01T10:00:00Z", "2026-06-01T10:00:00+00:00"):
        assert (
            parse_data("RunStarted", {"run": 1, "runTime": time}).json_object()["runTime"] == time
        )
    for time in ("2026-06-01T10:00:00+02:00", "2026-06-01T10:00:00"):
        with pytest.raises(InvalidFieldError) as caught:
            parse_data("RunStarted", {"run": 1, "runTime": time})
        assert (caught.value.field, caught.value.why) == (
            "data.runTime", "is not a time in UTC",
        )  # fmt: skip


def test_a_run_id_may_be_a_number_and_nothing_else_is_made_a_text() -> None:
    ids: list[tuple[object, str | None]] = [(7, "7"), (0, "0"), ("r", "r"), (None, None)]
    others: list[object] = [True, 7.5, [7], ""]
    for given_, kept in ids:
        data = parse_data("Started", {"runId": given_})
        assert isinstance(data, Started)
        assert data.run_id == kept
    for other in others:
        with pytest.raises(InvalidFieldError) as caught:
            parse_data("Started", {"runId": other})
        assert caught.value.field.startswith("data.runId")


def test_an_error_needs_neither_a_code_nor_a_message() -> None:
    for error, code, message in (
        ("lost", 2, "lost"),
        ({"message": "lost"}, 2, "lost"),
        ({"code": 14}, 14, ""),
        ({}, 2, ""),
    ):
        data = parse_data("Failed", {"error": error})
        assert isinstance(data, Failed)
        assert data.error is not None
        assert (data.error.code, data.error.message) == (code, message)


def test_a_wrong_field_is_named_by_its_path_alone_where_no_prefix_is_given() -> None:
    for given_, field in (({"code": 17, "message": ""}, "code"), ({"code": 1}, "message")):
        with pytest.raises(InvalidFieldError) as caught:
            parse(Status, given_)
        assert caught.value.field == field
