"""The command that measures: bench."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer
from jobledger.infra.cli.context import ERR, OUT, say, target
from jobledger.infra.postgres.server import server_of
from rich.table import Table

if TYPE_CHECKING:
    from jobledger.infra.bench.arena import Arena
    from jobledger.infra.bench.catalogue import Measure
    from jobledger.infra.bench.sizes import Sizes

QUICK_SECONDS: Final = 0.4
QUICK_PAIRS: Final = 3
QUICK_LIMIT_SECONDS: Final = 110.0
"""After this time, the quick form starts no further row."""

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ROW", help="Ids or groups of rows, or globs; default: all but growth."),
]
Listed = Annotated[
    bool, typer.Option("--list", help="Show what can be measured, and measure nothing.")
]
Quick = Annotated[
    bool,
    typer.Option(
        "--quick",
        help="Small histories and short runs: appends, reads and the past in two minutes,"
        " to compare before and after a change.",
    ),
]
Before = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        exists=True,
        help="An earlier file of --json, to compare with.",
    ),
]
Busy = Annotated[
    bool, typer.Option("--busy", help="Keep one core busy with something else meanwhile.")
]
File = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write each row to this file as soon as it is measured."),
]
Seconds = Annotated[
    float | None,
    typer.Option(min=0.1, help="How long one run of one side takes; default: 2."),
]
Times = Annotated[
    int | None,
    typer.Option("--times", "--pairs", min=1, help="Pairs of runs; default: 5, or 3 if --quick."),
]
Events = Annotated[
    int | None,
    typer.Option(
        min=1_000, help="For the rows of growth: events of the larger ledger; default: 20 million."
    ),
]
Trace = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        help="The folder job_events of Google's 2011 trace, for long histories; default: simulated jobs.",
    ),
]


def bench(
    context: typer.Context,
    ids: Ids = None,
    listed: Listed = False,
    quick: Quick = False,
    before: Before = None,
    busy: Busy = False,
    json: File = None,
    seconds: Seconds = None,
    times: Times = None,
    events: Events = None,
    trace: Trace = None,
) -> None:
    """Measure the ledger, and what it is compared with, on this machine.

    The two sides of a row run in turn. The ratio is the median of the ratios of the pairs, and
    the spread is the smallest and the largest of them. CPU is that of one operation: of the client's
    processes, and of PostgreSQL's.
    """
    # Imported here: the peers' libraries take long to import, and no other command needs them.
    from jobledger.infra.bench.arena import Arena
    from jobledger.infra.bench.catalogue import select
    from jobledger.infra.bench.run import read_rows
    from jobledger.infra.bench.sizes import QUICK, Sizes

    chosen = select(ids or [], quick=quick)
    sizes = QUICK if quick else Sizes()
    sizes = sizes if events is None else sizes._replace(grown=events)
    if listed:
        OUT.print(_list(chosen, sizes))
        return
    earlier = read_rows(before) if before else {}
    length = seconds or (QUICK_SECONDS if quick else 2)
    form = _Form(
        quick, busy, times or (QUICK_PAIRS if quick else 5), json,
        QUICK_LIMIT_SECONDS if quick and not ids else None,
    )  # fmt: skip
    with closing(Arena(server_of(target(context).dsn), length, trace, sizes)) as arena:
        rows = _measure(chosen, arena, form)
    _print(rows, earlier)


class _Form(NamedTuple):
    """How rows are measured, and where they are written."""

    quick: bool
    busy: bool
    pairs: int
    json: Path | None
    limit_seconds: float | None


def _measure(chosen: list[Measure], arena: Arena, form: _Form) -> list[dict[str, Any]]:
    """Measures the rows, and prints each as soon as it is measured."""
    from jobledger.infra.bench.run import conditions, measure_rows, one_core_busy

    rows = []
    with one_core_busy(form.busy):
        under = conditions(arena, form.pairs, quick=form.quick, busy=form.busy)
        say(under.machine)
        for row in measure_rows(chosen, arena, under, form.json, form.limit_seconds):
            ERR.print(_line(row), style="dim")
            rows.append(row)
    return rows


def _list(asked: list[Measure], sizes: Sizes) -> Table:
    table = Table("id", "group", "measure", "beside", "unit", "must", "aim", box=None)
    for measure in asked:
        texts = sizes.describe(measure.measure), sizes.describe(measure.beside)
        sign = measure.bound.removesuffix(" value")
        bounds = f"{sign} {measure.must:g}", f"{sign} {measure.aim:g}"
        table.add_row(measure.id, measure.group, *texts, measure.unit, *bounds)
    return table


def _line(row: dict[str, Any]) -> str:
    """Returns the line that is printed as soon as a row is measured."""
    from jobledger.infra.bench.table import figure, ratio_text, spread

    if "error" in row:
        return f"{row['id']}: not measured: {row['error']}"
    ratio = f", ratio {ratio_text(row)}" if "ratio" in row else ""
    return f"{row['id']}: {figure(row['value'])} {row['unit']}{ratio} ({spread(row)})"


def _print(rows: list[dict[str, Any]], earlier: dict[str, dict[str, Any]]) -> None:
    from jobledger.infra.bench.table import HEADINGS, cells

    table = Table(*HEADINGS, box=None)
    for row in rows:
        table.add_row(*cells(row, earlier.get(row["id"])))
    OUT.print(table)
    if failed := [row["id"] for row in rows if "error" in row]:
        ERR.print(f"not measured: {', '.join(failed)}")
        raise typer.Exit(1)
