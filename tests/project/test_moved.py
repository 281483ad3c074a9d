"""Module names from before the rooms, which users' programs may hold."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.checkout import ROOT

NAMES = [
    line.split() for line in (ROOT / "infra" / "package" / "moved.txt").read_text().splitlines()
]


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new"), NAMES, ids=str)
def test_a_module_is_found_under_its_old_name_and_says_what_it_is_called_now(
    old: str, new: str
) -> None:
    with pytest.warns(DeprecationWarning, match=rf"is now jobledger\.{new}$"):
        found = import_module(f"jobledger.{old}")

    assert found is import_module(f"jobledger.{new}")


@pytest.mark.filterwarnings("ignore:.* is now:DeprecationWarning")
def test_names_are_imported_from_an_old_room() -> None:
    from jobledger.infra.past import steps  # type: ignore[import-not-found]
    from jobledger.infra.writing import Report  # type: ignore[import-not-found]

    assert steps.steps_as_of
    assert Report._fields == ("name", "data", "about")
