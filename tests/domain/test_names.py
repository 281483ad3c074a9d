"""Accepted names, labels, times, actors and trace parents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values import names
from jobledger.domain.values.names import (
    kind_of,
    parse_labels,
    parse_name,
    parse_text,
    parse_time,
    parse_trace_parent,
    project_of,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "project", "kind"),
    [
        ("projects/p/jobs/train_1", "p", "jobs"),
        ("projects/p/locations/us-central1/customJobs/42", "p", "customJobs"),
        ("projects/my-project.x/evaluationJobs/7", "my-project.x", "evaluationJobs"),
    ],
)
def test_resource_names_say_project_and_kind(name: str, project: str, kind: str) -> None:
    assert (project_of(parse_name(name)), kind_of(name)) == (project, kind)


@pytest.mark.parametrize(
    "name",
    ["", "train", "projects/p", "projects//jobs/x", "projects/p/jobs/", "projects/p/jobs/x/",
     "projects/p/jobs/a b", "projects/p/jobs/ü", "projects/p/Jobs/x", "projects/p/jobs/x\n",
     "projects/p/jobs/x\0", "/projects/p/jobs/x", "projects/p/jobs/" + "x" * 2_049, None, 7],
)  # fmt: skip
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        parse_name(name)
    assert caught.value.field == "name"


def test_labels_may_be_of_any_script() -> None:
    labels = {"team": "", "größe": "7_b-c", "チーム": "検索", "a" * 64: "b" * 64}
    assert parse_labels(labels) == labels


@pytest.mark.parametrize(
    "labels",
    [{"Team": "a"}, {"": "a"}, {"1a": "b"}, {"a": "b c"}, {"a": "b" * 65}, {"a": ".b"},
     {"a" * 65: "b"}, {"a": 7}, {"a": "b\0"}, {f"k{n}": "" for n in range(65)}],
)  # fmt: skip
def test_other_labels_are_refused(labels: dict[str, str]) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        parse_labels(labels)
    assert caught.value.field == "labels"


def test_times_come_out_in_utc() -> None:
    given = datetime(2026, 5, 31, 12, tzinfo=timezone(timedelta(hours=2)))
    assert parse_time(given, NOW) == given
    assert parse_time(given, NOW).tzinfo is UTC


@pytest.mark.parametrize(
    "time",
    [datetime(2026, 5, 31), datetime(1969, 12, 31, tzinfo=UTC),  # noqa: DTZ001
     NOW + timedelta(days=1, microseconds=1), datetime(9999, 1, 1, tzinfo=UTC), "2026-05-31"],
)  # fmt: skip
def test_times_without_a_zone_or_beyond_reason_are_refused(time: datetime) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        parse_time(time, NOW)
    assert caught.value.field == "occurred_time"


def test_short_texts_are_printable() -> None:
    assert parse_text("actor", None) is None
    assert parse_text("actor", "ana@example.com") == "ana@example.com"
    for text in ("", "a\0", "a\nb", "x" * 257, 7):
        with pytest.raises(InvalidFieldError):
            parse_text("actor", text)  # type: ignore[arg-type]


def test_trace_parents_are_those_of_the_w3c() -> None:
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert parse_trace_parent(parent) == parent
    with pytest.raises(InvalidFieldError):
        parse_trace_parent(parent.upper())


@pytest.mark.parametrize(
    "name", ["projects/example.com:p/jobs/a", "projects/p/locations/us west/customJobs/1"]
)
def test_a_refused_project_or_location_is_told_from_a_wrong_form(name: str) -> None:
    with pytest.raises(
        InvalidFieldError, match="is of a project or location with other characters"
    ):
        parse_name(name)


SHOWN = [
    ("x y", "'x y'"),
    ("y" * 76 + " !", repr("y" * 76 + " !")),
    ("y" * 77 + " !", "'" + "y" * 76 + "..."),
]
"""Values, and how a message shows them: 80 characters at most."""


@pytest.mark.parametrize(("value", "shown"), SHOWN)
def test_a_refusal_shows_the_value(value: str, shown: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        parse_name(value)
    assert caught.value.why == f"{shown} is not of the form projects/PROJECT/jobs/ID (AIP-122)"
    with pytest.raises(InvalidFieldError) as caught:
        parse_trace_parent(value)
    assert (caught.value.field, caught.value.why) == (
        "trace_parent", f"{shown} is not a W3C traceparent, such as 00-{'0' * 31}1-{'0' * 15}1-01",
    )  # fmt: skip
    with pytest.raises(InvalidFieldError) as caught:
        parse_text("actor", f"{value}\0"[-200:])
    assert caught.value.field == "actor"
    assert caught.value.why.endswith(" is not 1 to 256 printable characters")


def test_texts_of_the_shortest_and_the_longest_length_are_taken() -> None:
    for length in (1, 256):
        assert parse_text("actor", "x" * length) == "x" * length
    with pytest.raises(InvalidFieldError) as caught:
        parse_text("request_id", "")
    assert (caught.value.field, caught.value.why) == (
        "request_id", "'' is not 1 to 256 printable characters",
    )  # fmt: skip


def test_times_are_refused_with_the_field_and_the_limit() -> None:
    given: list[tuple[Any, str]] = [
        ("2026-05-31T00:00:00Z", "must be a datetime, not '2026-05-31T00:00:00Z'"),
        (
            datetime(2026, 5, 31),  # noqa: DTZ001 - it is what is refused
            "2026-05-31 00:00:00 has no time zone; add an offset, such as Z or +02:00",
        ),
        (
            datetime(1969, 12, 31, tzinfo=UTC),
            "1969-12-31T00:00:00+00:00 is before 1970-01-01, the earliest time",
        ),
        (
            datetime(2026, 6, 3, tzinfo=UTC),
            "2026-06-03T00:00:00+00:00 is more than a day ahead of now, " + NOW.isoformat(),
        ),
    ]
    for time, why in given:
        with pytest.raises(InvalidFieldError) as caught:
            parse_time(time, NOW, "at")
        assert (caught.value.field, caught.value.why) == ("at", why)
    for time in (datetime(1970, 1, 1, tzinfo=UTC), NOW + timedelta(days=1)):
        assert parse_time(time, NOW) == time


def test_a_name_that_is_refused_is_not_kept_in_memory() -> None:
    kept = names._parsed_name.cache_info().currsize
    for number in range(3):
        with pytest.raises(InvalidFieldError):
            names.parse_name("x" * 1_000_000 + str(number))
    assert names._parsed_name.cache_info().currsize == kept
