"""What holds for the values of all options: numbers that fit, and moments that are not empty."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

import typer
from jobledger.domain.values.arguments import MAX_COUNT

MOMENTS: Final = ("TIME", "@POSITION")
"""Words in the metavar of an option that takes a time or a position."""


def check_values(command: Any) -> Any:
    """Makes the command, and the commands below it, check the values of their options."""
    for parameter in command.params:
        parameter.callback = _checking(parameter.callback)
    for each in getattr(command, "commands", {}).values():
        check_values(each)
    return command


def _checking(callback: Any) -> Any:
    """Returns a callback that checks the value before the parameter's own callback."""

    def check(context: Any, parameter: Any, value: Any) -> Any:
        for one in value if isinstance(value, list | tuple) else (value,):
            if why := _why_invalid(one, parameter):
                raise typer.BadParameter(why, ctx=context, param=parameter)
        return value if callback is None else callback(context, parameter, value)

    return check


def _why_invalid(value: Any, parameter: Any) -> str | None:
    if isinstance(value, int) and abs(value) > MAX_COUNT:
        return f"must be at most {MAX_COUNT}, not {value}"
    if isinstance(value, float) and not isfinite(value):
        return f"must be a finite number, not {value}"
    wanted = parameter.metavar or ""
    if value == "" and any(word in wanted for word in MOMENTS):
        return f"is empty; give {wanted}, or leave the option out"
    return None
