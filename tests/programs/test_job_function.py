"""Functions as jobs, nested jobs, and their tree."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from jobledger import AsyncLedger, Run
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.states import JobState
from jobledger.infra import Ledger

from tests import loops
from tests.command_line import Cli

NIGHT, STEP = "projects/p/jobs/night", "projects/p/jobs/step-{number}"


def test_each_call_is_a_run(ledger: Ledger) -> None:
    @ledger.job("projects/p/jobs/train_{model}", {"team": "vision"})
    def train(model: str, epochs: int = 3) -> dict[str, Any]:
        """Trains."""
        run = Run.current()
        assert run is not None
        assert ledger.get(run.name).state is JobState.RUNNING
        return {"epochs": epochs}

    assert train("res net") == {"epochs": 3}
    assert train("res net", epochs=4) == {"epochs": 4}
    job = ledger.get("projects/p/jobs/train_res_x20_net")
    assert (job.state, job.attempt, job.output) == (JobState.SUCCEEDED, 2, {"epochs": 4})
    assert job.labels == {"team": "vision"}
    assert (train.__name__, train.__doc__) == ("train", "Trains.")
    assert Run.current() is None


def test_an_exception_is_the_error_with_its_traceback(ledger: Ledger) -> None:
    @ledger.job("projects/p/jobs/x")
    def fail() -> None:
        raise ValueError("no such model")

    with pytest.raises(ValueError, match="no such model"):
        fail()
    assert ledger.get("projects/p/jobs/x").error_message == "ValueError: no such model"
    assert "in fail" in ledger.history("projects/p/jobs/x")[-1].json["traceback"]


@pytest.mark.slow
def test_a_job_within_a_job_names_its_parent(ledger: Ledger, cli: Cli) -> None:
    @ledger.job(STEP)
    def step(number: int) -> None:
        if number == 2:
            with ledger.run("projects/p/jobs/inner"):
                pass

    with ledger.run(NIGHT):
        step(1)
        step(2)
    step(3)

    first, inner = (ledger.get(f"projects/p/jobs/{id_}") for id_ in ("step-1", "inner"))
    assert (first.parents, first.root, first.spec) == ([NIGHT], NIGHT, {})
    assert (inner.parents, inner.root) == (["projects/p/jobs/step-2"], NIGHT)
    assert ledger.get("projects/p/jobs/step-3").parents == []

    expected = [(depth, job.name.rpartition("/")[2]) for depth, job in ledger.tree(NIGHT).walk()]
    assert expected == [(0, "night"), (1, "step-1"), (1, "step-2"), (2, "inner")]
    before = ledger.history("projects/p/jobs/step-2")[0].position - 1
    expected = [(depth, job.name) for depth, job in ledger.tree(NIGHT, f"@{before}").walk()]
    assert expected == [(0, NIGHT), (1, first.name)]

    lines = cli("tree", "night").splitlines()
    assert lines[-4:] == [
        "night  SUCCEEDED", "  step-1  SUCCEEDED", "  step-2  SUCCEEDED", "    inner  SUCCEEDED",
    ]  # fmt: skip
    assert (
        cli.json("tree", "night", "--json")["tree"]["children"][1]["children"][0]["name"]
        == inner.name
    )
    with pytest.raises(JobNotFoundError):
        ledger.tree("projects/p/jobs/nothing")

    with ledger.run("projects/p/jobs/tuesday"):
        step(1)
        with ledger.run("projects/p/jobs/own", spec={"parents": [NIGHT]}):
            pass
    moved, own = (ledger.get(f"projects/p/jobs/{id_}") for id_ in ("step-1", "own"))
    assert (moved.attempt, moved.parents) == (2, ["projects/p/jobs/tuesday"])
    assert (own.parents, own.root) == ([NIGHT], "projects/p/jobs/tuesday")


def test_a_job_within_itself_is_not_its_own_parent(ledger: Ledger) -> None:
    count = "projects/p/jobs/count"
    with ledger.run(NIGHT), ledger.run(count), ledger.run(count):
        pass
    job = ledger.get(count)
    assert (job.parents, job.root) == ([NIGHT], NIGHT)


def test_a_circle_of_parents_ends(ledger: Ledger) -> None:
    for name, parent in (("a", "b"), ("b", "a")):
        ledger.create(f"projects/p/jobs/{name}", spec={"parents": [f"projects/p/jobs/{parent}"]})
    assert len([*ledger.tree("projects/p/jobs/a").walk()]) == 2


def test_coroutine_functions(ledger: Ledger, dsn: str, ledger_name: str) -> None:
    async def main() -> None:
        async with await AsyncLedger.open(dsn, ledger_name) as opened:

            @opened.job("projects/p/jobs/fetch_{number}")
            async def fetch(number: int) -> dict[str, Any]:
                await asyncio.sleep(0)
                run = Run.current()
                assert run is not None
                return {"seen": run.name}

            made = await asyncio.gather(fetch(1), fetch(2))
            assert [each["seen"][-1] for each in made] == ["1", "2"]
            with pytest.raises(InvalidFieldError, match=r"use Ledger\.job"):
                opened.job("projects/p/jobs/x")(lambda: None)

    loops.run(main())
    assert ledger.get("projects/p/jobs/fetch_2").state is JobState.SUCCEEDED

    async def later() -> None:
        """Never runs."""

    with pytest.raises(InvalidFieldError, match=r"use AsyncLedger\.job"):
        ledger.job("projects/p/jobs/x")(later)


def test_a_name_with_an_unknown_parameter(ledger: Ledger) -> None:
    @ledger.job("projects/p/jobs/{colour}")
    def paint(color: str) -> None:
        """Paints."""

    with pytest.raises(InvalidFieldError, match=r"there are \{color\}"):
        paint("red")


def test_a_name_with_a_part_of_a_parameter(ledger: Ledger) -> None:
    @ledger.job("projects/p/jobs/{config.model}")
    def train(config: object) -> None:
        """Trains."""

    with pytest.raises(InvalidFieldError, match=r"part of a parameter.*there are \{config\}"):
        train(object())


def test_generator_functions_are_refused(ledger: Ledger) -> None:
    """Their body runs after the call, so that the job would have ended before."""

    def batches() -> Iterator[int]:
        yield 1

    async def pages() -> AsyncIterator[int]:
        yield 1

    for function in (batches, pages):
        with pytest.raises(InvalidFieldError, match=r"is a generator function"):
            ledger.job("projects/p/jobs/x")(function)
