"""What a ledger will take is computed from figures, which are not far from a ledger's own."""

from __future__ import annotations

import json

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra import Ledger
from jobledger.infra.transfer.traces.simulation import simulate
from jobledger.infra.upkeep.capacity import FIGURES, parse_keep, parse_rate, plan
from jobledger.infra.upkeep.ledgers import describe

from tests.command_line import Cli


@pytest.mark.parametrize(
    ("text", "rate"), [("500/s", 500), ("0.5k/s", 500), ("60/min", 1), ("8.64M/d", 100)]
)
def test_rates(text: str, rate: float) -> None:
    assert parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "500", "5/year", "-1/s", "1 /s", "k/s", "1/s "])
def test_an_invalid_rate_is_refused(text: str) -> None:
    with pytest.raises(InvalidFieldError, match="500/s"):
        parse_rate(text)


@pytest.mark.parametrize("text", ["", "2", "2 y", "two", "1m"])
def test_an_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidFieldError, match="2y"):
        parse_keep(text)


@pytest.mark.parametrize("keep", ["9999999999y", f"{10**400}y"])
def test_more_events_than_a_ledger_could_hold_are_refused(keep: str) -> None:
    with pytest.raises(InvalidFieldError, match=r"^keep: .* events would be kept; plan for"):
        plan(parse_rate("500/s"), parse_keep(keep))


def test_everything_grows_with_the_rate_and_the_time() -> None:
    once, twice = plan(100, 1e6), plan(100, 2e6)
    for field in ("events", "disk", "indexes"):
        assert getattr(twice, field) == pytest.approx(2 * getattr(once, field))
    assert once.append_share == twice.append_share
    assert plan(200, 1e6).append_share == 2 * once.append_share
    more = plan(100, 1e6, data_bytes=FIGURES["data_bytes_per_event"] + 1_000)
    assert more.disk - once.disk == 1_000 * once.events
    assert plan(100, 1e6, events_per_job=1).jobs == once.events
    assert sum(once.tables.values()) == once.disk


@pytest.mark.slow
@pytest.mark.unused_schema
@pytest.mark.usefixtures("signing_in_background")
def test_the_figures_are_near_those_of_a_ledger(ledger: Ledger) -> None:
    """Not far from it: a ledger that takes much more disk per event needs new figures."""
    events = ledger.append_many(simulate(3_000, 5, "p"))
    ledger.follow(ledger.size())
    ledger.checkpoint()
    with ledger.connection() as connection:
        held = describe(connection, ledger.name)
    planned = plan(events, 1)
    assert planned.tables["events"] == pytest.approx(held.tables["events"], rel=0.33)
    assert planned.disk == pytest.approx(sum(held.tables[name] for name in planned.tables), rel=0.4)


def test_the_command(cli: Cli) -> None:
    printed = cli("plan-capacity", "--rate", "500/s", "--keep", "2y")
    assert "events: 31,557,600,000 of " in printed
    share = 500 / FIGURES["appends_per_second"]
    assert f"appends: {share:.1%} of what one ledger was measured to take" in printed
    found = json.loads(cli("plan-capacity", "--rate", "500/s", "--keep", "2y", "--json"))
    assert found["events"] == 31_557_600_000
    assert found["figures"] == FIGURES
    assert cli.run("plan-capacity", "--rate", "much", "--keep", "2y").returncode == 2
