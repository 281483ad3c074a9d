"""The result of one check of `jobledger doctor`."""

from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    """What a check found."""

    OK = "ok"
    PROBLEM = "problem"
    SKIPPED = "skipped"
    """The check depends on something that another check found wrong."""


class Check(NamedTuple):
    """One line of the report."""

    name: str
    status: Status
    detail: str
    """What was found."""
    remedy: str | None = None
    """What to do about a problem."""


def ok(name: str, detail: str) -> Check:
    """Nothing is wrong."""
    return Check(name, Status.OK, detail)


def problem(name: str, detail: str, remedy: str) -> Check:
    """Returns the result of a failed check; `remedy` is what to do about it."""
    return Check(name, Status.PROBLEM, detail, remedy)


def skipped(name: str, detail: str) -> Check:
    """Returns the result of a check that could not be made."""
    return Check(name, Status.SKIPPED, detail)
