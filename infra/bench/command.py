"""The command that measures: bench."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from jobledger.domain.errors import InvalidFieldError, LedgerError
from jobledger.infra.cli.context import ERR, OUT, say, target
from jobledger.infra.postgres.server import server_of
from rich.table import Table

if TYPE_CHECKING:
    from jobledger.infra.bench.arena import Arena, Pair
    from jobledger.infra.bench.catalogue import Measure


def bench(
    context: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID...")] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the figures there.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="How long each measurement takes.")] = 4,
    times: Annotated[int, typer.Option(min=1, help="Medians of so many.")] = 3,
    trace: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="A trace's job_events, for long histories; else one is simulated.",
        ),
    ] = None,
) -> None:
    """Measure the ledger and its peers on this machine."""
    # Not for every command: the peers' libraries take their time to import.
    from jobledger.infra.bench.arena import Arena
    from jobledger.infra.bench.catalogue import ALL, GROUPS, run

    known = {measure.id: measure for measure in ALL}
    if unknown := set(ids or ()) - known.keys() - GROUPS.keys():
        raise InvalidFieldError("id", f"there is no measure {min(unknown)!r}")
    asked = [m for id_ in ids or GROUPS for m in GROUPS.get(id_, (known.get(id_),)) if m]
    arena = Arena(server_of(target(context).dsn), seconds, trace)
    machine = _machine(arena)
    say(machine)
    table = Table(
        "id", "measure", "value", "beside", "value", "ratio", "must", "aim", "met", box=None
    )
    rows: list[dict[str, Any]] = []
    with closing(arena):
        for measure in asked:
            ERR.print(f"measuring {measure.id} …", style="dim")
            rows.append(_measured(measure, partial(run, measure, arena, times)))
            table.add_row(*_cells(rows[-1]))
            if json is not None:
                # After each, so that what was measured is there whatever the next one does.
                _write(json, machine, rows)
    OUT.print(table)
    if failed := [row["id"] for row in rows if "error" in row]:
        ERR.print(f"not measured: {', '.join(failed)}")
        raise typer.Exit(1)


def _measured(measure: Measure, work: Callable[[], Pair]) -> dict[str, Any]:
    """The measure's row; one that cannot be measured here has an `error` in the place of figures."""
    try:
        return _row(measure, work())
    except (LedgerError, ImportError, OSError) as error:
        ERR.print(f"{measure.id}: {error}")
        return _description(measure) | {"error": str(error)}


def _cells(row: dict[str, Any]) -> list[str]:
    bounds = [f"{row['must']:g}", f"{row['aim']:g}"]
    if "error" in row:
        return [row["id"], row["measure"], "not measured", row["beside"], "", "", *bounds, ""]
    ours, theirs = f"{_figure(row['value'])} {row['unit']}", _figure(row["beside_value"])
    met = "yes" if row["met"] else "NO"
    return [row["id"], row["measure"], ours, row["beside"], theirs, f"{row['ratio']:.2f}", *bounds, met]  # fmt: skip


def _write(file: Path, machine: str, rows: list[dict[str, Any]]) -> None:
    file.write_bytes(orjson.dumps({"machine": machine, "rows": rows}, option=orjson.OPT_INDENT_2))


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def _row(measure: Measure, pair: Pair) -> dict[str, Any]:
    ours, theirs = pair
    ratio = ours / theirs
    met = ratio <= measure.must if measure.less_is_better else ratio >= measure.must
    return _description(measure) | {
        "value": ours,
        "beside_value": theirs,
        "ratio": ratio,
        "met": met,
    }


def _description(measure: Measure) -> dict[str, Any]:
    names = ("id", "measure", "unit", "beside", "must", "aim")
    return {name: getattr(measure, name) for name in names}


def _machine(arena: Arena) -> str:
    """What the figures were measured on."""
    settings = "server_version", "fsync", "synchronous_commit", "shared_buffers"
    values = ", ".join(f"{name} {arena.execute(f'SHOW {name}')[0][0]}" for name in settings)
    cores = os.cpu_count()
    return f"{platform.machine()}, {cores} cores, Python {platform.python_version()}; PostgreSQL: {values}"
