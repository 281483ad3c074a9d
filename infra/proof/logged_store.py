"""The interface of functions that write to a ledger and sign its log; `Ledger` implements it."""

from collections.abc import Callable
from operator import attrgetter
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from jobledger.infra.forwarding import to_part
from jobledger.infra.proof.transparency_log import TransparencyLog
from jobledger.infra.read.store import Store

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class LoggedStore(Store, Protocol):
    """One ledger, with its transparency log."""

    @property
    def log(self) -> TransparencyLog:
        """The ledger's log, which signs checkpoints."""


def to_log(
    function: Callable[Concatenate[TransparencyLog, Parameters], Result],
) -> Callable[Concatenate[LoggedStore, Parameters], Result]:
    """Makes a method of `Ledger` that calls the function with its log."""
    return to_part(attrgetter("log"), function)
