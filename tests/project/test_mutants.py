"""The list of mutants that do not count names code that exists."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LISTED: dict[str, list[dict[str, Any]]] = tomllib.loads(
    (ROOT / "scripts/mutants-equivalent.toml").read_text()
)


def squeezed(text: str) -> str:
    """The text without what the formatter decides: spaces, quotes, and the comma at the end of arguments."""
    return re.sub(r"\s|['\"]|,(?=\s*\))", "", text)


def functions_of(module: str) -> dict[str, str]:
    """The source of each function of a module, those of classes as `Class.function`."""
    text = (ROOT / module).read_text()
    found: dict[str, str] = {}
    for node in ast.parse(text).body:
        owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for each in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                found[owner + each.name] = ast.get_source_segment(text, each) or ""
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", LISTED)
def test_each_entry_names_functions_that_exist(kind: str) -> None:
    named = [(entry["module"], name) for entry in LISTED[kind] for name in entry["functions"]]
    assert named
    assert [each for each in named if each[1] not in functions_of(each[0])] == []


@pytest.mark.slow
def test_each_equivalent_mutant_changes_code_that_exists() -> None:
    outdated = [
        entry["old"]
        for entry in LISTED["equivalent"]
        if not any(
            squeezed(entry["old"]) in squeezed(functions_of(entry["module"])[name])
            for name in entry["functions"]
        )
    ]
    assert outdated == []
