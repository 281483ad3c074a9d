"""The public names: one place to import them from, and one rule for what is a method."""

from __future__ import annotations

import ast
import copy
import inspect
import pickle
import subprocess
import sys
from datetime import UTC, datetime
from typing import Literal, get_args, get_origin, get_type_hints

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
DOMAIN_ERRORS = [
    node.name
    for node in ast.parse((ROOT / "domain" / "errors.py").read_text()).body
    if isinstance(node, ast.ClassDef) and node.name in jobledger.__all__
]


@pytest.mark.slow
@pytest.mark.parametrize("name", jobledger.__all__)
def test_a_public_name_is_a_type(name: str) -> None:
    assert isinstance(getattr(jobledger, name), type)


def test_every_error_is_public() -> None:
    assert len(ERRORS) > 30
    assert set(ERRORS) <= set(jobledger.__all__)


def example(error: type[Exception]) -> Exception:
    """An error with arguments of the types that its class takes."""
    values = {str: "x", int: 3, bool: True, float: 1.5, datetime: datetime(2026, 1, 1, tzinfo=UTC)}
    if error.__init__ is Exception.__init__:
        return error("why")
    hints = get_type_hints(error.__init__)
    needed = [
        hints[each.name]
        for each in inspect.signature(error).parameters.values()
        if each.default is each.empty
    ]
    others = {hint: get_args(hint)[0] for hint in needed if get_origin(hint) is Literal}
    return error(*((values | others).get(hint, ()) for hint in needed))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ERRORS, *DOMAIN_ERRORS])
def test_an_error_can_be_pickled(name: str) -> None:
    """So that a pool of processes, Celery or Airflow can hand it on."""
    error = example(getattr(jobledger, name))
    for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert (str(again), again.args, again.__dict__) == (str(error), error.args, error.__dict__)


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
