"""The command line in a terminal of 80 columns: width, colours, the pager, and --watch."""

from __future__ import annotations

import shutil
import signal

import pytest
from jobledger.infra import Ledger
from jobledger.infra.transfer.traces.simulation import simulate

from tests.command_line import Cli
from tests.terminals import terminal

COLOUR = "\x1b[36m"
"""Cyan, the colour of RUNNING."""


@pytest.fixture
def person(cli: Cli, ledger: Ledger) -> Cli:
    """The command line on a ledger with 40 jobs, one of them running, with colours."""
    ledger.append_many(simulate(40, 1, "p"))
    ledger.create("projects/p/jobs/resnet_1")
    ledger.started("projects/p/jobs/resnet_1")
    del cli.environment["NO_COLOR"]
    cli.environment["JOBLEDGER_PAGER"] = "cat"
    return cli


@pytest.mark.slow
def test_a_job_is_a_line_with_its_state_in_colour(person: Cli) -> None:
    with terminal(person, "list", "--limit", "20", columns=80) as (screen, process):
        lines = screen.read_all().splitlines()
        assert process.wait() == 0
    assert COLOUR in screen.raw
    assert lines[1].split()[:2] == ["resnet_1", "RUNNING"]
    assert max(map(len, lines)) <= 80
    assert len(lines) == 20 + 1 + 1  # The header, and that there are more.


@pytest.mark.slow
def test_no_color_turns_colours_off(person: Cli) -> None:
    person.environment["NO_COLOR"] = "1"
    with terminal(person, "list", columns=80) as (screen, _):
        assert "resnet_1" in screen.read_all()
    assert "\x1b" not in screen.raw


@pytest.mark.slow
@pytest.mark.parametrize("command", [["list", "--wide"], ["history", "resnet_1", "--wide"]])
def test_a_wide_table_cuts_nothing(person: Cli, ledger: Ledger, command: list[str]) -> None:
    why = "the disk of the node is full; " * 5
    ledger.failed("projects/p/jobs/resnet_1", why)
    with terminal(person, *command, columns=80) as (screen, _):
        text = screen.read_all()
    assert why.strip() in text
    assert "FAILED" in text


@pytest.mark.slow
def test_a_list_longer_than_the_terminal_goes_to_the_pager(person: Cli) -> None:
    person.environment["JOBLEDGER_PAGER"] = "grep -c ."
    with terminal(person, "list", columns=80, lines=30) as (screen, _):
        assert screen.read_all().splitlines()[0] == "42"
    with terminal(person, "list", "--limit", "3", columns=80, lines=30) as (screen, _):
        assert "resnet_1" in screen.read_all()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("less") is None, reason="less is not installed")
def test_less_shows_colours_and_keeps_the_screen(person: Cli) -> None:
    person.environment |= {"JOBLEDGER_PAGER": "less", "TERM": "xterm"}
    person.environment.pop("LESS", None)
    with terminal(person, "list", columns=80, lines=30) as (screen, process):
        screen.wait("resnet_1")
        screen.press("q", "")
        process.wait()
    assert COLOUR in screen.raw
    assert "\x1b[?1049h" not in screen.raw  # The alternate screen, which less leaves empty.


@pytest.mark.slow
def test_watch_prints_the_list_again_until_interrupted(person: Cli, ledger: Ledger) -> None:
    person.environment["JOBLEDGER_PAGER"] = "false"  # A pager would wait for keys.
    with terminal(person, "list", "--watch", columns=80, lines=30) as (screen, process):
        screen.wait("resnet_1      RUNNING")
        ledger.failed("projects/p/jobs/resnet_1", "out of memory")
        screen.wait("resnet_1      FAILED")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
