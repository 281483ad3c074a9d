"""The progress of a long command: a bar on standard error, if that is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobledger.infra.cli.context import ERR
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)


def progress_bar(amount: DownloadColumn | MofNCompleteColumn) -> Progress:
    """Returns a bar with that total, for a command that adds its own tasks."""
    columns = TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn()
    return Progress(*columns, console=ERR.console, disable=not sys.stderr.isatty())


def move(progress: Progress, bar: TaskID, read: int) -> None:
    """Advances the bar to that amount."""
    progress.update(bar, completed=read)


@contextmanager
def moving(
    what: str, total: int | None = None, *, shown: bool = True
) -> Iterator[Callable[..., object]]:
    """Yields a function that is called with the number done, the total, and the step if it changes."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    hidden = not (shown and sys.stderr.isatty())
    with Progress(*columns, console=ERR.console, disable=hidden) as progress:
        task = progress.add_task(what, total=total)

        def move(done: int, size: int | None = None, what: str = what) -> None:
            progress.update(task, description=what, completed=done, total=size)

        yield move
