"""Runs a command as a job. The command runs even if the ledger cannot be used."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Any, Final, NamedTuple
from uuid import uuid4

from jobledger.domain.running import (
    HEARTBEAT_SECONDS,
    STOPPING,
    RunRecord,
    RunReport,
    actor_name,
    exit_code,
    how_it_ended,
)
from jobledger.infra.cli.jobs.outcome import summary
from jobledger.infra.cli.jobs.stderr import Stderr
from jobledger.infra.programs.opening import Opening
from jobledger.infra.programs.reporter import Reporter
from jobledger.infra.programs.users import user_name
from jobledger.infra.settings import public_environment

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
"""Exit codes of shells for a command that they cannot run."""
OPENING_SECONDS: Final = 60.0
"""How long --once waits for the ledger before the command."""


class Outcome(NamedTuple):
    """The command's exit code, and whether the ledger has its creation, start and end."""

    code: int
    is_recorded: bool


class Command:
    """A command that is run once, with SIGHUP, SIGINT, SIGQUIT and SIGTERM passed on to it."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.signal: signal.Signals | None = None
        """The last signal that was to be passed on."""
        self.failure: str | None = None
        """Why it was not run, if it was not."""
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr = Stderr()

    @property
    def last_words(self) -> str:
        """The last lines of the command's stderr."""
        return self._stderr.last_lines

    @property
    def process_id(self) -> int | None:
        """The id of the command's process; None if it was not started."""
        return None if self._process is None else self._process.pid

    def run(self, started: Callable[[], object]) -> int:
        """Runs the command; returns its exit code, or the negative number of the signal that killed it. `started` is called when it runs."""
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own command
                self.words, stderr=subprocess.PIPE, env=public_environment()
            )
        except (OSError, ValueError) as error:
            return self._not_run(error)
        assert self._process.stderr is not None
        if self.signal is not None:  # The signal came before there was a process to pass it on to.
            self._process.send_signal(self.signal)
        reader = Thread(target=self._stderr.pass_on, args=(self._process.stderr,), daemon=True)
        reader.start()
        started()
        code = self._process.wait()
        reader.join(timeout=1)  # The command's own children may keep stderr open longer.
        return code

    def _not_run(self, error: OSError | ValueError) -> int:
        why = error.strerror if isinstance(error, OSError) else error
        self.failure = f"{self.words[0]}: {why}"
        warn(self.failure)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE

    @contextmanager
    def signals_passed_on(self) -> Iterator[None]:
        """A block in which these signals end the command instead of this program; ignored ones stay ignored."""
        before: dict[signal.Signals, Any] = {}
        for number in map(signal.Signals.__getitem__, STOPPING):
            if (handler := signal.getsignal(number)) is not signal.SIG_IGN:
                before[number] = handler
                signal.signal(number, self._pass_signal_on)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass_signal_on(self, number: int, _: FrameType | None) -> None:
        self.signal = signal.Signals(number)
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


def run_as_job(
    opening: Opening,
    name: str,
    labels: Mapping[str, str],
    command: Command,
    *,
    once: bool = False,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    is_named: bool = True,
) -> Outcome:
    """Runs the command and reports it.

    If the job exists already, this run is a new attempt at it. What was recorded and what was not
    is printed to stderr, in one line.

    Args:
        opening: Opens the ledger in the background.
        name: The job's resource name.
        labels: The labels of a new job.
        command: What to run.
        once: Refuse a job that exists. Then every LedgerError is raised before the command starts.
        heartbeat_seconds: The time between two heartbeats; 0 sends none.
        is_named: Whether the user gave the name; if not, it is printed.

    Returns:
        The exit code of the command, whatever became of the reports, and whether all were recorded.
    """
    with command.signals_passed_on():
        record = new_record(name, labels, command.words)
        reporter = Reporter(opening, record, heartbeat_seconds, once=once)
        if once:
            _wait_until_made(reporter, command)
        code = _carry_out(reporter, command, opening.end_seconds, is_running=once)
    for note in reporter.notes:
        warn(note)
    if not reporter.is_recorded:
        warn(summary(reporter, name))
    elif not is_named:
        warn(f"recorded as {name}")
    return Outcome(exit_code(code), reporter.is_recorded)


def new_record(name: str, labels: Mapping[str, str], words: Sequence[str]) -> RunRecord:
    """Makes the record of a run before it begins."""
    spec: dict[str, Any] = {"command": list(words)}
    with suppress(OSError):  # The directory was removed.
        spec["directory"] = str(Path.cwd())
    actor = actor_name(user_name(), os.uname().nodename)
    return RunRecord(uuid4().hex, name, actor, datetime.now(UTC), dict(labels), spec)


def warn(message: str) -> None:
    """Prints a warning on the command's standard error."""
    with suppress(OSError):  # Standard error is closed.
        print(f"jobledger: {message}", file=sys.stderr, flush=True)  # noqa: T201


def _wait_until_made(reporter: Reporter, command: Command) -> None:
    """Waits until the job was created for this run; raises the error if it cannot be."""
    reporter.start()
    reporter.wait(OPENING_SECONDS, lambda: command.signal is not None, begun=True)
    if not reporter.has_begun and reporter.file is not None:
        reporter.file.remove()  # The command does not run, so there is nothing to record.
    if reporter.failure is not None:
        raise reporter.failure
    if not reporter.has_begun and command.signal is None:
        raise _unanswered()


def _unanswered() -> Exception:
    from jobledger.infra.errors import LedgerUnavailableError

    return LedgerUnavailableError(f"no answer within {OPENING_SECONDS:g} s")


def _carry_out(
    reporter: Reporter, command: Command, end_seconds: float, *, is_running: bool
) -> int:
    """Runs the command while the reporter reports it; returns its exit code, negative for a signal."""

    def started() -> None:
        fields = {"host": os.uname().nodename, "pid": command.process_id}
        reporter.add(RunReport("Started", fields, datetime.now(UTC)))
        if not is_running:
            reporter.start()

    # With --once a signal may come before the command was started; it is then not started.
    is_stopped = is_running and command.signal is not None
    code = -(command.signal or 0) if is_stopped else command.run(started)
    ended = datetime.now(UTC)
    if command.process_id is None and not is_running:
        reporter.start()
    stopped_by = None if command.signal is None else command.signal.name
    type_, data = how_it_ended(code, stopped_by, command.last_words, command.failure)
    command.signal = None
    reporter.add(RunReport(type_, data, ended), last=True)
    # A second signal ends the wait.
    reporter.wait(end_seconds, lambda: command.signal is not None)
    reporter.leave()
    return code
