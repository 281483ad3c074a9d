"""The command that replays one job: step by step with keys on a terminal, otherwise all at once."""

import os
import re
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Final

import typer
from jobledger.infra.cli.context import OUT, JobName, Json, OnClock, print_json, target
from jobledger.infra.cli.history.changes import changes_table, shown
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.history.diff import fields_of
from jobledger.infra.history.replay import Replay, Replayed, parse_hypothesis, replay_job
from jobledger.infra.history.timeline import moment_of
from rich.console import Console, Group
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_KEY: Final = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)
KEYS: Final[dict[str, Callable[[int, int], int]]] = {
    **dict.fromkeys(["n", " ", "l", "\x1b[C", "\x1bOC", "\r"], lambda at, last: min(at + 1, last)),
    **dict.fromkeys(["p", "h", "\x1b[D", "\x1bOD", "\x7f"], lambda at, last: max(at - 1, 0)),
    **dict.fromkeys(["g", "\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~"], lambda at, last: 0),
    **dict.fromkeys(["G", "\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~"], lambda at, last: last),
}
"""The step that each key leads to, from a step and their number."""
QUITS: Final = frozenset({"q", "\x1b", "\x03", "\x04"})
ESCAPE: Final = 0.1
"""How long to wait for further characters after an escape, which alone is a key, too."""
HELP: Final = "← p  previous   → n  next   Home g  first   End G  last   q  quit"


def replay(
    context: typer.Context,
    name: JobName,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME|vN|@POSITION", help="Replay up to this moment; default: now."),
    ] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="EVENT=JSON",
            help='And then, as if it were reported: \'Failed={"error": "boom"}\'. Never recorded.',
        ),
    ] = None,
    clock: OnClock = None,
    json: Json = False,
) -> None:
    """Replay a job event by event, with hypothetical events after the recorded ones."""
    aim = target(context)
    hypotheses = [parse_hypothesis(text) for text in with_ or ()]
    with aim.open() as ledger:
        job = aim.name(name)
        replayed = replay_job(
            ledger.reader, job, moment_of(ledger.reader, "until", until, clock, job), hypotheses
        )
    if json:
        print_json(replayed.json())
    elif sys.stdin.isatty() and sys.stdout.isatty():
        _browse(replayed)
    else:
        for number, step in enumerate(replayed.steps):
            for part in (_title(replayed, number), _clocks(step), changes_table(step.changes)):
                OUT.print(part)


def _browse(replayed: Replay) -> None:
    """Shows the step at the cursor until a key quits."""
    last = len(replayed.steps) - 1
    at = last
    # Its own console: OUT never breaks lines, which a screen must.
    console = Console(highlight=False)
    with (
        _unbuffered(sys.stdin.fileno()) as terminal,
        Live(_screen(replayed, at), console=console, screen=True, auto_refresh=False) as live,
    ):
        for key in _keys(terminal):
            if key in QUITS:
                return
            if (move := KEYS.get(key)) is not None:
                at = move(at, last)
            live.update(_screen(replayed, at), refresh=True)


@contextmanager
def _unbuffered(terminal: int) -> Iterator[int]:
    """Switches the terminal to unbuffered input; keys that are pressed meanwhile are kept."""
    import termios  # Only Unix has terminals of this kind, and only this command needs one.
    import tty

    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal, termios.TCSADRAIN)
    mode = termios.tcgetattr(terminal)
    mode[3] &= ~termios.ISIG
    termios.tcsetattr(terminal, termios.TCSADRAIN, mode)
    try:
        yield terminal
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _keys(terminal: int) -> Iterator[str]:
    """Yields keys as they are pressed; several that arrive at once are split."""
    while typed := os.read(terminal, 1_024):
        if typed.endswith(b"\x1b") and select.select([terminal], [], [], ESCAPE)[0]:
            typed += os.read(terminal, 1_024)
        yield from _KEY.findall(typed.decode(errors="replace"))


def _screen(replayed: Replay, at: int) -> Layout:
    step = replayed.steps[at]
    layout = Layout()
    layout.split_column(
        Layout(Panel(Group(_title(replayed, at), _clocks(step))), name="event", size=5),
        Layout(name="job"),
        Layout(Text(HELP, style="dim"), name="keys", size=1),
    )
    changes = changes_table(step.changes)
    layout["job"].split_row(
        Layout(Panel(_state_table(step), title="state")),
        Layout(Panel(changes, title="changed by this event")),
    )
    return layout


def _title(replayed: Replay, at: int) -> Text:
    """`3/7 v3 Started, RUNNING`, and whether it happened."""
    step = replayed.steps[at]
    event, state = step.event, step.job.state
    count = len(replayed.steps)
    title = Text(f"{at + 1}/{count} {replayed.name} v{event.version} ", style="bold")
    title.append(event.type, style="bold red" if step.contradicted else "bold")
    title.append(f", {'no state' if state is None else state.name}")
    if step.hypothetical:
        title.append("  HYPOTHETICAL, not recorded", style="bold yellow")
    return title


def _clocks(step: Replayed) -> Text:
    occurred = time_text(step.event.occurred_time)
    recorded = time_text(step.recorded_time) or "never"
    position = "" if step.recorded is None else f" @{step.recorded.position}"
    actor = "" if step.event.actor is None else f", by {step.event.actor}"
    fields = shown(step.event.data.json_object())
    return Text(f"occurred {occurred}, recorded {recorded}{position}{actor}\n{fields}")


def _state_table(step: Replayed) -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for field, value in fields_of(step.job).items():
        if value is not None and value != {}:
            table.add_row(Text(field, style="dim"), Text(shown(value)))
    return table
