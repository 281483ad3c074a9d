"""`@ledger.job(name)`: a function that is a job each time it is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from functools import wraps
from typing import Any, TypeVar

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.job_ids import job_id
from jobledger.infra.programs.run_block import Run

Function = TypeVar("Function", bound=Callable[..., Any])
Block = Callable[[str], AbstractContextManager[Run]]
AsyncBlock = Callable[[str], AbstractAsyncContextManager[Run]]


def job_function(name: str, block: Block) -> Callable[[Function], Function]:
    """Makes a decorator that runs a function as a job.

    Args:
        name: The job's name, which may have the function's arguments as `{argument}`.
        block: Makes the block of a job's name.

    Returns:
        The decorator.

    Raises:
        InvalidFieldError: The function is a coroutine function, or a generator function.
    """

    def decorate(function: Any) -> Any:
        if inspect.iscoroutinefunction(function):
            raise InvalidFieldError(
                "job", f"{function.__qualname__} is a coroutine function: use AsyncLedger.job"
            )
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise InvalidFieldError(
                "job",
                f"{function.__qualname__} is a generator function, which runs after its call:"
                " write `with ledger.run(...)` in it",
            )
        naming = _Naming(name, function)

        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            with block(naming(arguments, named)) as run:
                made = function(*arguments, **named)
                _keep(run, made)
                return made

        return call

    return decorate


def async_job_function(name: str, block: AsyncBlock) -> Callable[[Function], Function]:
    """Does the same for coroutine functions; raises InvalidFieldError for other functions."""

    def decorate(function: Any) -> Any:
        if not inspect.iscoroutinefunction(function):
            raise InvalidFieldError(
                "job", f"{function.__qualname__} is not a coroutine function: use Ledger.job"
            )
        naming = _Naming(name, function)

        @wraps(function)
        async def call(*arguments: Any, **named: Any) -> Any:
            async with block(naming(arguments, named)) as run:
                made = await function(*arguments, **named)
                _keep(run, made)
                return made

        return call

    return decorate


class _Naming:
    """Fills a call's arguments into the pattern of its job's name."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        self._signature = inspect.signature(function)

    def __call__(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> str:
        if "{" not in self._name:
            return self._name
        bound = self._signature.bind(*arguments, **named)
        bound.apply_defaults()
        values = {key: job_id(str(value) or "-") for key, value in bound.arguments.items()}
        try:
            return self._name.format(**values)
        except (KeyError, IndexError, ValueError) as error:
            raise self._unknown(f"has {error}, which is no parameter", values) from None
        except (AttributeError, TypeError):
            raise self._unknown("has a part of a parameter, which is a text here", values) from None

    def _unknown(self, why: str, values: Iterable[str]) -> InvalidFieldError:
        known = ", ".join(f"{{{key}}}" for key in values)
        return InvalidFieldError("name", f"{self._name!r} {why}; there are {known}")


def _keep(run: Run, made: Any) -> None:
    """Makes a function's result the job's output, if it is a JSON object and no output was set."""
    if run.output is None and isinstance(made, dict):
        run.output = made
