"""How commands print: with rich on a terminal, and as plain text elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, TextIO

import typer
from jobledger.infra.cli.pager import show_paged

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH: Final = 200
"""Columns of a table in a pipe, which has no width: programs want each name on one line."""
FORCING: Final = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""Variables that make rich write colours into a pipe."""


class Printer:
    """Prints on one of the standard streams; imports rich when something needs it."""

    def __init__(self, *, error: bool = False) -> None:
        """On standard output, or with `error` on standard error."""
        self._error = error

    @property
    def is_plain(self) -> bool:
        """Whether text is printed without colours, and so without rich."""
        return not self._stream.isatty() and not any(map(os.environ.get, FORCING))

    @cached_property
    def console(self) -> Console:
        """Rich's console on the stream."""
        from rich.console import Console

        width = None if self._error or self._stream.isatty() else PIPE_WIDTH
        return Console(stderr=self._error, soft_wrap=True, highlight=False, width=width)

    def print(self, shown: Any, *, style: str | None = None, markup: bool = True) -> None:
        """Prints text, or anything else that rich can draw; text is markup of rich's unless `markup` is false."""
        if isinstance(shown, str) and self.is_plain:
            typer.echo(shown, err=self._error)
        else:
            self.console.print(shown, style=style, markup=markup)

    @property
    def width(self) -> int | None:
        """Characters in a line of the terminal; None if the stream is not a terminal."""
        return shutil.get_terminal_size().columns if self._stream.isatty() else None

    def print_long(self, shown: Any) -> None:
        """Prints text or a table; on a terminal that it overflows, with a pager, as git does."""
        if not self._stream.isatty():
            self.print(shown, markup=False)
            return
        with self.console.capture() as captured:
            self.console.print(shown, markup=False)
        show_paged(captured.get(), self._stream)

    @property
    def _stream(self) -> TextIO:
        return sys.stderr if self._error else sys.stdout
