"""Values that no option of any command takes: numbers that are too large, and empty moments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jobledger.infra.cli.commands import COMMANDS
from jobledger.infra.cli.lazy import Unloaded

from tests.command_line import Cli

HUGE = "9" * 20
MOMENTS = {"--as-of", "--from", "--to", "--until", "--time", "--before", "--end", "--expires"}


@pytest.mark.slow
def test_a_number_that_is_too_large_is_named(cli: Cli) -> None:
    found = list(_options(int, tuple[int, int]))
    assert len(found) > 10
    for command, option in found:
        done = cli.run(*command.split(), option, HUGE, HUGE)
        assert done.returncode == 2
        assert f"'{option}'" in done.stderr, (command, option)
        assert "must be " in done.stderr, (command, option)
        assert HUGE in done.stderr, (command, option)


@pytest.mark.slow
def test_a_moment_that_is_empty_is_refused(cli: Cli) -> None:
    found = [(command, option) for command, option in _options(str) if option in MOMENTS]
    assert len(found) > 10
    for command, option in found:
        done = cli.run(*command.split(), option, "")
        assert done.returncode == 2
        assert f"'{option}'" in done.stderr, (command, option)
        assert ": is empty; give " in done.stderr, (command, option)


def _options(*types: Any) -> Iterator[tuple[str, str]]:
    """Yields the options of all commands whose values are of these types."""
    for top, entry in COMMANDS.items():
        for name, command in _commands(Unloaded(top, entry).load(), top):
            for each in command.params:
                if each.opts[0].startswith("-") and each.type_descriptor.annotation in types:
                    yield name, each.opts[0]


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    for word, each in getattr(command, "commands", {}).items():
        yield from _commands(each, f"{name} {word}")
