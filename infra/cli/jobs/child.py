"""Runs a command as a job. The command comes first: no trouble with the ledger keeps it from running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Final, NamedTuple
from uuid import uuid4

from jobledger.domain.data import UNKNOWN, Data
from jobledger.domain.errors import JobExistsError, LedgerError
from jobledger.domain.events import Retried, Started, parse_data
from jobledger.domain.job import Job
from jobledger.domain.reports import storable
from jobledger.domain.states import TERMINAL, WAITING
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.cli.jobs.stderr import Stderr
from jobledger.infra.ledger import Ledger
from jobledger.infra.settings import public_environment

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
SIGNALLED: Final = 128
"""What a shell answers for a command it cannot run, or that signal n ended (128 + n)."""


class Outcome(NamedTuple):
    """The command's exit code, and whether the ledger has all of it: created, started and ended."""

    code: int
    is_recorded: bool


class Command:
    """A command that is run once, with SIGINT and SIGTERM passed on to it."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.signal: signal.Signals | None = None
        """The last signal that was passed on."""
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr = Stderr()

    @property
    def said(self) -> str:
        """The last lines of its stderr."""
        return self._stderr.last_lines

    def run(self, started: Callable[[], object]) -> int:
        """Its exit code; `started` is called once it runs."""
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's own command
                self.words, stderr=subprocess.PIPE, env=public_environment()
            )
        except (OSError, ValueError) as error:
            return self._not_run(error)
        assert self._process.stderr is not None
        reader = Thread(target=self._stderr.pass_on, args=(self._process.stderr,), daemon=True)
        reader.start()
        if self.signal is not None:
            self._process.send_signal(self.signal)
        started()
        code = self._process.wait()
        reader.join(timeout=1)  # What it started itself may hold stderr open longer.
        return SIGNALLED - code if code < 0 else code

    def _not_run(self, error: OSError | ValueError) -> int:
        why = error.strerror if isinstance(error, OSError) else error
        self._stderr.add(os.fsencode(f"{self.words[0]}: {why}"))
        _warn(self.said)
        return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE

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


def run_as_job(
    open_ledger: Callable[[], Ledger],
    name: str,
    labels: Mapping[str, str],
    command: Command,
    *,
    once: bool = False,
) -> Outcome:
    """Runs the command and reports it; the exit code is the command's, whatever became of the reports.

    If there is such a job already, this run is a new attempt at it; with `once` it is refused: then
    every LedgerError is raised before anything runs. What could not be recorded is said on stderr.
    Raises InvalidFieldError, before anything runs, for a name or labels that are not right.
    """
    with command.signals_passed_on():
        try:
            ledger = open_ledger()
        except Exception as error:
            if once:
                raise
            _warn_of(error)
            return Outcome(command.run(lambda: None), is_recorded=False)
        run = Run(ledger, name, command)
        try:
            code = run.carry_out(labels, once=once)
        finally:
            run.tell(ledger.close)
    return Outcome(code, run.is_recorded)


class Run:
    """One run of a command, as an attempt at a job. Its reports name the attempt by an id of this run."""

    def __init__(self, ledger: Ledger, name: str, command: Command) -> None:
        self.is_recorded = True
        self._ledger = ledger
        self._name = name
        self._command = command
        self._run_id = uuid4().hex
        actor = f"{os.environ.get('USER', 'unknown')}@{os.uname().nodename}"[:256]
        self._actor = "".join(c if c.isprintable() else "?" for c in actor)

    def carry_out(self, labels: Mapping[str, str], *, once: bool) -> int:
        """Runs the command and reports it; returns its exit code."""
        spec = spec_of(self._command.words)
        if once:
            self._ledger.create(self._name, labels, spec, actor=self._actor)
        else:
            self.tell(lambda: self._begin(labels, spec))
        code = self._command.run(lambda: self.tell(lambda: self._report(Started())))
        self.tell(lambda: self._report(self._end(code)))
        return code

    def tell(self, report: Callable[[], object]) -> None:
        """Reports something; whatever goes wrong is said on stderr, and the command runs."""
        try:
            report()
        except Exception as error:
            self.is_recorded = False
            _warn_of(error)

    def _begin(self, labels: Mapping[str, str], spec: JsonObject) -> None:
        """Creates the job; one that is there, and does not just wait to be run, begins a new attempt."""
        try:
            self._ledger.create(self._name, labels, spec, actor=self._actor)
        except JobExistsError:
            job = self._ledger.get(self._name)
            if job.state not in WAITING:
                self._begin_again(job, labels, spec)

    def _begin_again(self, job: Job, labels: Mapping[str, str], spec: JsonObject) -> None:
        if job.state not in TERMINAL:
            state = "in no state" if job.state is None else job.state.name
            _warn(f"{job.name} is {state} in attempt {job.attempt}, and this run is a new attempt")
        if not self._report(Retried(reason="run again")):
            return
        self._ledger.change_config(job.name, job.spec | spec, actor=self._actor)
        self._ledger.change_labels(job.name, job.labels | dict(labels), actor=self._actor)

    def _end(self, code: int) -> Data:
        """What is reported once the command has ended."""
        said = {"exitCode": code}
        if self._command.signal is not None:
            reason = f"stopped by {self._command.signal.name}"
            return parse_data("Cancelled", said | {"reason": reason})
        if code == 0:
            return parse_data("Succeeded", {"output": said})
        message = self._command.said or f"exited with code {code}"
        return parse_data("Failed", said | {"error": {"code": UNKNOWN, "message": message}})

    def _report(self, data: Data) -> bool:
        """Whether it was recorded as it is, and does not contradict what is known."""
        run_id, actor = self._run_id, self._actor
        _, events = self._ledger.report(self._name, data, run_id=run_id, actor=actor)
        last = events[-1]
        if last.type == "Contradicted":
            kept = f"{self._name} is {last.json['state']}, so that {type(data).__name__} is kept as"
            _warn(f"{kept} Contradicted")
        return last.type != "Contradicted"


def spec_of(words: Sequence[str]) -> JsonObject:
    """What the job's spec says of the command, in what can be stored: marked where that is not all."""
    spec: JsonObject = {"command": list(words)}
    with suppress(OSError):  # The directory was removed.
        spec["directory"] = str(Path.cwd())
    return storable(spec)


def _warn_of(error: Exception) -> None:
    why = error if isinstance(error, LedgerError) else f"{type(error).__name__}: {error}"
    _warn(f"not recorded: {why} (the command runs all the same)")


def _warn(message: str) -> None:
    print(f"jobledger: {message}", file=sys.stderr)  # noqa: T201 - beside what the command says
