"""The documentation of public names: whole, in Google's convention, with examples that run."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jobledger
import pytest
from jobledger import AsyncLedger, Ledger

METADATA = ("name", "occurred_time", "request_id", "trace_parent", "attempt", "run_id")
"""Arguments that mean the same in all methods for commands and reports."""
WITHOUT_EXAMPLE = {
    "conninfo", "name", "pool",  # properties
    "opened", "reveal", "reveal_text", "seal",  # deprecated names
    "submit",
}  # fmt: skip
"""What needs more than a ledger: an evaluation job, or a pending write."""


def methods(form: type) -> Iterator[str]:
    return (name for name in dir(form) if not name.startswith("_"))


def examples() -> Iterator[tuple[str, doctest.DocTest]]:
    """The examples of the public types and their methods, once each."""
    finder = doctest.DocTestFinder(recurse=False)
    seen: set[str] = set()
    for public in jobledger.__all__:
        form = getattr(jobledger, public)
        named = [(public, form)]
        named += [(f"{public}.{name}", getattr(form, name)) for name in methods(form)]
        for name, value in named:
            documentation = inspect.getdoc(value) if callable(value) else None
            if documentation and ">>>" in documentation and documentation not in seen:
                seen.add(documentation)
                yield from ((name, test) for test in finder.find(value, name) if test.examples)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "test"), [pytest.param(*each, id=each[0]) for each in examples()])
def test_an_example_runs(
    dsn: str, ledger_name: str, ledger: Ledger, tmp_path: Path, name: str, test: doctest.DocTest
) -> None:
    test.globs = {"ledger": ledger, "dsn": dsn, "ledger_name": ledger_name, "folder": tmp_path}
    printed: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    # In a thread: a browser of the same session has a running loop in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(runner.run, test, out=printed.append, clear_globs=False).result()
    assert runner.failures == 0, "".join(printed)


@pytest.mark.parametrize("form", [Ledger, AsyncLedger])
def test_each_method_has_an_example(form: type) -> None:
    without = {
        name for name in methods(form) if ">>>" not in (inspect.getdoc(getattr(form, name)) or "")
    }
    assert without - WITHOUT_EXAMPLE == set()


@pytest.mark.slow
@pytest.mark.parametrize("public", sorted(jobledger.__all__))
def test_each_field_of_a_public_tuple_is_documented(public: str) -> None:
    form = getattr(jobledger, public)
    documented = sections(inspect.getdoc(form) or "").get("Attributes", "")
    fields = getattr(form, "_fields", ())
    assert [field for field in fields if f"    {field}: " not in documented] == []


def sections(documentation: str) -> dict[str, str]:
    """The text of each section of a docstring, by the section's name."""
    found: dict[str, str] = {}
    section = ""
    for line in documentation.split("\n"):
        if line and not line[0].isspace() and line.endswith(":"):
            section = line[:-1]
        found[section] = found.get(section, "") + line + "\n"
    return found


def arguments(documentation: str) -> dict[str, str]:
    """What a docstring says of each argument."""
    found: dict[str, str] = {}
    name = ""
    for line in sections(documentation).get("Args", "").split("\n")[1:]:
        if line.startswith("    ") and line[4:5] != " ":
            name, _, text = line.strip().partition(": ")
            found[name] = text
        elif line.strip():
            found[name] += " " + line.strip()
    return found


def documented_methods() -> Iterator[tuple[str, Any]]:
    for form in (Ledger, AsyncLedger):
        for name in methods(form):
            if inspect.isroutine(method := getattr(form, name)):
                yield f"{form.__name__}.{name}", method


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "method"), [pytest.param(*each, id=each[0]) for each in documented_methods()]
)
def test_a_method_describes_its_parameters_and_its_result(name: str, method: Any) -> None:
    documentation = inspect.getdoc(method) or ""
    signature = inspect.signature(method)
    parameters = {p.name: p for p in signature.parameters.values() if p.name not in ("self", "cls")}
    described = {key.lstrip("*") for key in arguments(documentation)}
    assert described == set(parameters)
    returns = str(signature.return_annotation)
    if returns != "None":
        assert "Returns" in sections(documentation)
    assert name.endswith(".close") or "Error: " in sections(documentation).get("Raises", "")
    assert sections(documentation).get("Args", "Args: \n    a") != "Args:\n\n"


def test_a_parameter_of_commands_and_reports_means_the_same_everywhere() -> None:
    texts: dict[str, set[str]] = {name: set() for name in METADATA}
    for _, method in documented_methods():
        described = arguments(inspect.getdoc(method) or "")
        if "request_id" in described:
            for name in METADATA:
                texts[name] |= {described[name]} if name in described else set()
    assert {name: len(each) for name, each in texts.items() if name != "name"} == dict.fromkeys(
        METADATA[1:], 1
    )
