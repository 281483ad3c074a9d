"""The usual forms of `jobledger run`, read without typer, whose import takes longer than the rest of the start.

All other forms (`--help`, `--once`, an unknown or invalid option) are left to typer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from jobledger.domain.running import HEARTBEAT_SECONDS
from jobledger.infra.cli.given import Given
from jobledger.infra.cli.jobs.run_options import RunOptions

SHARED: Final = ("--dsn", "--ledger", "--project", "--server", "--token")
OF_RUN: Final = ("--name", "--label", "--heartbeat")


def parse_run(arguments: Sequence[str]) -> tuple[Given, RunOptions] | None:
    """Parses the program's arguments if they are a plain `run`; otherwise returns None."""
    rest, is_run = list(arguments), False
    fields: dict[str, list[str]] = {option: [] for option in (*SHARED, *OF_RUN)}
    while rest and (rest[0].startswith("--") or not is_run):
        option, equals, value = rest.pop(0).partition("=")
        if option == "--" and not equals:
            return _run(fields, rest) if is_run else None
        if option == "run" and not is_run:
            is_run = True
        elif option in fields and (is_run or option in SHARED) and (equals or rest):
            fields[option].append(value if equals else rest.pop(0))
        else:
            return None
    # Without `--`, a word of the command that begins with `-` is an option to typer.
    is_plain = is_run and not any(word.startswith("-") for word in rest)
    return _run(fields, rest) if is_plain else None


def _run(fields: dict[str, list[str]], command: list[str]) -> tuple[Given, RunOptions] | None:
    if not command or any(value.startswith("-") for values in fields.values() for value in values):
        return None
    last = {option: values[-1] if values else None for option, values in fields.items()}
    heartbeat = HEARTBEAT_SECONDS
    if (text := last["--heartbeat"]) is not None:
        if not text.isascii() or not text.isdecimal() or len(text) > 3:
            return None
        heartbeat = float(text)
    given = Given(*(last[option] for option in SHARED))
    return given, RunOptions(command, last["--name"], fields["--label"], False, heartbeat)
