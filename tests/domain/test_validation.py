"""Errors of pydantic in the ledger's words: what would be right, and the value."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from jobledger.domain.data import parse
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import json_type
from jobledger.domain.values.validation import why_invalid
from pydantic import BaseModel, ConfigDict, Field


class Inner(BaseModel):
    one: int = 1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    count: int = Field(1, ge=0)
    inner: Inner = Inner()
    kind: Literal["a", "b"] = "a"
    labels: list[str] = []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "x.name: is missing; it must be given"),
        ({"name": 7}, "x.name: must be a valid string, not 7"),
        ({"name": "n", "count": -1}, "x.count: must be greater than or equal to 0, not -1"),
        ({"name": "n", "inner": []}, "x.inner: must be an object, not a list"),
        ({"name": "n", "kind": "c"}, "x.kind: must be 'a' or 'b', not 'c'"),
        ({"name": "n", "labels": {}}, "x.labels: must be a valid list, not an object"),
        ({"name": "n", "lables": []}, "x.lables: is not a field that can be given; did you mean labels?"),
    ],
)  # fmt: skip
def test_an_error_names_what_would_be_right_and_the_value(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        parse(Outer, given, "x.")
    assert str(caught.value) == message


def test_a_value_that_is_no_json_has_the_name_of_its_type() -> None:
    found = {"type": "dict_type", "msg": "Input should be a valid dictionary", "input": {1, 2}}
    assert why_invalid(found) == "must be an object, not a value of the type set"
    assert json_type(("a",)) == "a list"
