"""The documentation of the clients: each method's arguments, result, errors and an example that runs."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from jobledger.client import AsyncClient, Client

from tests.project.test_docstrings import arguments, sections
from tests.servers import new_server

OWN = [name for name, value in vars(Client).items() if name[0] != "_" and callable(value)]
"""The methods of the client itself; verbs have the documentation of the ledger's."""


@pytest.mark.slow
@pytest.mark.parametrize("form", [Client, AsyncClient])
@pytest.mark.parametrize("name", OWN)
def test_a_method_describes_all_its_parts(form: type, name: str) -> None:
    method = getattr(form, name)
    documentation = inspect.getdoc(method) or ""
    signature = inspect.signature(method)
    described = sections(documentation)
    assert set(arguments(documentation)) == set(signature.parameters) - {"self"}
    assert str(signature.return_annotation) == "None" or "Returns" in described
    assert ">>> " in described["Examples"]
    if name != "close":
        assert {"UnauthenticatedError", "LedgerUnavailableError"} <= {
            line.strip().partition(":")[0] for line in described["Raises"].split("\n")
        }


def examples() -> Iterator[tuple[str, doctest.DocTest]]:
    finder = doctest.DocTestFinder(recurse=False)
    for name in ("", *OWN):
        documented: Any = getattr(Client, name) if name else Client
        for test in finder.find(documented, name or "Client"):
            yield name or "Client", test


@pytest.mark.slow
@pytest.mark.parametrize(("name", "test"), [pytest.param(*each, id=each[0]) for each in examples()])
def test_an_example_runs(dsn: str, name: str, test: doctest.DocTest) -> None:
    printed: list[str] = []
    with new_server(dsn) as server, Client(server.url) as client, ThreadPoolExecutor(1) as thread:
        test.globs = {"client": client, "url": server.url}
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        thread.submit(runner.run, test, out=printed.append, clear_globs=False).result()
    assert runner.failures == 0, "".join(printed)
