"""The public names: one place to import them from, and one rule for what is a method."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys

import jobledger
import pytest
from jobledger import AsyncLedger, Ledger

from tests.checkout import ROOT

ROOMS = ROOT / "infra"
ERRORS = [
    node.name
    for file in (*(ROOMS / "errors").glob("*.py"), ROOMS / "evaluation" / "errors.py")
    for node in ast.parse(file.read_text()).body
    if isinstance(node, ast.ClassDef)
]


@pytest.mark.parametrize("name", jobledger.__all__)
def test_a_public_name_is_a_type(name: str) -> None:
    assert isinstance(getattr(jobledger, name), type)


def test_every_error_is_public() -> None:
    assert len(ERRORS) > 30
    assert set(ERRORS) <= set(jobledger.__all__)


@pytest.mark.parametrize("ledger", [Ledger, AsyncLedger])
def test_reads_and_writes_of_a_ledger_are_methods(ledger: type) -> None:
    verbs = (
        "create get list count history events report append_many diff blame bisect why replay"
        " analyze export erase prune checkpoint receipt record_predictions"
    )
    for verb in verbs.split():
        assert inspect.getdoc(getattr(ledger, verb)), verb


def test_a_name_that_is_not_public_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Secret'"):
        _ = jobledger.Secret


def test_importing_the_package_is_quick() -> None:
    program = "import sys, jobledger; print({'psycopg', 'pydantic'} & set(sys.modules))"

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert printed.stdout == b"set()\n"
