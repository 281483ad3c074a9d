"""No report is refused for its content: invalid values are repaired, and the event lists the repairs."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jobledger.domain.errors import InvalidFieldError, UnknownEventTypeError
from jobledger.domain.events import EVENT_TYPES, parse_data, read_data
from jobledger.domain.job import Job, judge
from jobledger.domain.reports import (
    Unreadable,
    encoded,
    mended,
    parse_report,
    reported_type,
    storable,
)
from jobledger.domain.values import canonical
from jobledger.domain.values.mending import MARKS
from jobledger.infra import Ledger
from jobledger.infra.eventstore.attempts import with_attempt
from jobledger.infra.eventstore.write_path import Recorded, Report

NAME = "projects/p/jobs/a"
TEXT = st.text(st.characters())  # Halves of surrogate pairs and NUL, too.
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**53, 2**70)
    | st.floats()
    | TEXT
    | st.binary()
    | st.datetimes()
    | st.decimals()
    | st.just(object())
)
# Hypothesis throws away a value that has more leaves, which most would be if any list in a list could be long.
VALUE = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(SCALAR)
        | st.dictionaries(TEXT | st.integers(), inner, max_size=4)
        | st.sets(st.text())
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["error", "labels", "spec", "output", "reason", "queuePosition", "queue_position", "inferred", "policy",
     "data", "report", "state", "run", "exitCode", "worker", MARKS]
)  # fmt: skip
DATA = st.dictionaries(FIELDS | TEXT, VALUE, max_size=6)
TYPES = st.sampled_from(sorted(EVENT_TYPES))


def said(type_: str, data: Any) -> dict[str, Any]:
    """Returns the stored form of a report."""
    report, stored = encoded(parse_report(type_, data))
    read: dict[str, Any] = json.loads(stored)
    return read["data"] if isinstance(report, Unreadable) else read


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(TYPES, DATA)
def test_any_report_can_be_stored_and_read_again(type_: str, data: dict[str, Any]) -> None:
    report, stored = encoded(parse_report(type_, data))
    assert len(stored) <= report.max_bytes
    assert canonical.encode(canonical.decode(stored)) == stored
    if not isinstance(report, Unreadable):
        assert read_data(type_, report.schema_number, stored).encode() == stored


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(TYPES, DATA)
def test_a_report_that_can_be_stored_is_left_as_it_is(type_: str, data: dict[str, Any]) -> None:
    try:
        plain = parse_data(type_, data).encode()
    except (InvalidFieldError, UnknownEventTypeError):
        return
    assert encoded(parse_report(type_, data))[1] == plain


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(TYPES, DATA)
def test_repairing_a_report_is_deterministic_and_idempotent(
    type_: str, data: dict[str, Any]
) -> None:
    report, stored = encoded(parse_report(type_, data))
    assert encoded(parse_report(type_, data))[1] == stored
    again = Unreadable if isinstance(report, Unreadable) else type(report)
    assert again.model_validate(canonical.decode(stored)).encode() == stored


@given(st.integers())
@example(1546130668394913822)
@example(-(2**63))
@example(10**6000)
def test_an_integer_is_kept_exactly(number: int) -> None:
    kept = said("Started", {"id": number})
    if abs(number) < 2**53:
        assert kept == {"id": number}
    else:
        assert int(kept["id"], 0) == number
        assert kept[MARKS] == [{"path": "id", "asText": "integer"}]


@pytest.mark.slow
@given(TEXT)
@example("trace\0back")
@example("caf\udce9")
@example("\ud83d\ude00")
def test_a_text_is_kept_but_for_what_cannot_be_stored(text: str) -> None:
    kept = said("Failed", {"error": text})
    bad = sum(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)
    if not bad:
        assert kept["error"]["message"] == text
        return
    [mark] = kept[MARKS]
    assert mark["path"] in {"error", "error.message"}
    assert mark["replaced"] == bad
    if "given" in mark:
        assert json.loads(mark["given"]) == text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")  # fmt: skip
    else:
        assert mark["length"] == len(text)


@pytest.mark.slow
@pytest.mark.parametrize("size", [300_000, 256 * 1024, 3_000_000])
def test_a_traceback_is_shortened_with_its_length_and_digest(size: int) -> None:
    text = "Traceback (most recent call last):\n" + "ü" * (size // 2) + "\nValueError: the reason"
    kept = said("Failed", {"error": {"code": 13, "message": text}})
    message = kept["error"]["message"]
    assert message.startswith("Traceback (most")
    assert message.endswith("ValueError: the reason")
    assert kept["error"]["code"] == 13
    whole = {"length": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    assert kept[MARKS] == [{"path": "error.message", "truncated": whole}]


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.text(
            st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
            min_size=1,
            max_size=5,
        )
        | st.just("k" * 300_000),
        st.integers(1, 400_000).map(lambda n: "é\n" * n)
        | st.integers(1, 200_000).map(lambda n: [7] * n)
        | st.integers(1, 60_000).map(lambda n: {str(i): i for i in range(n)})
        | st.integers(1, 30).map(lambda n: [{"line": "x" * 20_000}] * n),
        min_size=1,
        max_size=6,
    )
)
def test_large_values_are_shortened_and_small_ones_kept(data: dict[str, Any]) -> None:
    report, stored = encoded(parse_report("Succeeded", {"output": data, "small": "stays"}))
    kept = json.loads(stored)
    assert len(stored) <= report.max_bytes
    assert kept["small"] == "stays"
    size = len(json.dumps({"output": data}, ensure_ascii=False).encode())
    assert (MARKS in kept) == (size > 256 * 1024) or abs(size - 256 * 1024) < 120_000


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        (137, {"error": {"code": 2, "message": "x"}, "exitCode": 137}),
        (271, {"error": {"code": 2, "message": "x"}, "exitCode": 271}),
        (-11, {"error": {"code": 2, "message": "x"}, "exitCode": -11}),
        ("137", {"error": {"code": 2, "message": "x"}, "exitCode": 137}),
        (137.0, {"error": {"code": 2, "message": "x"}, "exitCode": 137}),
        ("OOMKilled", {"error": {"code": 2, "message": "x"}, "reason": "OOMKilled"}),
        ("DEADLINE_EXCEEDED", {"error": {"code": 4, "message": "x"}}),
        ("unavailable", {"error": {"code": 14, "message": "x"}}),
        (None, {"error": {"code": 2, "message": "x"}}),
        ([1], {"error": {"code": 2, "message": "x"}, "reason": "[1]"}),
        (1e21, {"error": {"code": 2, "message": "x"}, "reason": "1e+21"}),
    ],
)
def test_an_unknown_error_code_is_kept_beside_googles(code: Any, kept: dict[str, Any]) -> None:
    stored = said("Failed", {"error": {"code": code, "message": "x"}})
    assert stored.pop(MARKS) == [{"path": "error.code", "given": code}]
    assert stored == kept


@pytest.mark.parametrize(
    ("type_", "field", "given"),
    [("Failed", "error", {"code": True, "message": "x"}), ("Failed", "error", {"code": "5", "message": "x"}),
     ("Failed", "error", {"code": 5.0, "message": "x"}), ("Queued", "queuePosition", "3"),
     ("Queued", "queuePosition", True), ("Started", "inferred", "yes"), ("Started", "inferred", 1)],
)  # fmt: skip
def test_an_interpreted_code_is_marked(type_: str, field: str, given: Any) -> None:
    report, _ = encoded(parse_report(type_, {field: given}))
    assert report.json_object()[MARKS]


def test_a_code_of_googles_is_not_marked() -> None:
    for code in range(17):
        assert said("Failed", {"error": {"code": code}}) == {"error": {"code": code, "message": ""}}


@pytest.mark.parametrize(
    ("type_", "data", "kept"),
    [
        ("Succeeded", {"output": "done"}, {"output": {"value": "done"}}),
        ("ConfigChanged", {"spec": [1]}, {"spec": {"value": [1]}}),
        ("Queued", {"queuePosition": "3"}, {"queuePosition": 3}),
        ("Queued", {"queue_position": -1}, {}),
        ("Queued", {"queuePosition": 1e300}, {}),
        ("Paused", {"reason": 5}, {"reason": "5"}),
        ("Failed", {"error": ValueError("boom")}, {"error": {"code": 2, "message": "boom"}}),
        ("Failed", {"error": 137}, {"error": {"code": 2, "message": ""}, "exitCode": 137}),
        ("Created", {"labels": {"Team": "A b"}}, {"labels": {"team": "A_b"}}),
        ("Started", {"at": datetime(2026, 1, 1, tzinfo=UTC)}, {"at": "2026-01-01T00:00:00+00:00"}),
        ("Started", {"x": b"caf\xe9"}, {"x": "caf\\xe9"}),
        ("Started", {"x": math.inf, "y": Decimal("1.5")}, {"x": "Infinity", "y": "1.5"}),
        ("Started", {7: "x"}, {"7": "x"}),
    ],
)
def test_fields_are_converted_to_the_nearest_valid_value(
    type_: str, data: dict[str, Any], kept: dict[str, Any]
) -> None:
    stored = said(type_, data)
    assert stored.pop(MARKS)
    assert stored == kept


def test_a_report_that_says_nothing_readable_is_kept_whole_as_contradicted() -> None:
    job = Job(name=NAME, state=4, version=3, labels={"a": "b"})
    [fact] = judge(parse_report("LabelsChanged", {"labels": ["a=b"]}), job)
    assert type(fact).__name__ == "Contradicted"
    kept = fact.json_object()["data"]
    assert kept["report"] == "LabelsChanged"
    assert kept[MARKS] == [{"path": "labels", "given": ["a=b"]}]


@pytest.mark.parametrize("type_", sorted(set(EVENT_TYPES) - {"Created"}))
def test_a_report_that_names_an_attempt_is_kept_whatever_else_it_says(type_: str) -> None:
    said = {field: object() for field in (*EVENT_TYPES[type_].model_fields, "x")}
    about: Any = {"attempt": 2, "run_id": "r"}
    named, rest = with_attempt(parse_report(type_, said), about)
    kept, stored = encoded(named)
    assert reported_type(kept) == type_
    assert b'"attempt":2' in stored
    assert rest == {}


def test_a_late_report_that_cannot_be_read_is_kept_as_contradicted(ledger: Ledger) -> None:
    ledger.create(NAME)
    begun = ledger.started(NAME)
    assert begun.create_time is not None
    for at in (begun.create_time, datetime.now(UTC)):
        unread = parse_report("RunStarted", {"run": "none"})
        assert isinstance(unread, Unreadable)
        kept = ledger.report(NAME, unread, occurred_time=at)
        assert [event.type for event in kept.events] == ["Contradicted"]


def test_nothing_personal_is_put_where_it_would_be_stored_in_the_clear() -> None:
    secret = {"@personal": {"subject": "user:ann", "value": "secret"}}
    for data in (
        {"reason": secret},
        {"queuePosition": secret},
        {
            "x\0": 1,
            "spec": {"deep": [secret]},
            "y": {secret["@personal"]["value"]},
            "labels": {"a": secret},
        },
    ):
        with pytest.raises(InvalidFieldError, match="unencrypted"):
            parse_report(
                "Paused" if "reason" in data else "Created" if "labels" in data else "Queued", data
            )
    report = mended(
        parse_data("Started", {"x": "\0", "who": {"@personal": {"subject": "s", "value": "a\0b"}}})
    )
    marks = report.json_object()[MARKS]
    assert marks == [
        {"path": "x", "replaced": 1, "given": '"\\u0000"'},
        {"path": "who.@personal.value", "replaced": 1},
    ]


class Detached:
    """An object that cannot be shown, as one of a session that is closed."""

    def __repr__(self) -> str:
        raise RuntimeError


def test_a_report_with_a_value_that_cannot_be_shown_is_kept(ledger: Ledger) -> None:
    ledger.create(NAME)
    ledger.started(NAME)
    output = ledger.succeeded(NAME, {"row": Detached()}).output
    assert output == {"row": "a Detached"}
    with pytest.raises(InvalidFieldError, match=r"spec.row is a Detached, a Detached; JSON has"):
        ledger.create(f"{NAME}2", spec={"row": Detached()})


def test_what_a_reporter_says_of_a_placement_places_nothing(ledger: Ledger) -> None:
    """An event that is copied from another ledger has that ledger's placement."""
    copied = {"@placed": {"after": 1, "latest": True}}
    ledger.create(NAME, occurred_time=datetime(2026, 6, 1, tzinfo=UTC))
    ledger.succeeded(NAME)
    kept = {MARKS: [{"path": "@placed", "given": copied["@placed"]}]}
    ledger.report(NAME, parse_data("Commented", copied))
    late = datetime(2026, 6, 2, tzinfo=UTC)
    ledger.started(NAME, {"worker": "w", **copied}, occurred_time=late)
    *_, commented, started = ledger.history(NAME)
    assert (commented.json, commented.placed_after) == (kept, None)
    placed = {"@placed": {"after": 1, "latest": False}}
    assert (started.json, started.placed_after) == ({"worker": "w", **kept, **placed}, 1)


def test_what_is_no_report_is_refused_by_itself(ledger: Ledger) -> None:
    ledger.create(NAME)
    given = [Report(NAME, data, {}) for data in ("Started", parse_data("Started", {}))]  # type: ignore[arg-type]
    refused, recorded = ledger.report_many(given)
    assert str(refused) == "request: 'Started' is neither a command nor a report"
    assert isinstance(recorded, Recorded)


def test_recursive_and_deep_values_become_text() -> None:
    loop: list[Any] = []
    loop.append(loop)
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    for value in (loop, deep):
        assert json.dumps(said("Started", {"x": value}))


def test_storable_marks_what_it_changes_within() -> None:
    kept = storable({"command": ["ls", "caf\udce9", "a" * 300_000]})
    assert [mark["path"] for mark in kept[MARKS]] == ["command[1]", "command[2]"]
    assert storable({"command": ["ls"]}) == {"command": ["ls"]}


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(error=VALUE, data=DATA)
@example(error="x" * 300_000, data={"caf\udce9": "\0"})
@example(error={"code": 137, "message": "OOMKilled"}, data={})
def test_any_failure_report_fails_the_job(ledger: Ledger, error: Any, data: dict[str, Any]) -> None:
    name = f"projects/p/jobs/j{ledger.size()}"
    further = {key: value for key, value in data.items() if key != "error"}
    ledger.create(name)
    ledger.failed(name, error, further)
    job = ledger.get(name)
    assert job.state is not None
    assert job.state.name == "FAILED"
    [written, again] = ledger.report_many(
        [Report(name, parse_report("Failed", {"error": error, **further}))] * 2
    )
    assert type(written) is type(again)
    assert ledger.history(name)[-1].type == "Contradicted"
    now = ledger.get(name)
    assert ledger.get(name, clock="occurred") == now
    assert (now.version, now.state, now.error) == (job.version + 2, job.state, job.error)


def test_personal_parts_are_encrypted_in_a_report_that_is_mended(ledger: Ledger) -> None:
    ledger.create(NAME)
    who = {"@personal": {"subject": "user:ann", "value": "x" * 220_000}}
    ledger.started(NAME, {"who": who, "n": 2**60})
    [_, event] = ledger.history(NAME)
    assert b"xxxx" not in event.stored
    shown = ledger.opened(event).json
    assert shown["who"].startswith("xxxx")
    assert shown["n"] == str(2**60)
    ledger.report_many([Report(NAME, parse_data("ProgressReported", {"who": who}))])
    assert b"xxxx" not in ledger.history(NAME)[-1].stored


def test_a_command_is_refused_and_says_which_integer_is_too_large(ledger: Ledger) -> None:
    with pytest.raises(
        InvalidFieldError, match=r"spec\.ids\[1\] is the integer 1546130668394913822"
    ):
        ledger.create(NAME, spec={"ids": [1, 1546130668394913822]})


@pytest.mark.slow
def test_a_request_that_is_repeated_is_mended_alike(ledger: Ledger) -> None:
    ledger.create(NAME)
    first = ledger.report(NAME, parse_report("Failed", {"error": "a\0" * 200_000}), request_id="r")
    again = ledger.report(NAME, parse_report("Failed", {"error": "a\0" * 200_000}), request_id="r")
    assert first.events == again.events
