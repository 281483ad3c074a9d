"""The ledger and the project of a command, and its output."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.moments import AtTime, Clock, Moment, parse_as_of
from jobledger.domain.values.names import parse_name
from jobledger.infra.cli.printer import Printer
from jobledger.infra.errors import LedgerNotFoundError
from jobledger.infra.eventstore.json_view import encode, time_text
from jobledger.infra.postgres import schema_versions
from jobledger.infra.postgres.connections import Connection, connect
from jobledger.infra.postgres.few_connections import FewConnections
from jobledger.infra.postgres.server import server
from jobledger.infra.read.reader import Reader

if TYPE_CHECKING:
    from jobledger.infra.ledger import Ledger

OUT: Final = Printer()
ERR: Final = Printer(error=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="TIME|vN|@POSITION",
        help="The moment: ISO 8601 (UTC without a zone), '2h ago', 'yesterday 14:00', vN or @POSITION.",
    ),
]
OnClock = Annotated[
    Clock | None,
    typer.Option(
        "--clock",
        help="The clock of times: occurred (valid time, the default) or recorded (transaction time).",
    ),
]
JobName = Annotated[
    str, typer.Argument(metavar="NAME", help="projects/P/jobs/ID, or ID in the project.")
]


@dataclass(frozen=True)
class Target:
    """The options before the command."""

    dsn: str | None
    ledger: str
    project: str
    server: str | None = None
    """The address of a server to use instead of the database."""
    token: str | None = None

    def open(self) -> Ledger:
        """Opens the ledger; raises SchemaError or LedgerUnavailableError."""
        if self.server is not None:
            remote: Ledger = self._remote()
            return remote
        # Commands that only read import less.
        from jobledger.infra.ledger import Ledger

        return Ledger.open(self.dsn, self.ledger)

    def read(self) -> Reader:
        """Opens the ledger for reading only."""
        if self.server is not None:
            reader: Reader = self._remote()
            return reader
        info = server(self.dsn, self.ledger)
        connection = connect(info)
        try:
            try:
                schema_versions.check(connection, self.ledger)
            except LedgerNotFoundError:
                # Creates the ledger if that is allowed, or raises LedgerNotFoundError.
                self.open().close()
            return Reader(info, self.ledger, FewConnections(info, connection))
        except BaseException:
            connection.close()
            raise

    def connect(self) -> Connection:
        """Connects to the ledger's schema, which may not exist yet."""
        if self.server is not None:
            from jobledger.infra.cli.remote import database_needed

            raise database_needed()
        return connect(server(self.dsn, self.ledger))

    def _remote(self) -> Any:
        """Returns the ledger of the server, with the methods that servers support."""
        from jobledger.infra.cli.remote import RemoteLedger

        assert self.server is not None
        return RemoteLedger(self.server, self.token)

    def name(self, given: str) -> str:
        """Returns a job's name, `given` in full or as an id in the project; raises InvalidFieldError."""
        return self._whole(given, "jobs")

    def evaluation_job(self, given: str) -> str:
        """Returns an evaluation job's name, `given` in full or as an id in the project; raises InvalidFieldError."""
        return self._whole(given, "evaluationJobs")

    def _whole(self, given: str, collection: str) -> str:
        return parse_name(
            given if "/" in given else f"projects/{self.project}/{collection}/{given}"
        )


def target(context: typer.Context) -> Target:
    """The options before the command."""
    assert isinstance(context.obj, Target)
    return context.obj


def say(text: str) -> None:
    """Prints the answer without interpreting markup in it."""
    OUT.print(text, markup=False)


def counted(number: int, noun: str) -> str:
    """Returns the number with its noun: `1 event`, `2 events`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def aside(text: str) -> None:
    """Prints a note on standard error."""
    ERR.print(text, style="dim", markup=False)


def print_moment(moment: Moment) -> None:
    """Prints on standard error the moment of an answer, in a form that --as-of accepts."""
    how = "valid time" if moment.clock is Clock.OCCURRED else "transaction time"
    aside(f"as of {time_text(moment.time)}, {how} (--as-of {moment})")
    print_pruned(moment.pruned_past)


def print_pruned(before: datetime | None) -> None:
    """Prints a note if an answer may lack pruned jobs."""
    if before is not None:
        aside(f"jobs that ended before {time_text(before)} were pruned, and are missing here")


def print_json(value: Any) -> None:
    """Prints one indented JSON document."""
    typer.echo(encode(value, indented=True).decode())


def print_json_lines(values: Iterable[Any]) -> None:
    """Prints one JSON document per line."""
    for value in values:
        typer.echo(encode(value).decode())


def past_time(text: str, option: str) -> datetime:
    """Parses the time of an option, such as `90 days ago`, `yesterday` or ISO 8601 (UTC without a zone).

    Args:
        text: The value of the option.
        option: Its name, for the error.

    Returns:
        The time (UTC).

    Raises:
        InvalidFieldError: The text is not a time, or the time is in the future.
    """
    now = datetime.now(UTC)
    try:
        meant = parse_as_of(text, Clock.RECORDED, now)
    except InvalidFieldError as error:
        raise InvalidFieldError(option, error.why) from error
    if not isinstance(meant, AtTime):
        raise InvalidFieldError(
            option, f"{text!r} is not a time, such as '90 days ago', yesterday or 2026-12-31"
        )
    if meant.time > now:
        raise InvalidFieldError(option, f"{text!r} is in the future: it is {time_text(now)} now")
    return meant.time
