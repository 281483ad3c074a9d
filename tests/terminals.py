"""Commands in a terminal, as a person runs them."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.command_line import Cli

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""Colours, and movements of the cursor."""


class Terminal:
    """A pseudo-terminal that a command runs in, its screen as the text written last."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.text = ""
        self.raw = ""
        """The text with its colours and movements of the cursor."""

    def press(self, keys: str, until: str) -> str:
        """What is written after those keys, once this is among it."""
        self.text = ""
        os.write(self._fd, keys.encode())
        return self.wait(until)

    def wait(self, until: str) -> str:
        deadline = time.monotonic() + 60
        while until not in self.text:
            assert time.monotonic() < deadline, f"{until!r} is not in {self.text!r}"
            if select.select([self._fd], [], [], 0.1)[0]:
                self._read()
        return self.text

    def read_all(self) -> str:
        """All that is written until the command ends, without colours."""
        while self._read():
            pass
        return self.text

    def _read(self) -> bool:
        """Reads once; returns False if the terminal is closed, which Linux says as an error."""
        try:
            more = os.read(self._fd, 65_536).decode(errors="replace")
        except OSError:
            return False
        self.raw += more
        self.text += CONTROL.sub("", more)
        return bool(more)


@contextmanager
def terminal(
    cli: Cli, *arguments: str, columns: int = 120, lines: int = 40
) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    """The command in a terminal of that size; it is killed at the end."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    environment = {k: v for k, v in cli.environment.items() if k not in {"COLUMNS", "LINES"}}
    process = subprocess.Popen(
        [*cli.command, *arguments], env=environment | {"TERM": "xterm"},
        stdin=inner, stdout=inner, stderr=inner, start_new_session=True,
    )  # fmt: skip
    os.close(inner)
    try:
        yield Terminal(outer), process
    finally:
        process.kill()
        process.wait()
        os.close(outer)
