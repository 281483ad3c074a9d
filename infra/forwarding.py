"""Methods that hand a part of an object to a function: typed, and with the function's documentation."""

import inspect
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

Owner = TypeVar("Owner")
Part = TypeVar("Part")
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Method = TypeVar("Method", bound=Callable[..., Any])


def to_part(
    part: Callable[[Owner], Part], function: Callable[Concatenate[Part, Parameters], Result]
) -> Callable[Concatenate[Owner, Parameters], Result]:
    """Makes a method that calls a function with a part of the object.

    Args:
        part: Returns the part, such as `attrgetter("reader")`.
        function: The function, or a method of the part's class.

    Returns:
        The method, with the function's signature and documentation.
    """

    @wraps(function)
    def method(self: Owner, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return function(part(self), *args, **kwargs)

    return of_self(method)


def to_self(
    function: Callable[Concatenate[Owner, Parameters], Result],
) -> Callable[Concatenate[Owner, Parameters], Result]:
    """Makes a method that calls a function with the object itself."""

    @wraps(function)
    def method(self: Owner, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return function(self, *args, **kwargs)

    return of_self(method)


def of_self(method: Method) -> Method:
    """The method, as help() shows it: `self` replaces the function's first parameter."""
    signature = inspect.signature(method)
    replaced, *rest = signature.parameters.values()
    documentation = re.sub(rf"\n +{replaced.name}: .*", "", method.__doc__ or "")
    method.__doc__ = re.sub(r"\n +Args:\n(?=\n)", "", documentation)
    first = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    method.__signature__ = signature.replace(parameters=[first, *rest])  # type: ignore[attr-defined] # inspect looks there
    return method


def documented(method: Callable[..., Any]) -> Callable[[Method], Method]:
    """Gives a function the documentation of a method that does the same."""

    def give(function: Method) -> Method:
        function.__doc__ = method.__doc__
        return function

    return give
