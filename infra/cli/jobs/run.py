"""`jobledger run`: runs a command as a job. The module imports little, so that the command starts soon."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.running import Destination
from jobledger.domain.values.labels import google_key, google_value, parse_labels, parse_pair
from jobledger.domain.values.names import parse_name
from jobledger.infra.cli.given import Given
from jobledger.infra.cli.jobs.child import Command, run_as_job, warn
from jobledger.infra.cli.jobs.run_options import RunOptions
from jobledger.infra.programs.opening import END_SECONDS, Opening
from jobledger.infra.programs.spool import Spool
from jobledger.infra.settings import Settings, spool_folder

if TYPE_CHECKING:
    from jobledger.infra.programs.run_store import RunStore

STARTING_SECONDS: Final = 65.0
"""How long a finished run waits for the embedded server to start."""


class Runner:
    """One `jobledger run`, with its options checked."""

    def __init__(self, given: Given, options: RunOptions) -> None:
        """Checks the options; raises InvalidFieldError for an invalid name or label."""
        self._options = options
        self._labels = parse_labels(dict(parse_pair(text) for text in options.labels))
        made_up = f"run_{datetime.now(UTC):%Y%m%dT%H%M%S}_{uuid4().hex[:6]}"
        self._name = _name(given, options.name or made_up)
        self._opening = _opening(given)

    def run(self) -> int:
        """Runs the command as a job, and returns its exit code; raises as run_as_job."""
        _say_how_google_shows(self._labels)
        outcome = run_as_job(
            self._opening,
            self._name,
            self._labels,
            Command(self._options.command),
            once=self._options.once,
            heartbeat_seconds=self._options.heartbeat_seconds,
            is_named=self._options.name is not None,
        )
        return outcome.code


def _name(given: Given, name: str) -> str:
    """Returns the job's resource name, or only its id if JOBLEDGER_PROJECT is not a valid project.

    Args:
        given: The options before the command.
        name: The name or id that the user gave.

    Returns:
        The name.

    Raises:
        InvalidFieldError: The name, or --project, is not valid.
    """
    if "/" in name:
        return parse_name(name)
    parse_name(f"projects/default/jobs/{name}")
    if given.project is not None:
        return parse_name(f"projects/{given.project}/jobs/{name}")
    try:
        return parse_name(f"projects/{Settings().project}/jobs/{name}")
    except InvalidFieldError:
        return name


def _opening(given: Given) -> Opening:
    """Returns a function that opens the run's ledger; errors of the settings are raised by its call."""

    def destination() -> Destination:
        if (server := _server(given)) is not None:
            return Destination.of_server(server)
        from jobledger.infra.programs.run_store import destination

        return destination(given.dsn, _ledger(given))

    def store() -> RunStore:
        _check_project(given.project or Settings().project)
        if (server := _server(given)) is not None:
            through: RunStore = remote(server, given.token)
            return through
        from jobledger.infra.programs.run_store import RunStore

        return RunStore.open(given.dsn, _ledger(given), lambda: _make(given))

    project = given.project or "default"
    seconds = STARTING_SECONDS if _starts_server(given) else END_SECONDS
    return Opening(destination, store, project, lambda: Spool(spool_folder()), seconds)


def remote(server: str, token: str | None) -> Any:
    """Returns a store that uses a server; raises InvalidFieldError if the extra is not installed."""
    try:
        from jobledger.infra.cli.jobs.remote_store import RemoteStore
    except ImportError as error:
        raise InvalidFieldError("server", f"needs jobledger[client] ({error})") from error
    return RemoteStore(server, token or Settings().token)


def _server(given: Given) -> str | None:
    """Returns the address of the server that the run is reported to; None for the database."""
    return given.server or (None if given.dsn else Settings().server)


def _starts_server(given: Given) -> bool:
    """Whether the run may start the embedded server, whose creation must not be interrupted."""
    try:
        return not (given.dsn or Settings().dsn or _server(given))
    except InvalidFieldError:
        return False


def _check_project(project: str) -> None:
    try:
        parse_name(f"projects/{project}/jobs/a")
    except InvalidFieldError as error:
        why = f"{project!r} is not the id of a project"
        raise InvalidFieldError("JOBLEDGER_PROJECT", why) from error


def _ledger(given: Given) -> str:
    from jobledger.infra.postgres.connections import schema_of

    ledger = given.ledger or Settings().ledger
    schema_of(ledger)
    return ledger


def _make(given: Given) -> None:
    """Creates the ledger on the embedded server."""
    from jobledger.infra.ledger import Ledger

    Ledger.open(given.dsn, _ledger(given)).close()


def _say_how_google_shows(labels: Mapping[str, str]) -> None:
    """Prints how Google's APIs show labels that they do not allow."""
    for key, value in labels.items():
        shown = google_key(key), google_value(value)
        if shown != (key, value):
            warn(
                f"label {key}={value}: Google's APIs, which take lowercase letters, digits, _ and -"
                f" only, show it as {shown[0]}={shown[1]}"
            )
