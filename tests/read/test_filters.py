"""Filters of jobs: `ever`, unsupported filters, and that no filter becomes SQL text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra import Ledger

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("filter_", "ids"),
    [
        ("ever(state = PAUSED)", ["b"]),
        ("ever(error.code = 15)", ["a"]),
        ("NOT ever(state = RUNNING)", ["c"]),
        ("ever(state = FAILED) AND state = SUCCEEDED", ["a"]),
        ("ever(labels.team = x)", ["b", "c"]),
        ("ever(labels.team = x AND state = RUNNING)", ["b"]),
        ("ever(attempt = 2)", ["a"]),
        ("ever(error.code = 1 OR state = PAUSED)", ["b"]),
    ],
)  # fmt: skip
def test_ever_finds_jobs_that_once_matched(ledger: Ledger, filter_: str, ids: list[str]) -> None:
    for n, id_ in enumerate("abc"):
        ledger.create(
            f"projects/p/jobs/{id_}",
            {"team": "x"} if id_ in "bc" else {},
            occurred_time=AT - timedelta(hours=n + 1),
        )
    ledger.started("projects/p/jobs/a", occurred_time=AT)
    ledger.failed("projects/p/jobs/a", {"code": 15, "message": "lost"}, occurred_time=AT)
    ledger.retry("projects/p/jobs/a", occurred_time=AT)
    ledger.succeeded("projects/p/jobs/a", occurred_time=AT)
    ledger.started("projects/p/jobs/b", occurred_time=AT)
    ledger.paused("projects/p/jobs/b", occurred_time=AT + timedelta(seconds=1))
    ledger.change_labels("projects/p/jobs/b", {}, occurred_time=AT + timedelta(seconds=2))
    for moment in (None, ledger.moment(), ledger.moment("now")):
        assert [job.name[-1] for job in ledger.list(filter_, as_of=moment)] == ids
    assert ledger.list("ever(state = PAUSED)", as_of=AT) == []
    assert ledger.list("ever(attempt = 2)", as_of="@4") == []
    with pytest.raises(InvalidFieldError, match="cannot contain ever"):
        ledger.list("ever(ever(state = PAUSED))")


def test_a_field_with_any_key_is_found(ledger: Ledger) -> None:
    ledger.create("projects/p/jobs/a", {"team": "x"}, {"epochs": 9}, occurred_time=AT)
    ledger.create("projects/p/jobs/b", occurred_time=AT)
    for moment in (None, "@2", "now"):
        for filter_ in ("labels:*", "label:*", "spec:*", "NOT output = *", "ever(labels:*)"):
            found = sorted(job.name[-1] for job in ledger.list(filter_, as_of=moment))
            assert found == (["a", "b"] if "output" in filter_ else ["a"]), filter_


@pytest.mark.slow
@pytest.mark.parametrize(
    ("filter_", "sentence"),
    [
        ("state = RUNNING AND", "cannot be read at its end: '\\(' or a word was expected"),
        ("state ! RUNNING", "at column 7: a comparison was expected"),
        ("colour = red", "there is no field 'colour'; it is one of .*, labels.KEY, spec.PATH, output.PATH"),
        ("label = red", "did you mean labels.KEY"),
        ("labels = red", "labels has keys: name one, such as labels.KEY"),
        ("create_time > yesterday", "is compared with an RFC 3339 time, not with 'yesterday'"),
        ("attempt = many", "attempt is compared with a number, not with 'many'"),
        ("(" * 1000 + "state = RUNNING" + ")" * 1000, "has 1000 nested parentheses"),
        ("name = " + "x" * 1_000_000, "has 1000007 characters; the limit is 65536"),
        ("(" * 2000, "has 2000 nested parentheses"),
    ],
)  # fmt: skip
def test_an_unsupported_filter_is_refused_with_the_reason(
    ledger: Ledger, filter_: str, sentence: str
) -> None:
    for moment in (None, AT):
        with pytest.raises(InvalidFieldError, match=sentence) as caught:
            ledger.list(filter_, as_of=moment)
        assert caught.value.field == "filter"
        assert len(str(caught.value)) < 300


@pytest.mark.slow
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.text(max_size=40)
    | st.builds(
        "{}{} {} {}".format,
        st.sampled_from(["", "NOT ", "-", "ever(", "("]),
        st.sampled_from(["state", "labels.a", "spec.x.y", "name", "create_time", "attempt", "x"]),
        st.sampled_from(["=", ":", "<", "!="]),
        st.text(max_size=12).map(lambda t: '"' + t.replace("\\", "\\\\").replace('"', '\\"') + '"'),
    )
)
def test_no_filter_reaches_sql_as_text(ledger: Ledger, filter_: str) -> None:
    """Whatever is asked, PostgreSQL never finds fault with the statement itself."""
    try:
        ledger.list(filter_, limit=1)
        ledger.list(filter_, limit=1, as_of=AT)
    except InvalidFieldError as error:
        assert error.field == "filter"


def test_values_of_a_filter_are_parameters() -> None:
    from jobledger.domain.values.filters import parse_filter
    from jobledger.infra.read.lists.filter_sql import Rendering

    evil = "x'; DROP TABLE events; --"
    rendering = Rendering()
    sql = rendering.condition(parse_filter(f'labels.a = "{evil}" OR spec."{evil}" : "*{evil}"'))
    # A label's value stands in the statement, quoted, so that the planner knows how frequent it is.
    assert "'{\"a\":\"x''; DROP TABLE events; --\"}'::jsonb" in sql.as_string()
    assert evil not in sql.as_string()
    assert [evil] in rendering.parameters.values()
    assert f"%{evil}" in rendering.parameters.values()
