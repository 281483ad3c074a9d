"""Documents match the code: the lifecycle, and each arrow of the way of a write."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise

import grimp
import pytest
from jobledger.domain.states import LIFECYCLE

from tests.checkout import ROOT

README = (ROOT / "README.md").read_text()
DOMAIN = ROOT / "domain" / "README.md"
MAX_LINES = 150


def test_the_readme_has_at_most_150_lines() -> None:
    assert len(README.splitlines()) <= MAX_LINES


@pytest.mark.parametrize("option", ["--table", "--picture"])
def test_the_lifecycle_is_printed_and_drawn_as_it_is(option: str) -> None:
    script = [sys.executable, str(ROOT / "scripts" / "lifecycle"), option]
    printed = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    if option == "--picture":
        assert (ROOT / "domain" / "lifecycle.svg").read_text() == printed
        assert all(f">{event}<" in printed for event, rule in LIFECYCLE.items() if rule.to)
    else:
        assert f"<!-- lifecycle -->\n{printed}<!-- /lifecycle -->\n" in DOMAIN.read_text()


def test_each_arrow_of_the_walk_is_an_import_or_a_statement_that_is_sent() -> None:
    graph = grimp.build_graph("jobledger")
    walk = (
        (ROOT / "infra" / "README.md")
        .read_text()
        .split("## The path of a write")[1]
        .split("```")[1]
    )
    arrows = [
        (one, other)
        for line in walk.splitlines()
        for one, other in pairwise(re.findall(r"[\w/]+\.(?:py|sql)", line))
    ]
    assert len(arrows) > 30

    for one, other in arrows:
        if other.endswith(".sql"):
            module, statement = ROOT / one, ROOT / other
            assert statement.parent == module.parent
            assert f'(__package__, "{statement.stem}")' in module.read_text()
        else:
            assert module_of(other) in graph.find_modules_directly_imported_by(module_of(one))


def module_of(file: str) -> str:
    """`domain/job.py` as it is imported."""
    return "jobledger." + file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
