"""Assertions about datasets that a run tested, such as those of dbt's tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.sources.openlineage.event import facet


def failed_assertions(given: JsonObject) -> list[str]:
    """Returns the assertions of an event that failed, each once and in words.

    The source is the data quality assertions facet of OpenLineage's inputs.

    Args:
        given: The event's JSON.
    """
    found = (_in_words(each) for each in _assertions(given) if each.get("success") is False)
    return list(dict.fromkeys(found))


def _assertions(given: JsonObject) -> Iterator[JsonObject]:
    for dataset in _objects(given.get("inputs")):
        for place in ("inputFacets", "facets"):
            facets = dataset.get(place)
            if isinstance(facets, dict):
                yield from _objects(facet(facets, "dataQualityAssertions").get("assertions"))


def _objects(given: Any) -> list[JsonObject]:
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []


def _in_words(assertion: JsonObject) -> str:
    kind, column = assertion.get("assertion"), assertion.get("column")
    name = assertion.get("name") or (f"{kind} of {column}" if column else kind) or "an assertion"
    if "expected" in assertion and "actual" in assertion:
        return f"{name} failed: expected {assertion['expected']}, found {assertion['actual']}"
    return f"{name} failed"
