"""The command that reports: report."""

from __future__ import annotations

import csv
import sys
from datetime import datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from jobledger.infra.cli.context import ERR, OUT, Json, print_json, print_moment, target
from jobledger.infra.reports import Report
from jobledger.infra.reports import report as ask
from jobledger.infra.reports.buckets import length_text
from jobledger.infra.reports.pictures import MOST_LINES, draw, lines_of, sparkline
from jobledger.infra.shapes import moment_json, time_text
from rich.table import Table
from rich.text import Text


class Form(StrEnum):
    """How a report is printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


Name = Annotated[
    str,
    typer.Argument(
        metavar="REPORT",
        help="throughput, queue-time, run-time, failures, concurrency or attempts.",
    ),
]
By = Annotated[
    str, typer.Option(metavar="FIELD", help="Group: state, kind, project, labels.KEY, spec.PATH")
]
Filter = Annotated[
    str, typer.Option("--filter", help="AIP-160: only jobs of which it is true now.")
]
From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="As --as-of takes times.")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to then, and not at it.")]
Bucket = Annotated[
    str | None, typer.Option(metavar="LENGTH", help="15m, 1h, 1d, 1w; else a readable few.")
]
State = Annotated[
    str | None, typer.Option(help="Of concurrency: jobs in that state, and not RUNNING.")
]
Top = Annotated[int | None, typer.Option(help="Of failures: so many error messages, and not 20.")]
Plot = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it, too: .svg or .png.")]


def report(
    context: typer.Context,
    name: Name,
    by: By = "",
    filter_: Filter = "",
    begin: From = None,
    end: To = None,
    bucket: Bucket = None,
    state: State = None,
    top: Top = None,
    format_: Annotated[Form, typer.Option("--format")] = Form.TABLE,
    plot: Plot = None,
    json: Json = False,
) -> None:
    """Report on many jobs, deleted ones too, as it happened (UTC).

    throughput: jobs that ended, by how; one retried ends again.

    queue-time: seconds from QUEUED or PENDING until RUNNING, by when it began to run.

    run-time: seconds in RUNNING and UPDATING, by when it left them.

    failures: error messages of jobs that FAILED or EXPIRED, the most frequent first.

    concurrency: jobs RUNNING at just the instants that buckets begin at.

    attempts: how many the jobs that ended took, and how they ended.
    """
    with target(context).open() as ledger:
        answer = ask(
            ledger, name, by=by, filter=filter_, begin=begin, end=end, bucket=bucket,
            state=state, top=top,
        )  # fmt: skip
    if plot is not None:
        draw(answer, plot)
        ERR.print(f"drawn: {plot}", style="dim", markup=False)
    _print(answer, Form.JSON if json else format_)


def _print(answer: Report, form: Form) -> None:
    match form:
        case Form.JSON:
            print_json(report_json(answer))
        case Form.CSV:
            print_moment(answer.moment)
            _print_csv(answer)
        case Form.TABLE:
            print_moment(answer.moment)
            _print_table(answer)


def report_json(report: Report) -> dict[str, Any]:
    """A report for machines: what was asked, the moment it holds for, and rows by column."""
    window = report.window
    rows = [{c: _plain(v) for c, v in zip(report.columns, row, strict=True)} for row in report.rows]
    return {
        "report": report.name,
        **moment_json(report.moment),
        "from": time_text(window.begin),
        "to": time_text(window.end),
        "bucket": None if window.bucket is None else length_text(window.bucket),
        "by": report.by or None,
        "state": report.state,
        "rows": rows,
    }


def _print_csv(report: Report) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(report.columns)
    writer.writerows([_plain(value) for value in row] for row in report.rows)


def _print_table(report: Report) -> None:
    for name, line in islice(lines_of(report).items(), MOST_LINES):
        blocks = sparkline([value for _, value in line])
        OUT.print(Text(f"{blocks} {name}, at most {_cell(max(value for _, value in line))}"))
    table = Table(box=None)
    for column in report.columns:
        number = column in NUMBERS or column.endswith("Seconds")
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in report.rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    OUT.print(table)


NUMBERS = {
    "count", "jobs", "attempts",
    "ended", "succeeded", "partiallySucceeded", "failed", "cancelled", "expired",
}  # fmt: skip


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return (time_text(value) or "")[:19].replace("T", " ")
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.0f}" if value >= 1000 or value.is_integer() else f"{value:,.1f}"
    return str(value)


def _plain(value: Any) -> Any:
    return time_text(value) if isinstance(value, datetime) else value
