"""Event loops for tests that are coroutines, in asyncio's debug mode."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import uvloop

Result = TypeVar("Result")
Factory = Callable[[], asyncio.AbstractEventLoop]
FACTORIES: Final[dict[str, Factory]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def run(program: Coroutine[Any, Any, Result], factory: Factory = asyncio.new_event_loop) -> Result:
    """Runs a coroutine on a loop of its own; fails also if a task or callback failed unnoticed."""
    # In a thread: a browser of the same session has a running loop in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_run, program, factory).result()


def _run(program: Coroutine[Any, Any, Result], factory: Factory) -> Result:
    unseen: list[dict[str, Any]] = []
    with asyncio.Runner(debug=True, loop_factory=factory) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: unseen.append(context))
        result = runner.run(_alone(program))
    assert unseen == []
    return result


async def _alone(program: Coroutine[Any, Any, Result]) -> Result:
    """Runs it; fails if it leaves tasks behind."""
    result = await program
    for _ in range(5):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, left
    return result
