"""The README says what is so: its table is the lifecycle's, its example runs, its files are there."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import grimp
import pytest

from tests.checkout import ROOT
from tests.servers import Server

README = (ROOT / "README.md").read_text()


def test_the_lifecycle_is_printed_as_it_is() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "lifecycle")]
    printed = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    assert f"<!-- lifecycle -->\n{printed}<!-- /lifecycle -->\n" in README


def test_the_examples_print_what_they_say(
    dsn: str,
    ledger_name: str,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("JOBLEDGER_DSN", dsn)
    monkeypatch.setenv("JOBLEDGER_LEDGER", ledger_name)
    monkeypatch.setenv("LEDGER_URL", server.url)
    examples = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README, re.DOTALL)
    assert len(examples) == 6

    names: dict[str, object] = {}
    for code, printed in examples:
        # In a thread: a browser of the same session has a running loop in this one.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(exec, compile(code, "README.md", "exec"), names).result()
        assert capsys.readouterr().out == printed


def test_files_it_names_are_there() -> None:
    named = set(re.findall(r"`((?:domain|projections|infra|tests|scripts)/[\w./]*)`", README))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_each_arrow_of_the_walk_is_an_import_or_a_statement_that_is_sent() -> None:
    graph = grimp.build_graph("jobledger")
    walk = README.split("## Where things are")[1].split("```")[1]
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
