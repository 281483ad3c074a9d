"""AsyncLedger has whatever Ledger has, with `await`: names, parameters, documentation."""

import inspect
from typing import Any, get_overloads

import pytest
from jobledger import AsyncLedger, Ledger

NOT_FOR_ASYNCIO = {
    "pool": "connections for threads",
    # Names from before there was an AsyncLedger:
    "opened": "decrypted",
    "reveal": "decrypt",
    "reveal_text": "decrypt_json",
    "seal": "checkpoint",
}
"""What AsyncLedger lacks, and why: or the name that it has it by."""
ONLY_FOR_ASYNCIO = {"events_after", "history_page"}
OF_TWO_MEANINGS = "run"
"""AsyncLedger's takes a name, as Ledger's does, or a function that blocks."""
DECORATORS = {"job"}
"""What is used before anything is awaited."""
ITERATIONS = {"events", "scan"}


def public(form: type) -> set[str]:
    return {name for name in dir(form) if not name.startswith("_")}


METHODS = sorted(name for name in public(Ledger) if inspect.isroutine(getattr(Ledger, name)))
SHARED = [name for name in METHODS if name not in (*NOT_FOR_ASYNCIO, OF_TWO_MEANINGS)]


def parameters(method: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(method, eval_str=True).parameters.values())


def test_each_form_has_what_the_other_has() -> None:
    assert public(Ledger) - public(AsyncLedger) == set(NOT_FOR_ASYNCIO)
    assert public(AsyncLedger) - public(Ledger) == ONLY_FOR_ASYNCIO
    assert len(METHODS) > 60


@pytest.mark.parametrize(
    ("old", "new"), [each for each in NOT_FOR_ASYNCIO.items() if each[0] != "pool"]
)
def test_only_older_names_are_missing(old: str, new: str) -> None:
    assert getattr(Ledger, old) is getattr(Ledger, new)
    assert hasattr(AsyncLedger, new)


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARED)
def test_a_method_takes_the_same_parameters(name: str) -> None:
    asked, mine = parameters(getattr(Ledger, name)), parameters(getattr(AsyncLedger, name))
    if name == "open":
        assert mine.pop().name == "threads"
    assert mine == asked


@pytest.mark.slow
@pytest.mark.parametrize("name", SHARED)
def test_a_method_has_the_same_documentation(name: str) -> None:
    documentation = inspect.getdoc(getattr(AsyncLedger, name))
    assert documentation
    if name == "open":
        assert "threads: " in documentation
        assert "SchemaError: " in documentation
    else:
        assert documentation == inspect.getdoc(getattr(Ledger, name))


def test_run_takes_the_same_parameters_with_a_name() -> None:
    _, with_name = get_overloads(AsyncLedger.run)
    assert parameters(with_name) == parameters(Ledger.run)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in SHARED if name in vars(AsyncLedger) and name not in DECORATORS]
)
def test_a_method_of_its_own_is_awaited_or_iterated_over(name: str) -> None:
    method = inspect.unwrap(getattr(AsyncLedger, name), stop=inspect.iscoroutinefunction)
    if name in ITERATIONS:
        assert inspect.isasyncgenfunction(method)
    else:
        assert inspect.iscoroutinefunction(method)


async def test_commands_and_reports_are_coroutines(dsn: str, ledger_name: str) -> None:
    inherited = [name for name in SHARED if name not in vars(AsyncLedger)]
    assert len(inherited) == 30
    async with await AsyncLedger.open(dsn, ledger_name) as ledger:
        for name in inherited:
            given = ["projects/p/jobs/a", {}][: _required(getattr(AsyncLedger, name))]
            called = getattr(ledger, name)(*given)
            assert inspect.iscoroutine(called), name
            called.close()


def test_both_forms_iterate_over_the_same_results() -> None:
    for name in SHARED:
        returns = str(inspect.signature(getattr(Ledger, name)).return_annotation)
        iterates = returns.partition("[")[0].endswith(("Iterator", "Generator"))
        assert iterates is (name in ITERATIONS), name


def _required(method: Any) -> int:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return sum(p.default is p.empty and p.kind is kind for p in parameters(method)) - 1
