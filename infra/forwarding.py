"""Methods that hand a part of a ledger to a function: typed, and with the function's documentation."""

import inspect
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from jobledger.infra.eventstore.writer import Writer
from jobledger.infra.read.reader import Reader
from jobledger.infra.read.store import Store

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Method = TypeVar("Method", bound=Callable[..., Any])


def to_reader(
    function: Callable[Concatenate[Reader, Parameters], Result],
) -> Callable[Concatenate[Store, Parameters], Result]:
    """A method of `Ledger` that calls the function with its reader."""

    @wraps(function)
    def method(self: Store, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return function(self.reader, *args, **kwargs)

    return of_self(method)


def to_writer(
    function: Callable[Concatenate[Writer, Parameters], Result],
) -> Callable[Concatenate[Store, Parameters], Result]:
    """A method of `Ledger` that calls the function with its writer."""

    @wraps(function)
    def method(self: Store, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return function(self.writer, *args, **kwargs)

    return of_self(method)


def to_store(
    function: Callable[Concatenate[Store, Parameters], Result],
) -> Callable[Concatenate[Store, Parameters], Result]:
    """A method of `Ledger` that calls the function with the ledger."""

    @wraps(function)
    def method(self: Store, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return function(self, *args, **kwargs)

    return of_self(method)


def of_self(method: Method) -> Method:
    """The method, as help() shows it: `self` stands for the function's first parameter."""
    signature = inspect.signature(method)
    replaced, *rest = signature.parameters.values()
    method.__doc__ = re.sub(rf"\n +{replaced.name}: .*", "", method.__doc__ or "")
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    method.__signature__ = signature.replace(parameters=[first, *rest])  # type: ignore[attr-defined] # inspect looks there
    return method


def documented(method: Callable[..., Any]) -> Callable[[Method], Method]:
    """Gives a function the documentation of a method that does the same."""

    def give(function: Method) -> Method:
        function.__doc__ = method.__doc__
        return function

    return give
