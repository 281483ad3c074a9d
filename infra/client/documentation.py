"""The documentation of the client's methods: that of the ledger's methods, for what a server takes."""

import inspect
import re
from collections.abc import Callable, Container
from typing import Any, Final, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])

REFUSALS: Final = """\
Raises:
    UnauthenticatedError: The token is missing or unknown, was revoked, or has expired.
    PermissionDeniedError: The token does not permit the request.
"""


def documented_for_server(method: Callable[..., Any]) -> Callable[[Method], Method]:
    """Gives a function of a client the documentation of the ledger's method, for its own arguments."""

    def give(function: Method) -> Method:
        parameters = inspect.signature(function).parameters
        function.__doc__ = through_server(inspect.getdoc(method) or "", parameters)
        return function

    return give


def through_server(documentation: str, parameters: Container[str]) -> str:
    """Returns a docstring without the arguments that are missing, with errors of access, for `client`."""
    lines: list[str] = []
    section, is_kept = "", True
    for line in documentation.split("\n"):
        if re.fullmatch(r"\w+:", line):
            section, is_kept = line, True
        elif re.match(r" {4}\w", line):
            entry = line.strip().partition(":")[0]
            is_kept = (section != "Args:" or entry in parameters) and entry != "OwnerNeededError"
        elif not line:
            is_kept = True
        if is_kept:
            lines.append(line)
    text = re.sub(r"\bledger\.", "client.", "\n".join(lines))
    return text.replace("Args:\n\n", "").replace("Raises:\n", REFUSALS)
