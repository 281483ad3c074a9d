"""RFC 3339 allows `t` and `z` in lower case; every reader of times takes them."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from jobledger.domain.values.moments import AtTime, parse_as_of
from jobledger.domain.values.times import parse_iso
from jobledger.infra.cli.server.tokens import parse_expiry
from jobledger.infra.http.native.bodies import read_time
from jobledger.infra.read.lists.filter_fields import COLUMNS
from jobledger.infra.sources.kubernetes import pods
from jobledger.infra.sources.mapping import times
from jobledger.infra.sources.mapping.model import Times
from jobledger.infra.web.links import parse_instant

TEXT = "2026-11-30t10:05:00.25z"
TIME = datetime(2026, 11, 30, 10, 5, 0, 250_000, tzinfo=UTC)
NOW = datetime(2026, 12, 1, tzinfo=UTC)
READERS: dict[str, Callable[[str], object]] = {
    "the domain": parse_iso,
    "a moment": lambda text: _moment(text).time,
    "a body of the native API": read_time,
    "a filter": lambda text: COLUMNS["create_time"].read("create_time", text),
    "an expiry of a token": lambda text: parse_expiry(text, NOW),
    "a link": lambda text: parse_instant("time", text),
    "Kubernetes": pods.time_of,
    "a mapping": lambda text: times.time_of("at", Times())({"at": text}),
}


def _moment(text: str) -> AtTime:
    moment = parse_as_of(text, None, NOW)
    assert isinstance(moment, AtTime)
    return moment


@pytest.mark.parametrize("reader", READERS)
def test_lower_case_letters_of_a_time_are_read(reader: str) -> None:
    assert READERS[reader](TEXT) == TIME
