"""The command bench: what is chosen, run, written and printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.bench import run
from jobledger.infra.bench.catalogue import ALL, ASKED_FOR, Measure, select
from jobledger.infra.bench.figures import row_of
from jobledger.infra.bench.meter import Reading
from jobledger.infra.bench.pairs import Pair, Sides, run_pairs
from jobledger.infra.bench.run import Conditions, measure_rows, read_rows
from jobledger.infra.bench.sizes import Sizes
from jobledger.infra.bench.table import cells, changed, markdown
from jobledger.infra.errors import LedgerUnavailableError

from tests.command_line import Cli

GET = select(["get"])[0]
UNDER = Conditions("a machine", 1, 1)


def arena() -> Any:
    """An arena with the fields that texts of rows need."""
    return SimpleNamespace(sizes=Sizes())


def pairs(*values: tuple[float, float]) -> list[Pair]:
    return [Pair(Reading(ours, 2, 3), Reading(theirs)) for ours, theirs in values]


def test_the_sides_run_in_turn() -> None:
    ran = ""

    def side(name: str) -> Reading:
        nonlocal ran
        ran += name
        return Reading(1)

    assert len(run_pairs(Sides(lambda: side("A"), lambda: side("B")), 3)) == 3
    assert ran == "ABABAB"


def test_the_ratio_is_the_median_of_the_pairs_ratios() -> None:
    row = row_of(GET, pairs((100, 100), (10, 20), (900, 1000)))

    assert (row["ratio"], row["low"], row["high"]) == (0.9, 0.5, 1.0)
    assert row["value"], row["beside_value"] == (100, 100)
    assert row["cpu_us"] == {"client": 2, "server": 3}
    assert "beside_cpu_us" not in row
    assert row["pairs"] == [[100, 100], [10, 20], [900, 1000]]
    assert (row["met"], row["aim_met"]) == (True, False)


def test_a_row_without_a_peer_has_no_ratio() -> None:
    [search] = select(["search"])
    row = row_of(search, [Pair(Reading(value), None) for value in (90.0, 400.0, 110.0)])

    assert "ratio" not in row
    assert (row["value"], row["low"], row["high"]) == (110, 90, 400)
    assert (row["met"], row["aim_met"]) == (True, False)


def test_a_value_is_bounded_where_the_row_says_so() -> None:
    [verify] = select(["verify"])
    row = row_of(verify, pairs((90_000, 1_000)))
    assert not row["met"]


@pytest.mark.parametrize(
    ("patterns", "found"),
    [
        (["get"], ["get"]),
        (
            ["web"],
            ["first_paint", "cursor_moved", "cursor_work", "long_job", "first_load", "search"],
        ),
        (["append_shared*", "get", "g?t"], ["append_shared4", "append_shared16", "get"]),
    ],
)
def test_rows_are_chosen_by_id_group_and_glob(patterns: list[str], found: list[str]) -> None:
    assert [measure.id for measure in select(patterns)] == found


def test_long_rows_are_measured_only_if_they_are_named() -> None:
    assert {each.group for each in ALL} - {each.group for each in select([])} == ASKED_FOR
    assert len(select([], quick=True)) < len(select([]))
    with pytest.raises(InvalidFieldError, match="no measure 'nothing'"):
        select(["get", "nothing"])


@pytest.mark.slow
def test_ids_are_unique_and_each_row_is_code() -> None:
    assert len({each.id for each in ALL}) == len(ALL)
    for measure in ALL:
        module, _, function = measure.source.partition(".")
        assert callable(getattr(import_module(f"jobledger.infra.bench.rows.{module}"), function))
        better = (
            measure.aim <= measure.must if "<=" in measure.bound else measure.aim >= measure.must
        )
        assert better, measure.id


class Fails(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (LedgerUnavailableError("Chromium is not installed"), "Chromium is not installed"),
        (ImportError("No module named 'playwright'"), "playwright"),
        (Fails("unforeseen"), "Fails: unforeseen (test_bench.py:"),
    ],
)
def test_a_row_that_cannot_be_measured_gives_its_reason_and_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, why: str
) -> None:
    @contextmanager
    def sides(measure: Measure, _: Any) -> Iterator[Sides]:
        if measure.id == "get":
            raise error
        yield Sides(lambda: Reading(3), lambda: Reading(2))

    monkeypatch.setattr(Measure, "sides", sides)
    file = tmp_path / "figures.json"
    seen = []
    for row in measure_rows(select(["get", "feed"]), arena(), UNDER, file):
        seen.append(row["id"])
        assert list(read_rows(file)) == seen

    rows = read_rows(file)
    assert why in rows["get"]["error"]
    assert rows["feed"]["ratio"] == 1.5
    assert "not measured" in cells(rows["get"])
    assert json.loads(file.read_bytes())["machine"] == "a machine"
    assert list(tmp_path.iterdir()) == [file]


def test_no_row_starts_after_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "measure_row", lambda measure, *_: {"id": measure.id})
    first, second = measure_rows([GET, GET], arena(), UNDER, limit=-1)
    assert first["error"] == second["error"] == "the -1 s were over"


def test_a_run_is_compared_with_an_earlier_one() -> None:
    rows = [GET.described(Sizes()) | row_of(GET, pairs(pair)) for pair in ((60, 100), (90, 100))]

    assert changed(rows[1], rows[0]) == " (was 0.60, +50%)"
    assert changed(rows[0], rows[0]) == " (was 0.60)"
    assert changed(rows[0], rows[0] | {"error": "no"}) == ""
    assert "0.90 (was 0.60, +50%)" in cells(rows[1], rows[0])
    assert markdown(rows[1]).endswith(
        "| 90.00 calls/s | psycopg, select of one row by key | 100 | 0.90 | 0.90 to 0.90 |"
    )


def test_the_list_has_every_row_that_would_be_measured(cli: Cli) -> None:
    listed = cli("bench", "--list", "get", "growth")
    assert "psycopg, select" in listed
    assert ">= 0.8" in listed
    assert "20 million" in listed
    assert "at 200,000 events" in listed


@pytest.mark.slow
def test_a_row_is_measured_from_the_command_line(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    again = ["bench", "get", "--quick", "--pairs", "1", "--seconds", "0.1", "--json", str(file)]
    cli(*again)
    printed = cli(*again, "--before", str(file), "--busy")

    row = read_rows(file)["get"]
    assert row["value"] > 0
    assert "(was " in " ".join(printed.split())
    assert json.loads(file.read_bytes())["busy"] is True
