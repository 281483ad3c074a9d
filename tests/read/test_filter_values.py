"""Values in filters: comparison and order by type; strings, wildcards and presence."""

from __future__ import annotations

import operator
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import encode_any, loads
from jobledger.domain.values.filter_text import quoted
from jobledger.domain.values.filters import Restriction, parse_filter
from jobledger.domain.values.times import read_instant
from jobledger.infra import Ledger
from jobledger.infra.read.lists.filter_sql import Rendering
from jobledger.infra.read.lists.json_values import (
    NUMBER,
    PLAIN_NUMBER,
    JsonField,
    compared,
    ordered,
)
from psycopg.sql import SQL

OPERATORS = {
    "=": operator.eq, "<>": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
ORDERED = {"<", "<=", ">", ">="}
ZONES = st.sampled_from(
    [UTC, timezone(timedelta(hours=2)), timezone(-timedelta(hours=7, minutes=30))]
)
TIMES = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=ZONES).map(  # noqa: DTZ001
    lambda time: time.isoformat().replace("+00:00", "Z")
)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
NEAR = st.sampled_from(
    ["9", "10", "10.0", "9.5", "-1", "007", "1e3", "abc", "true", "false", "", "9x", "2026-02-30T00:00:00Z",
     "2024-02-29T12:00:00Z", "2024-02-29T13:00:00+01:00", "2026-01-01T00:00:00.123456789Z", "[1]", "ü", "Z", "a"]
)  # fmt: skip
TEXTS = (
    NEAR
    | TIMES
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
)
VALUES = (
    NUMBERS
    | st.sampled_from([9, 10, 9.5, 1000, True, False])
    | TEXTS
    | st.lists(st.integers(0, 3), max_size=2)
)
LITERALS = TEXTS | NUMBERS.map(lambda number: encode_any(number).decode())


def meaning(value: Any, comparator: str, literal: str) -> bool | None:
    """Whether a value is in that relation to what a filter says; None: in none."""
    compare, is_order = OPERATORS[comparator], comparator in ORDERED
    number = Decimal(literal) if NUMBER.fullmatch(literal) else None
    match value:
        case bool():
            text = "true" if value else "false"
            return compare(text, literal) if not is_order or literal in {"true", "false"} else None
        case int() | float():
            exact = Decimal(encode_any(value).decode())
            if number is None:
                return None if is_order else comparator == "<>"
            return bool(compare(exact, number))
        case str():
            return bool(compare(*as_text(value, literal, number, is_order)))
    return None if is_order else bool(compare(encode_any(value).decode(), literal))


def as_text(value: str, literal: str, number: Decimal | None, is_order: bool) -> tuple[Any, Any]:
    times = read_instant(value), read_instant(literal)
    if None not in times:
        return times
    if number is not None and is_order and re.fullmatch(PLAIN_NUMBER, value, re.ASCII):
        return Decimal(value), number
    return value.encode(), literal.encode()


def answered(ledger: Ledger, value: Any, comparator: str, literal: str) -> bool | None:
    rendering = Rendering()
    field = JsonField(SQL("v"), SQL("(v #>> '{}')"))
    condition = compared(field, comparator, literal, rendering.parameter)
    document = rendering.parameter(encode_any(value).decode())
    statement = SQL("SELECT {} FROM (SELECT {}::json AS v) AS one").format(condition, document)
    with ledger.pool.connection() as connection:
        row = connection.execute(statement, rendering.parameters).fetchone()
    assert row is not None
    answer: bool | None = row[0]
    return answer


@pytest.mark.slow
@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(VALUES, st.sampled_from(sorted(OPERATORS)), LITERALS)
@example("2024-02-29T12:00:00Z", "=", "2024-02-29T13:00:00+01:00")
@example("9", "<", "10")
@example(10, "=", "10.0")
@example("10", "=", "10.0")
@example(1e300, ">", "1e299")
def test_the_server_compares_as_the_meaning_says(
    ledger: Ledger, value: Any, comparator: str, literal: str
) -> None:
    assert answered(ledger, value, comparator, literal) == meaning(value, comparator, literal)


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(NUMBERS | st.sampled_from(["2", "10", "9.5"]) | TEXTS, min_size=2, max_size=8))
def test_values_are_ordered_by_their_type(ledger: Ledger, values: list[Any]) -> None:
    keys = ordered(JsonField(SQL("v"), SQL("(v #>> '{}')")))
    order = SQL(", ").join(keys)
    statement = SQL("SELECT v::text FROM unnest(%s::json[]) AS v ORDER BY {}").format(order)
    with ledger.pool.connection() as connection:
        rows = connection.execute(statement, ([encode_any(v).decode() for v in values],)).fetchall()
    assert [place(loads(row[0])) for row in rows] == sorted(map(place, values))


def place(value: Any) -> tuple[int, Any, bytes]:
    text = encode_any(value).decode() if not isinstance(value, str) else value
    if not isinstance(value, str) or re.fullmatch(PLAIN_NUMBER, value, re.ASCII):
        return 0, Decimal(text), text.encode()
    if (time := read_instant(value)) is not None:
        return 1, time.timestamp(), text.encode()
    return 2, 0, text.encode()


@pytest.mark.slow
def test_numbers_in_a_ledger(ledger: Ledger) -> None:
    for value in (9, 10, 100, "9", "11", "abc", True, None):
        id_ = "null" if value is None else f"{type(value).__name__}_{value}"
        ledger.create(f"projects/p/jobs/{id_}", {"n": str(value).lower()}, {"n": value})

    def found(filter_: str, **expected: Any) -> list[str]:
        return [job.name[16:] for job in ledger.list(filter_, **expected)]

    for moment in (None, ledger.moment(), ledger.moment("now")):
        assert sorted(found("spec.n > 9", as_of=moment)) == [
            "int_10",
            "int_100",
            "str_11",
            "str_abc",
        ]
        assert found("spec.n = 10.0", as_of=moment) == ["int_10"]
        assert sorted(found("spec.n = 9", as_of=moment)) == ["int_9", "str_9"]
        assert found("spec.n = true", as_of=moment) == ["bool_True"]
        by = found("spec.n:*", order_by="spec.n", as_of=moment)
        assert by == ["int_9", "str_9", "int_10", "str_11", "int_100", "str_abc", "bool_True"]
        down = found("spec.n:*", order_by="spec.n desc", as_of=moment)
        assert down == by[::-1] or sorted(down) == sorted(by)
    assert sorted(found("labels.n >= 11")) == ["bool_True", "int_100", "null", "str_11", "str_abc"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ("spec.tags : nightly", ["list"]),
        ("spec.tags : night*", ["list"]),
        ("spec.tags : 9", ["list"]),
        ("spec.tags : true", ["list"]),
        ("spec.tags : weekly", ["text"]),
        ("spec.tags : lr", ["object"]),
        ("spec.tags : *", ["list", "object", "text"]),
        ("spec.tags = nightly", []),
        ("spec.tags : 0.1", []),
        ("NOT spec.tags : nightly", ["none", "object", "text"]),
        ("spec.tags.deep.more : x", []),
    ],
)
def test_a_colon_finds_an_item_of_a_list_and_a_key_of_an_object(
    ledger: Ledger, filter_: str, found: list[str]
) -> None:
    tags: dict[str, Any] = {"list": ["nightly", 9, True], "object": {"lr": 0.1}, "text": "weekly"}
    for name, value in tags.items():
        ledger.create(f"projects/p/jobs/{name}", spec={"tags": value})
    ledger.create("projects/p/jobs/none")
    jobs = ledger.list(filter_)
    assert sorted(job.name.rpartition("/")[2] for job in jobs) == found


def test_presence_of_a_key(ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/a", {"env": ""}, {"epochs": 1})
    ledger.create("projects/p/jobs/b", {"environment": "env"})
    for filter_ in (
        "labels:env",
        'labels:"env"',
        "label:env",
        "spec:epochs",
        "NOT labels:environment",
    ):
        assert [job.name[-1] for job in ledger.list(filter_)] == ["a"]
    assert ledger.list("labels:team") == []
    with pytest.raises(InvalidFieldError, match="labels has keys"):
        ledger.list("labels = env")


STARRED = st.text("*\\a\"'\nü\t\u2028", min_size=1, max_size=6)


@given(STARRED)
@example("*")
@example("**")
@example("a\\*")
@example('first line\nsecond "line"\t\\')
def test_a_quoted_text_is_compared_literally(text: str) -> None:
    tree = parse_filter(f"error_message = {quoted(text)}")
    assert isinstance(tree, Restriction)
    assert (tree.value, tree.wildcards, tree.is_presence) == (text, (False, False), False)
    assert "\n" not in quoted(text)


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(STARRED, STARRED)
def test_asterisks_are_wild_only_where_they_are_bare(ledger: Ledger, text: str, other: str) -> None:
    rows = []
    for filter_ in (
        f"spec.x = {quoted(text)}",
        f'spec.x = {quoted(text)[:-1]}*"',
        f'spec.x : "*{quoted(text)[1:]}',
    ):
        rendering = Rendering()
        condition = rendering.condition(parse_filter(filter_))
        spec = rendering.parameter(orjson.dumps({"x": other}).decode())
        with ledger.pool.connection() as connection:
            statement = SQL("SELECT {} FROM (SELECT {}::json AS spec) AS jobs").format(
                condition, spec
            )
            row = connection.execute(statement, rendering.parameters).fetchone()
        assert row is not None
        rows.append(row[0])
    assert rows == [other == text, other.startswith(text), other.endswith(text)]


@pytest.mark.parametrize(
    ("filter_", "value", "wildcards"),
    [
        (r'name = "\*"', "*", (False, False)),
        (r'name = "a\*"', "a*", (False, False)),
        (r'name = "\*a*"', "*a*", (False, True)),
        (r'name = "a\\*"', "a\\*", (False, True)),
        (r"name = '\*\*'", "**", (False, False)),
        ("name = *a*", "*a*", (True, True)),
        ("name = *", "*", (True, False)),
        (r'name = "line\nline \u00fc\q"', "line\nline üq", (False, False)),
        (
            'name = "(((((((((((((((((((((((((((((((((((((((((((((((((((((((("',
            "(" * 56,
            (False, False),
        ),
    ],
)
def test_escapes_in_strings(filter_: str, value: str, wildcards: tuple[bool, bool]) -> None:
    tree = parse_filter(filter_)
    assert isinstance(tree, Restriction)
    assert (tree.value, tree.wildcards) == (value, wildcards)


@pytest.mark.parametrize(
    ("filter_", "hint"),
    [
        ("create_time > 2024-01-01T00:00:00Z", 'in quotes: "2024-01-01T00:00:00Z"'),
        ("state = FAILED and labels.team = a", "AND is written in capitals"),
        ("state = FAILED or state = RUNNING", "OR is written in capitals"),
    ],
)
def test_a_filter_with_a_common_mistake_suggests_the_right_form(filter_: str, hint: str) -> None:
    with pytest.raises(InvalidFieldError, match=hint):
        parse_filter(filter_)


def test_a_state_in_lower_case_suggests_the_name(ledger: Ledger) -> None:
    with pytest.raises(InvalidFieldError, match="write FAILED"):
        ledger.list("state = failed")


def test_a_message_is_found_by_its_digest(ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/a")
    ledger.failed("projects/p/jobs/a", "x")
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    assert len(ledger.list(f"error_message.sha256 = {digest}")) == 1
