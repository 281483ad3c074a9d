"""The reports on a program that runs as a job, and the file that keeps them.

Only the standard library is imported here, so that a program which runs another one starts at once.
"""

from __future__ import annotations

import json
import signal
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Self

Fields = dict[str, Any]
"""A JSON object."""
FORMAT: Final = 1
"""The version of the lines that a run is kept in."""
UNKNOWN: Final = 2
"""google.rpc.Code of an error of no other code."""
ENDINGS: Final = frozenset({"Succeeded", "Failed", "Cancelled", "Expired"})
"""The events that end a run."""
STOPPING: Final = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM")
"""The signals that ask a program to end."""
SIGNALLED: Final = 128
"""Exit code of a program ended by signal N is this number plus N, as in shells."""
MAX_TRACEBACK: Final = 16_384
"""Characters of a traceback that are kept, its end."""
HEARTBEAT_SECONDS: Final = 15.0
HEARTBEATS_PER_LEASE: Final = 4
"""How many heartbeats may be missing before a run counts as lost."""


class RunReport(NamedTuple):
    """One report on a run: the event's type, its data, and when it occurred (UTC)."""

    type: str
    data: Fields
    time: datetime


class Destination(NamedTuple):
    """The ledger that a run is reported to: the server, without a password, and the ledger's name."""

    server: str
    ledger: str

    @classmethod
    def of_server(cls, address: str) -> Self:
        """Returns that of a `jobledger serve`, whose ledger has no name for its callers."""
        return cls(address.rstrip("/"), "")


@dataclass
class RunRecord:
    """All reports on one run; `reports` grows while it runs.

    `name` is the job's resource name, or only its id if the project setting could not be read.
    """

    run_id: str
    name: str
    actor: str
    time: datetime
    labels: dict[str, str] = field(default_factory=dict)
    spec: Fields = field(default_factory=dict)
    reports: list[RunReport] = field(default_factory=list)
    destination: Destination | None = None
    """None if it is not known, because the settings that say so could not be read."""

    @property
    def is_over(self) -> bool:
        """Whether the run's end is among the reports."""
        return bool(self.reports) and self.reports[-1].type in ENDINGS

    def request_id(self, step: str) -> str:
        """Returns the request id of a step, which makes recording it idempotent."""
        return f"run.{self.run_id}.{step}"

    @property
    def first_line(self) -> str:
        """Returns the first line of the run's file."""
        fields = {"format": FORMAT, "runId": self.run_id, "name": self.name, "actor": self.actor}
        return _line(fields | {"time": _text(self.time), "labels": self.labels, "spec": self.spec})

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Self:
        """Parses the lines of a run's file; an incomplete last line is ignored.

        Args:
            lines: The lines of the file.

        Returns:
            The run.

        Raises:
            ValueError: A line is not of a run's file.
        """
        parts = [json.loads(line) for line in lines if line.endswith("\n")]
        if not parts or not isinstance(parts[0], dict) or parts[0].get("format") != FORMAT:
            raise ValueError(f"the first line is not that of a run in format {FORMAT}")
        try:
            return cls._of(*parts)
        except (KeyError, TypeError) as error:
            raise ValueError(f"a line is not of a run: {error!r}") from error

    @classmethod
    def _of(cls, first: Fields, *following: Fields) -> Self:
        run_id, name, actor = (str(first[field]) for field in ("runId", "name", "actor"))
        time = datetime.fromisoformat(first["time"])
        record = cls(run_id, name, actor, time, dict(first["labels"]), dict(first["spec"]))
        for one in following:
            if "server" in one:
                record.destination = Destination(one["server"], one["ledger"])
            else:
                time = datetime.fromisoformat(one["time"])
                record.reports.append(RunReport(one["type"], dict(one["data"]), time))
        return record


def destination_line(destination: Destination) -> str:
    """Returns the file's line about the ledger that a run is reported to."""
    return _line(destination._asdict())


def report_line(report: RunReport) -> str:
    """Returns the file's line about one report."""
    return _line({"type": report.type, "data": report.data, "time": _text(report.time)})


def how_it_ended(
    code: int, stopped_by: str | None, last_words: str, failure: str | None = None
) -> tuple[str, Fields]:
    """Returns the event that reports the end of a program, and its data.

    Args:
        code: The exit code; negative: the number of the signal that killed it.
        stopped_by: The signal that asked it to end, if any.
        last_words: The end of its stderr.
        failure: Why it could not be started, if so.

    Returns:
        The event type and its data.
    """
    killed_by = _signal_name(-code) if code < 0 else None
    value: Fields = {"exitCode": exit_code(code)}
    if killed_by is not None:
        value["signal"] = killed_by
    asked = stopped_by or (killed_by if killed_by in STOPPING else None)
    if asked is not None:
        return "Cancelled", value | {"reason": f"stopped by {asked}"}
    if code == 0:
        return "Succeeded", {"output": value}
    message = failure or _message(code, killed_by, last_words)
    return "Failed", value | {"error": {"code": UNKNOWN, "message": message}}


def how_it_left(
    error: BaseException | None, output: Fields | None, *, is_cancelled: bool = False
) -> tuple[str, Fields]:
    """Returns the event that reports the end of a block of Python, and its data.

    Args:
        error: The exception that left the block, if any.
        output: What the block produced.
        is_cancelled: Whether the block's task was cancelled.

    Returns:
        The event type and its data.
    """
    made: Fields = {} if output is None else {"output": output}
    if is_cancelled or isinstance(error, KeyboardInterrupt):
        return "Cancelled", {"reason": f"stopped by {type(error).__name__}"}
    match error:
        case None | SystemExit(code=None | 0):
            return "Succeeded", made
        case SystemExit(code=int() as code):
            message = f"exited with code {code}"
        case SystemExit(code=code):
            message = _text_of(code)
        case _:
            message = exception_message(error)
            failure = {"error": {"code": UNKNOWN, "message": message}}
            return "Failed", failure | {"traceback": _traceback(error)}
    return "Failed", {"error": {"code": UNKNOWN, "message": message}}


def exception_message(error: BaseException) -> str:
    """Returns an exception's type and text, also of one whose text cannot be made.

    Args:
        error: The exception.

    Returns:
        Its type, and its text if it has one.

    Examples:
        >>> from jobledger.domain.running import exception_message
        >>> exception_message(ValueError("too small"))
        'ValueError: too small'
    """
    return f"{type(error).__name__}: {_text_of(error)}".removesuffix(": ")


def _text_of(value: object) -> str:
    """Returns a value's text; a method `__str__` of a user's class may raise anything."""
    try:
        return str(value)
    except Exception as failure:
        return f"<its text cannot be made: {type(failure).__name__}>"


def _traceback(error: BaseException) -> str:
    """The traceback, or its end if it is long."""
    return "".join(traceback.format_exception(error))[-MAX_TRACEBACK:]


def exit_code(code: int) -> int:
    """Returns the exit code that a shell shows for a program that ended so."""
    return SIGNALLED - code if code < 0 else code


def no_heartbeat_since(time: datetime) -> str:
    """Returns the reason of a lost run's end."""
    return f"no heartbeat since {_text(time)}"


def lease_milliseconds(heartbeat_seconds: float) -> int:
    """Returns how long a run may be silent, in milliseconds, for an interval between heartbeats."""
    return max(1, round(heartbeat_seconds * HEARTBEATS_PER_LEASE * 1000))


def actor_name(user: str, host: str) -> str:
    """Returns the actor of a program's reports: at most 256 printable characters."""
    name = f"{user}@{host}"[:256]
    return "".join(character if character.isprintable() else "?" for character in name)


def _message(code: int, killed_by: str | None, last_words: str) -> str:
    if killed_by is not None:
        return f"killed by {killed_by}" + (f"\n{last_words}" if last_words else "")
    return last_words or f"exited with code {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _line(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":")) + "\n"
