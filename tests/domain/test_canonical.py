"""Canonical JSON: refused values with reasons, and parsing of foreign text."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import MAX_INTEGER
from jobledger.domain.values.times import read_instant

LARGE = MAX_INTEGER + 1
ONLY = f"and JSON numbers are exact up to {MAX_INTEGER} (2^53 - 1) only: write it as a string"


def nested(depth: int) -> Any:
    value: Any = LARGE
    for _ in range(depth):
        value = [value]
    return value


def keyed(depth: int) -> Any:
    value: Any = LARGE
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (LARGE, f"it is the integer {LARGE}, {ONLY}"),
        ({"a": -LARGE}, f"a is the integer {-LARGE}, {ONLY}"),
        ({"a": MAX_INTEGER, "b": True, "c": LARGE}, f"c is the integer {LARGE}, {ONLY}"),
        ({"a": {"b": [0, {"c": LARGE}]}}, f"a.b[1].c is the integer {LARGE}, {ONLY}"),
        ([1, (2, LARGE)], f"[1][1] is the integer {LARGE}, {ONLY}"),
        ({"a": 2**299 - 1}, f"a is the integer {2**299 - 1}, {ONLY}"),
        ({"a": 2**299}, f"a is the integer of 300 bits, {ONLY}"),
        ({"a": 2**20_000}, f"a is the integer of 20001 bits, {ONLY}"),
        (keyed(100), f"{'.'.join('a' * 100)} is the integer {LARGE}, {ONLY}"),
        (nested(100), f"{'[0]' * 100} is the integer {LARGE}, {ONLY}"),
    ],
)
def test_an_integer_that_is_too_large_is_named(value: Any, why: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        canonical.encode_any(value)
    assert (caught.value.field, caught.value.why) == ("data", why)


@pytest.mark.parametrize(
    "value", [{"a": float("nan")}, [float("inf")], {"a": object()}, nested(101), keyed(101)]
)
def test_other_values_that_are_not_json_are_refused(value: Any) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        canonical.encode_any(value)
    assert caught.value.field == "data"
    assert caught.value.why.startswith("is not JSON: ")
    assert caught.value.why != "is not JSON: None"


def test_lists_and_texts_have_canonical_bytes_too() -> None:
    for value, encoded in (
        ([1e21, 0.5], b"[1e+21,0.5]"),
        ("\u00fc", '"\u00fc"'.encode()),
        ([], b"[]"),
        (1.0, b"1"), (-0.0, b"0"), (1e21, b"1e+21"), (1e-7, b"1e-7"), (0.1, b"0.1"), (7, b"7"), (None, b"null"),
    ):  # fmt: skip
        assert canonical.encode_any(value) == encoded


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_bare_number_outside_json_is_refused(value: float) -> None:
    with pytest.raises(InvalidFieldError, match="is not JSON"):
        canonical.encode_any(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_bare_number_has_the_bytes_that_it_has_in_a_list(number: float) -> None:
    assert b"[" + canonical.encode_any(number) + b"]" == canonical.encode_any([number])


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ({}, b"{}"),
        ({"b": 1, "a": None}, b'{"a":null,"b":1}'),
        ({"a": MAX_INTEGER, "b": -MAX_INTEGER}, b'{"a":9007199254740991,"b":-9007199254740991}'),
        ({"a": 1e21, "b": 0.1, "c": -0.0}, b'{"a":1e+21,"b":0.1,"c":0}'),
        ({"ü": "\\u0000"}, '{"ü":"\\\\u0000"}'.encode()),
        ({"a": "\\u0000"}, b'{"a":"\\\\u0000"}'),
    ],
)
def test_the_bytes_of_a_value(value: dict[str, Any], encoded: bytes) -> None:
    assert canonical.encode(value) == encoded
    assert canonical.encode_any(value) == encoded


def test_a_nul_is_refused_wherever_it_is() -> None:
    for value in ({"a": "\0"}, {"\0": 1}, {"a": ["\\\0"]}, {"ü": "\0"}):
        with pytest.raises(InvalidFieldError) as caught:
            canonical.encode(value)
        assert (caught.value.field, caught.value.why) == (
            "data",
            "has a NUL character, which cannot be stored; remove it",
        )


READERS: list[Callable[[bytes], Any]] = [canonical.decode, canonical.decode_given]


@pytest.mark.parametrize("read", READERS)
def test_data_is_an_object_or_refused(read: Callable[[bytes], Any]) -> None:
    assert read(b'{"a":[1,2.5,null]}') == {"a": [1, 2.5, None]}
    for data, why in ((b"[]", "but a list"), (b"7", "but a number")):
        with pytest.raises(InvalidFieldError) as caught:
            read(data)
        assert caught.value.field == "data"
        assert caught.value.why == f"is not a JSON object, {why}"
    for data in (b"", b"{", b'{"a":}', b"\xff"):
        with pytest.raises(InvalidFieldError) as caught:
            read(data)
        assert caught.value.field == "data"
        assert caught.value.why.startswith("is not JSON: ")


@example(number=MAX_INTEGER, as_text=True)
@example(number=-MAX_INTEGER, as_text=False)
@example(number=MAX_INTEGER - 1, as_text=False)
@example(number=MAX_INTEGER + 1, as_text=True)
@given(st.integers(-(10**30), 10**30), st.booleans())
def test_large_integers_are_exact_as_they_are_given_and_doubles_as_they_are_stored(
    number: int, as_text: bool
) -> None:
    text = json.dumps({"a": [number], "b": number}, separators=(",", ":"))
    data = text if as_text else text.encode()
    assert (
        canonical.loads_given(data) == canonical.loads_exact(data) == {"a": [number], "b": number}
    )
    stored = canonical.loads(data)
    is_exact = abs(number) <= MAX_INTEGER
    assert stored["b"] == (number if is_exact else float(number))
    assert type(stored["b"]) is (int if is_exact else float)


def test_json_that_others_write_is_read_though_it_cannot_be_stored() -> None:
    assert canonical.loads_given('{"a":"\\ud800"}') == {"a": "\ud800"}
    assert canonical.loads_given('{"a":Infinity}') == {"a": float("inf")}
    for read in (canonical.loads_given, canonical.loads_exact):
        assert read('{"a":1}') == read(b'{"a":1}') == {"a": 1}
    with pytest.raises(ValueError, match=r"^it nests too deep$"):
        canonical.loads_given("[" * 100_000)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-06-01T10:00:00Z", datetime(2026, 6, 1, 10, tzinfo=UTC)),
        ("2026-06-01T10:00:00.1234569+02:00", datetime(2026, 6, 1, 8, 0, 0, 123_456, tzinfo=UTC)),
        ("2024-02-29T23:59:59-01:00", datetime(2024, 3, 1, 0, 59, 59, tzinfo=UTC)),
        ("2026-02-29T10:00:00Z", None),
        ("2026-06-01T10:00:00", None),
        ("2026-06-01", None),
        ("2026-06-01T24:00:00Z", None),
        ("2026-06-01T10:00:00Z\n", None),
        ("\u0662026-06-01T10:00:00Z", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
    ],
)
def test_an_instant_has_a_zone_and_is_on_the_calendar(text: str, time: datetime | None) -> None:
    found = read_instant(text)
    assert found == time
    assert found is None or found.tzinfo is UTC
