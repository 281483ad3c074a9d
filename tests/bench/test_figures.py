"""Figures in documents are those that were measured."""

from __future__ import annotations

import re
import subprocess
import sys

import orjson
import pytest
from jobledger.infra.bench.catalogue import ALL

from tests.checkout import ROOT

pytestmark = pytest.mark.unused_schema
SCRIPT = ROOT / "scripts" / "figures"
MEASURED = orjson.loads((ROOT / "infra" / "bench" / "measured.json").read_bytes())


def test_documents_have_the_figures_of_the_file() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_each_measured_row_is_one_that_can_be_measured() -> None:
    known = {measure.id: measure for measure in ALL}
    assert {row["id"] for row in MEASURED["rows"]} <= known.keys()
    for row in MEASURED["rows"]:
        if "ratio" in row:
            assert row["ratio"] == pytest.approx(row["value"] / row["beside_value"], rel=0.5)


@pytest.mark.parametrize("page", ["README.md", "infra/bench/README.md"])
def test_a_page_has_no_table_of_figures_without_a_source(page: str) -> None:
    text = (ROOT / page).read_text()
    sourced = re.sub(r"<!-- figures: .*?<!-- /figures -->", "", text, flags=re.DOTALL)
    assert "<!-- figures: " in text
    assert not re.search(r"^\|.*\| Job Ledger \|", sourced, flags=re.MULTILINE)
