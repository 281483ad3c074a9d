"""Runs a command as a job. The command comes first: no trouble with the ledger keeps it from running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import IO, Final

from jobledger.domain.errors import LedgerError
from jobledger.infra.ledger import Ledger

LAST_LINES: Final = 20
LAST_CHARACTERS: Final = 4_000
"""How much of the command's stderr becomes the error message."""
NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
SIGNALLED: Final = 128
"""What a shell answers for a command it cannot run, or that signal n ended (128 + n)."""


class Command:
    """A command that is run once, with SIGINT and SIGTERM passed on to it."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.signal: signal.Signals | None = None
        """The last signal that was passed on."""
        self._process: subprocess.Popen[bytes] | None = None
        self._said: deque[str] = deque(maxlen=LAST_LINES)

    @property
    def said(self) -> str:
        """The last lines of its stderr."""
        return "".join(self._said)[-LAST_CHARACTERS:].replace("\0", "").strip()

    def run(self, started: Callable[[], object]) -> int:
        """Its exit code; `started` is called once it runs."""
        try:
            self._process = subprocess.Popen(self.words, stderr=subprocess.PIPE)  # noqa: S603 - the user's own command
        except OSError as error:
            self._said.append(f"{self.words[0]}: {error.strerror}")
            print(f"jobledger: {self.said}", file=sys.stderr)  # noqa: T201 - as a shell would
            return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        assert self._process.stderr is not None
        reader = Thread(target=self._pass_stderr_on, args=(self._process.stderr,), daemon=True)
        reader.start()
        if self.signal is not None:
            self._process.send_signal(self.signal)
        started()
        code = self._process.wait()
        reader.join(timeout=1)  # What it started itself may hold stderr open longer.
        return SIGNALLED - code if code < 0 else code

    @contextmanager
    def signals_passed_on(self) -> Iterator[None]:
        """While this holds, SIGINT and SIGTERM end the command and not this program."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, self._pass_signal_on) for number in numbers]
        try:
            yield
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _pass_signal_on(self, number: int, _: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _pass_stderr_on(self, stderr: IO[bytes]) -> None:
        for line in stderr:
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
            self._said.append(line.decode(errors="replace"))


def run_as_job(
    open_ledger: Callable[[], Ledger], name: str, labels: Mapping[str, str], command: Command
) -> int:
    """Runs it and tells the ledger; returns the command's exit code, whatever became of the telling.

    Raises InvalidFieldError, before anything runs, for a name or labels that are not right.
    """
    actor = f"{os.environ.get('USER', 'unknown')}@{os.uname().nodename}"[:256]
    spec = {"command": command.words, "directory": str(Path.cwd())}
    with command.signals_passed_on():
        try:
            ledger = open_ledger()
        except LedgerError as error:
            _complain(error)
            return command.run(lambda: None)
        with ledger:
            _tell(lambda: ledger.create(name, labels, spec, actor=actor))
            code = command.run(lambda: _tell(lambda: ledger.started(name, actor=actor)))
            _tell(lambda: _tell_end(ledger, name, command, code, actor))
    return code


def _tell_end(ledger: Ledger, name: str, command: Command, code: int, actor: str) -> None:
    data = {"exitCode": code}
    if command.signal is not None:
        ledger.cancelled(name, f"stopped by {command.signal.name}", data, actor=actor)
    elif code == 0:
        ledger.succeeded(name, data, actor=actor)
    else:
        message = command.said or f"exited with code {code}"
        ledger.failed(name, {"code": 2, "message": message}, data, actor=actor)


def _tell(telling: Callable[[], object]) -> None:
    try:
        telling()
    except LedgerError as error:
        _complain(error)


def _complain(error: LedgerError) -> None:
    print(f"jobledger: {error} (the command runs all the same)", file=sys.stderr)  # noqa: T201
