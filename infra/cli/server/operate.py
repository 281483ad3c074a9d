"""Commands of operators: init and rebuild."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Annotated, Any

import orjson
import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.nearest import did_you_mean
from jobledger.infra.cli.context import OUT, Json, Target, aside, print_json, say, target
from jobledger.infra.cli.progress import moving
from jobledger.infra.errors import LedgerNotFoundError
from jobledger.infra.postgres import grants, migrate, schema_versions
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.postgres.grants import Right
from jobledger.infra.postgres.placing import check_rights, place, withdraw_to_migrate
from jobledger.infra.postgres.server import server
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.publishing.checkpointer import Checkpointer
from jobledger.infra.proof.signing.origin import name_log
from jobledger.infra.proof.signing.signed_database import copied_from
from jobledger.infra.settings import Settings
from jobledger.infra.upkeep.rebuild import rebuild as rebuild_projection
from jobledger.infra.upkeep.rebuild import rebuild_all
from jobledger.infra.upkeep.rehearse import RowChange
from jobledger.infra.upkeep.rehearse import rehearse as rehearse_rebuild
from jobledger.projections.catalogue import PROJECTIONS, Projection


def init(
    context: typer.Context,
    read_to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE",
            help="Let this role read jobs and events in SQL, and nothing else: no keys, no tokens.",
        ),
    ] = None,
    grant_to: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE", help="Let this role only append and read."),
    ] = None,
    sign_as: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE", help="Let this role append, read, and sign the log."),
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The log's name in proofs, such as example.com/jobs; it cannot change once a checkpoint is signed.",
        ),
    ] = None,
    citus: Annotated[
        bool,
        typer.Option(
            "--citus",
            help="Put the ledger on one node of the Citus cluster whose coordinator is connected.",
        ),
    ] = False,
) -> None:
    """Create the ledger and its log's key, or migrate the ledger to this version."""
    aim = target(context)
    with aim.connect() as connection:
        if citus:
            withdraw_to_migrate(connection, aim.ledger)
        changed = migrate.migrate(connection, aim.ledger, rebuild_all)
        if citus:
            changed |= place(connection)
        rights = {Right.READ: read_to, Right.APPEND: grant_to, Right.SIGN: sign_as}
        _grant(connection, aim.ledger, rights)
        log = Tree().log_state(connection)
        signed_in = copied_from(Settings(), connection, log.origin)
        keys = name_log(connection, Settings(), origin)
    if log.size < log.events:
        with closing(Checkpointer(server(aim.dsn, aim.ledger), Settings())) as checkpointer:
            checkpointer.checkpoint()
    say(f"ledger {aim.ledger!r} is {'ready' if changed else 'up to date'}")
    if signed_in is not None:
        aside(
            f"its log was signed in another database ({signed_in}), and is signed in this one from now on"
        )
    for key in keys:
        aside(f"its log's public key: {key}")


def _grant(
    connection: Connection, ledger: str, rights: Mapping[Right, Sequence[str] | None]
) -> None:
    given = [(role, right) for right, roles in rights.items() for role in roles or ()]
    if given and schema_versions.is_placed(connection):
        check_rights(given)
    for role, right in given:
        grants.grant(connection, ledger, role, right)


def rebuild(
    context: typer.Context,
    projection: Annotated[
        str, typer.Argument(metavar="PROJECTION", help="jobs (the default), intervals or search.")
    ] = "jobs",
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Print which rows would change, and change nothing.")
    ] = False,
    limit: Annotated[int, typer.Option(min=0, help="The most rows to print in a rehearsal.")] = 100,
    json: Json = False,
) -> None:
    """Rebuild a projection from the events, while writers continue."""
    found = {p.name: p for p in PROJECTIONS}.get(projection)
    if found is None:
        meant = did_you_mean(projection, (p.name for p in PROJECTIONS))
        raise InvalidFieldError("projection", f"there is no projection {projection!r}{meant}")
    if rehearse:
        _rehearse(target(context), found, limit, json=json)
        return
    rebuilding = moving(f"rebuilding {projection}")
    with (
        target(context).open() as ledger,
        ledger.connection() as connection,
        ledger.connection() as second,
        rebuilding as move,
    ):
        events = rebuild_projection(connection, found, move, second=second)
    if json:
        print_json({"projection": projection, "events": events})
    else:
        OUT.print(f"{projection} made again from {events} events")


def _rehearse(aim: Target, projection: Projection, limit: int, *, json: bool) -> None:
    # A rehearsal also works for a ledger that needs an upgrade, when it is most useful.
    with aim.connect() as connection, moving(f"rehearsing {projection.name}") as move:
        if not schema_versions.exists(connection, aim.ledger):
            raise LedgerNotFoundError(aim.ledger, schema_versions.ledgers(connection))
        outcome = rehearse_rebuild(connection, projection, limit=limit, progress=move)
    if json:
        print_json(
            {"projection": projection.name, "events": outcome.events, "rows": outcome.rows}
            | {"changed": outcome.changed, "changes": [_change_json(c) for c in outcome.changes]}
        )
        return
    for change in outcome.changes:
        for field, (was, would_be) in change.fields.items():
            say(f"{change.table} {change.key} {field}: {_text(was)} -> {_text(would_be)}")
    OUT.print(
        f"{outcome.changed} of {outcome.rows} rows would change, from {outcome.events} events;"
        " nothing was changed"
    )


def _change_json(change: RowChange) -> dict[str, Any]:
    fields = {
        field: {"before": was, "after": would_be}
        for field, (was, would_be) in change.fields.items()
    }
    return {"table": change.table, "key": change.key, "fields": fields}


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
