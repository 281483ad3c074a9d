"""The interface of functions that read and write a ledger; `Ledger` implements it."""

from collections.abc import Callable
from operator import attrgetter
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from jobledger.infra.eventstore.writer import Writer
from jobledger.infra.forwarding import to_part
from jobledger.infra.read.reader import Reader

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Store(Protocol):
    """One ledger, for reading and writing."""

    @property
    def reader(self) -> Reader:
        """Reads it."""

    @property
    def writer(self) -> Writer:
        """Writes to it."""


def to_reader(
    function: Callable[Concatenate[Reader, Parameters], Result],
) -> Callable[Concatenate[Store, Parameters], Result]:
    """Makes a method of `Ledger` that calls the function with its reader."""
    return to_part(attrgetter("reader"), function)


def to_writer(
    function: Callable[Concatenate[Writer, Parameters], Result],
) -> Callable[Concatenate[Store, Parameters], Result]:
    """Makes a method of `Ledger` that calls the function with its writer."""
    return to_part(attrgetter("writer"), function)
