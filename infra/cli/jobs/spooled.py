"""Commands for runs that are not recorded yet: spool list, spool send."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from jobledger.domain.running import Destination, RunRecord
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.cli.context import ERR, OUT, Json, Target, counted, print_json, say, target
from jobledger.infra.cli.forms import Form, FormOption, print_documents
from jobledger.infra.cli.jobs.run import remote
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.programs.run_store import destination
from jobledger.infra.programs.sending import Sender, Sent
from jobledger.infra.programs.spool import RunFile, Spool
from jobledger.infra.settings import spool_folder
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pathlib import Path

FIELDS: Final = ("file", "state", "name", "time", "reports", "server", "ledger", "why")
"""The fields of a spooled run in JSON."""

spool = typer.Typer(
    no_args_is_help=True, help="List or send the runs in the spool, which are not recorded yet."
)


@spool.command("list")
def list_spooled(format_: FormOption = Form.TABLE, json: Json = False) -> None:
    """List the runs in this machine's spool, oldest first.

    Their state is `waiting`, `held` (its program runs, or it is being sent), `refused` by the
    ledger, or `unreadable`.
    """
    folder = Spool(spool_folder())
    found = [_shown(path, refused=False) for path in folder.paths()]
    found += [_shown(path, refused=True) for path in folder.paths(refused=True)]
    form = Form.JSON if json else format_
    if form is not Form.TABLE:
        print_documents(found, form, FIELDS)
    elif found:
        OUT.print(_table(found))
    else:
        say(f"nothing is in the spool {folder.folder}")


@spool.command()
def send(
    context: typer.Context,
    anywhere: Annotated[
        bool,
        typer.Option("--anywhere", help="Also send runs for another ledger."),
    ] = False,
    refused: Annotated[
        bool, typer.Option("--refused", help="Retry runs that the ledger refused.")
    ] = False,
    json: Json = False,
) -> None:
    """Record the runs in this machine's spool; exits 1 if one is still not recorded."""
    aim, folder = target(context), Spool(spool_folder())
    if refused:
        for path in folder.paths(refused=True):
            path.rename(path.with_suffix(""))
    outcome = _send_all(aim, folder, anywhere=anywhere)
    others = [path for path in folder.paths() if RunFile.is_left_behind(path)]
    if json:
        print_json(
            {
                "sent": outcome.sent,
                "waiting": outcome.waiting,
                "refused": {str(path): why for path, why in outcome.refused.items()},
                "left": [str(path) for path in others],
            }
        )
    else:
        _say(len(outcome.sent), outcome.waiting, outcome.refused, others)
    if outcome.refused or others:
        raise typer.Exit(1)


def _send_all(aim: Target, folder: Spool, *, anywhere: bool) -> Sent:
    if aim.server is not None:
        to = None if anywhere else Destination.of_server(aim.server)
        with closing(remote(aim.server, aim.token)) as store:
            return Sender(store, folder, to, aim.project, end_lease=store.end_lease).send()
    with aim.open() as ledger:
        to = None if anywhere else destination(aim.dsn, aim.ledger)
        return Sender(ledger, folder, to, aim.project).send()


def _say(sent: int, waiting: dict[str, str], refused: dict[Path, str], others: list[Path]) -> None:
    say(f"{counted(sent, 'run')} recorded")
    for name, why in waiting.items():
        ERR.print(f"{name} waits: {why}", markup=False)
    for path, why in refused.items():
        ERR.print(f"{path} was refused: {why}", markup=False)
    if left := len(others) - len(waiting):
        ERR.print(
            f"{left} {'run is' if left == 1 else 'runs are'} of another ledger, or cannot be read:"
            " jobledger spool list shows them"
        )


def _shown(path: Path, *, refused: bool) -> JsonObject:
    """Returns the fields of a spooled run, from its file."""
    shown: JsonObject = {"file": str(path), "state": "refused" if refused else "waiting"}
    if not refused and not RunFile.is_left_behind(path):
        shown["state"] = "held"
    try:
        with path.open(encoding="utf-8") as lines:
            return shown | _of_record(RunRecord.parse(lines))
    except (OSError, ValueError) as error:
        return shown | {"state": "unreadable", "why": str(error)}


def _of_record(record: RunRecord) -> JsonObject:
    aim: Any = record.destination
    return {
        "name": record.name,
        "time": time_text(record.time),
        "reports": [report.type for report in record.reports],
        "server": None if aim is None else aim.server,
        "ledger": None if aim is None else aim.ledger,
    }


def _table(found: list[JsonObject]) -> Table:
    table = Table(box=None)
    for column in ("state", "name", "since", "reports", "server", "ledger", "file"):
        table.add_column(column, no_wrap=True, overflow="ignore")
    for one in found:
        reports = " ".join(one.get("reports", ()))
        values = (one.get("name"), one.get("time"), reports, one.get("server"), one.get("ledger"))
        cells = (*values, one["file"])
        table.add_row(one["state"], *(Text(str(value or "")) for value in cells))
    return table
