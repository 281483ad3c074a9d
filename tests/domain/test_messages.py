"""Error messages name a valid value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobledger.domain.errors import (
    InvalidFieldError,
    JobExistsError,
    JobNotFoundError,
    UnknownEventTypeError,
)
from jobledger.domain.events import EVENT_TYPES, parse_data
from jobledger.domain.values.filters import parse_filter
from jobledger.domain.values.names import parse_labels, parse_name
from jobledger.infra import Ledger

NAME = "projects/p/jobs/x"


@pytest.mark.slow
@pytest.mark.parametrize("type_", EVENT_TYPES)
def test_an_event_type_in_another_case_is_suggested(type_: str) -> None:
    for written in (type_.lower(), type_.upper(), type_[0].lower() + type_[1:], f"{type_}s"):
        with pytest.raises(UnknownEventTypeError, match=f"did you mean '{type_}'\\?"):
            parse_data(written, {})


def test_an_unknown_event_type_is_answered_with_all_types() -> None:
    with pytest.raises(UnknownEventTypeError) as caught:
        parse_data("Exploded", {})
    assert all(type_ in str(caught.value) for type_ in EVENT_TYPES)


@pytest.mark.parametrize("labels", [{"Team": "a"}, {"app/kubernetes/name": "a"}, {"a": "A b"}])
def test_an_invalid_label_is_refused_with_the_allowed_letters(labels: dict[str, str]) -> None:
    with pytest.raises(InvalidFieldError, match="lowercase letters, digits, _"):
        parse_labels(labels)


def test_an_invalid_name_is_refused_with_the_allowed_letters() -> None:
    with pytest.raises(InvalidFieldError, match=r"letters .*digits.* first, 2048 characters"):
        parse_name("projects/p/jobs/scheduled__2023-01-12T02:00:00+00:00")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("state = FAILED and labels.team = a", "; AND is written in capitals"),
        ("state = FAILED or labels.team = a", "; OR is written in capitals"),
        ("not state = FAILED", "; NOT is written in capitals"),
        ("create_time > 2024-01-01T00:00:00Z", '; a value .* in quotes: "2024-01-01T00:00:00Z"'),
        ("state == FAILED", "; write = instead of ==$"),
        ("name =~ night", "; write : instead of =~$"),
        ("state = FAILED && labels.team = a", "; write AND instead of &&$"),
        ("state = FAILED || state = EXPIRED", r"; write OR instead of \|\|$"),
        ("!state = FAILED", "; write NOT instead of !$"),
        ("attempt => 2", "; write >= instead of =>$"),
        ("state in (FAILED, EXPIRED)", "; write a comparison for each value, joined by OR, "),
        ("labels.image = a/b:c", '; a value .* in quotes: "a/b:c"'),
    ],
)
def test_a_common_mistake_in_a_filter_suggests_the_right_form(text: str, hint: str) -> None:
    with pytest.raises(InvalidFieldError, match=hint):
        parse_filter(text)


@given(st.text(st.sampled_from('ab1 "()=<>!:.-andorNOT*'), max_size=30))
def test_any_filter_is_read_or_refused(text: str) -> None:
    try:
        parse_filter(text)
    except InvalidFieldError as error:
        assert error.field == "filter"


def test_a_state_in_another_case_is_answered_with_its_name(ledger: Ledger) -> None:
    with pytest.raises(InvalidFieldError, match=r"never 'failed': write FAILED$"):
        ledger.list("state = failed")
    with pytest.raises(InvalidFieldError, match=r"never 'lost': write QUEUED or .*FAILED"):
        ledger.list("state = lost")


def test_a_report_on_an_unknown_job_says_to_create_it(ledger: Ledger) -> None:
    with pytest.raises(JobNotFoundError, match=f"^there is no job {NAME}$"):
        ledger.get(NAME)
    with pytest.raises(JobNotFoundError, match="create it first, or report that it is Created"):
        ledger.succeeded(NAME)


def test_the_name_of_a_deleted_job_is_refused_with_an_alternative(ledger: Ledger) -> None:
    ledger.create(NAME)
    with pytest.raises(JobExistsError, match="already exists"):
        ledger.create(NAME)
    ledger.delete(NAME, stop=True)
    with pytest.raises(JobExistsError, match=r"was deleted.*such as projects/p/jobs/x-2") as caught:
        ledger.create(NAME)
    assert caught.value.deleted
    ledger.create(f"{NAME}-2")
