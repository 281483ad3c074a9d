"""Prints with rich on a terminal, and as plain text elsewhere."""

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

FULL_WIDTH: Final = 1_000_000
"""The width of a table that is shown in full width, on any terminal or in a pipe; no line is as long."""
FORCING: Final = ("FORCE_COLOR", "TTY_COMPATIBLE")
"""Variables that make rich write colours to a pipe."""


class Printer:
    """Prints on one of the standard streams; imports rich when something needs it."""

    def __init__(self, *, error: bool = False) -> None:
        """Prints on standard output, or with `error` on standard error."""
        self._error = error

    @property
    def is_plain(self) -> bool:
        """Whether text is printed without colours, and so without rich."""
        return not self._stream.isatty() and not any(map(os.environ.get, FORCING))

    @cached_property
    def console(self) -> Console:
        """Rich's console on the stream."""
        return self._console(None)

    def print(
        self, shown: Any, *, style: str | None = None, markup: bool = True, wide: bool = False
    ) -> None:
        """Prints text, or anything else that rich can draw.

        Args:
            shown: The text, or what rich draws.
            style: Rich's style of it.
            markup: Whether text is markup of rich's.
            wide: Whether a table may be wider than the terminal.
        """
        if isinstance(shown, str) and self.is_plain:
            typer.echo(shown, err=self._error)
        elif not self._stream.isatty():
            self._stream.write(self._drawn(shown, style, markup=markup))
        else:
            console = self._console(FULL_WIDTH) if wide else self.console
            console.print(shown, style=style, markup=markup)

    def _drawn(self, shown: Any, style: str | None, *, markup: bool) -> str:
        """Returns what a pipe gets: no line is wrapped, or padded at its end."""
        console = self._console(FULL_WIDTH)
        with console.capture() as captured:
            console.print(shown, style=style, markup=markup)
        return "\n".join(line.rstrip(" ") for line in captured.get().split("\n"))

    @property
    def width(self) -> int | None:
        """The width of the terminal; None if the stream is not a terminal."""
        return shutil.get_terminal_size().columns if self._stream.isatty() else None

    def print_long(self, shown: Any, *, wide: bool = False) -> None:
        """Prints text or a table; with a pager, as git does, if it is longer than the terminal.

        Args:
            shown: The text or the table.
            wide: Whether a table may be wider than the terminal.
        """
        if not self._stream.isatty():
            self.print(shown, markup=False, wide=wide)
            return
        console = self._console(FULL_WIDTH) if wide else self.console
        with console.capture() as captured:
            console.print(shown, markup=False)
        show_paged(captured.get(), self._stream)

    def _console(self, width: int | None) -> Console:
        """Returns rich's console with this width; None is the terminal's width."""
        from rich.console import Console

        return Console(
            stderr=self._error,
            soft_wrap=True,
            highlight=False,
            width=width,
            color_system=None if os.environ.get("NO_COLOR") else "auto",
        )

    @property
    def _stream(self) -> TextIO:
        return sys.stderr if self._error else sys.stdout
