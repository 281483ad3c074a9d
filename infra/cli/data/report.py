"""The command that reports: report."""

import sys
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from jobledger.infra.analytics.analysis import Analysis, Question
from jobledger.infra.analytics.analysis import report as ask
from jobledger.infra.analytics.buckets import length_text
from jobledger.infra.analytics.certified import certify as certify_report
from jobledger.infra.analytics.certified import verify_certified
from jobledger.infra.analytics.charts import MAX_LINES, draw, lines_of, sparkline
from jobledger.infra.analytics.csv_file import write_csv
from jobledger.infra.cli.context import (
    OUT,
    Json,
    Target,
    aside,
    print_json,
    print_moment,
    print_pruned,
    say,
    target,
)
from jobledger.infra.cli.out_files import STDOUT, write_file, write_picture
from jobledger.infra.cli.progress import moving
from jobledger.infra.eventstore.json_view import moment_json, time_text
from jobledger.infra.ledger import Ledger
from jobledger.infra.proof.audit.evidence import known_keys
from jobledger.infra.proof.log.tree import Tree
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.keys import read_text, read_verifiers
from jobledger.infra.proof.signing.notes import VerifierKey
from jobledger.infra.settings import Settings
from jobledger.infra.transfer.exports import export as exporting
from jobledger.infra.transfer.exports.export import Format
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
        help="throughput, queue-time, run-time, failures, concurrency, attempts or reporters.",
    ),
]
By = Annotated[
    str,
    typer.Option(
        metavar="FIELD", help="The field to group by: state, kind, project, labels.KEY, spec.PATH"
    ),
]
Filter = Annotated[
    str, typer.Option("--filter", help="Only jobs that match this AIP-160 filter now.")
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="The beginning, in the forms of --as-of."),
]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="The end, exclusive.")]
Bucket = Annotated[
    str | None,
    typer.Option(
        metavar="LENGTH",
        help="The length of a bucket, such as 15m, 1h, 1d, 1w; default: a readable number of buckets.",
    ),
]
State = Annotated[
    str | None, typer.Option(help="For concurrency: the state to count; default: RUNNING.")
]
Top = Annotated[
    int | None, typer.Option(help="For failures: the number of error messages; default: 20.")
]
Certify = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write the report as JSON with its checkpoint, for verify-report.",
    ),
]
Plot = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Also draw it to a file: .svg or .png.")
]


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
    format_: Annotated[
        Form, typer.Option("--format", help="--json is the same as json.")
    ] = Form.TABLE,
    plot: Plot = None,
    certify: Certify = None,
    json: Json = False,
) -> None:
    """Compute a statistic over many jobs, including deleted ones, in valid time (UTC).

    throughput: jobs that ended, by their end state; a job that was retried counts at each end.

    queue-time: seconds from QUEUED or PENDING to RUNNING, in the bucket in which the job began to run.

    run-time: seconds in RUNNING and UPDATING, in the bucket in which the job left them.

    failures: error messages of jobs that FAILED or EXPIRED, the most frequent first.

    concurrency: jobs that were RUNNING at the moment when each bucket begins.

    attempts: the number of attempts of jobs that ended, and their end states.

    reporters: the clock of each actor and worker, compared with the server's: whether it is ahead, or was
    set back.
    """
    if certify is not None:
        question = Question(name, by, filter_, begin, end, bucket, state, top)
        _certify(target(context), question, certify)
        return
    with target(context).open() as ledger:
        answer = ask(
            ledger.reader, name, by=by, filter=filter_, begin=begin, end=end, bucket=bucket,
            state=state, top=top,
        )  # fmt: skip
    if plot is not None:
        write_picture(plot, lambda path: draw(answer, path))
    if plot == STDOUT:
        return
    if plot is not None:
        aside(f"drawn: {plot}")
    _print(answer, Form.JSON if json else format_)


def verify_report(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="The output of --certify, or a Parquet file or folder."
        ),
    ],
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY|FILE",
            help="Public keys to trust, instead of the log's own on this machine.",
        ),
    ] = None,
) -> None:
    """Verify a certified report: recompute it from the events under its checkpoint; exits 1 if it differs."""
    with target(context).open() as ledger, moving("computing again") as move:
        with ledger.connection() as connection:
            origin = Tree().log_state(connection).origin
        keys = known_keys(Settings(), origin, read_verifiers(key or []))
        if file.is_dir() or file.suffix == ".parquet":
            checkpoint = _verify_parquet(ledger, file, keys, move)
        else:
            content = read_text(file, "report").encode()
            checkpoint = verify_certified(ledger.reader, content, keys, report_json, move)
    say(f"{file} is what the first {checkpoint.size} events of {checkpoint.origin} make")


def _verify_parquet(
    ledger: Ledger, file: Path, keys: list[VerifierKey], move: Callable[..., object]
) -> Checkpoint:
    exporting.form_of(Format.PARQUET)
    from jobledger.infra.transfer.exports.certified import verify_parquet

    return verify_parquet(ledger.reader, file, keys, move)


def _certify(aim: Target, question: Question, to: Path) -> None:
    with aim.open() as ledger:
        certified = certify_report(ledger.reader, ledger.log, question, report_json)
    write_file(to, orjson.dumps(certified.json(), option=orjson.OPT_INDENT_2) + b"\n")
    size = Checkpoint.parse(certified.note.text).size
    aside(f"{question.name} of the first {size} events, certified: {to}")


def _print(answer: Analysis, form: Form) -> None:
    match form:
        case Form.JSON:
            print_json(report_json(answer))
        case Form.CSV:
            print_moment(answer.moment)
            print_pruned(answer.pruned_past)
            _print_csv(answer)
        case Form.TABLE:
            print_moment(answer.moment)
            print_pruned(answer.pruned_past)
            _print_table(answer)


def report_json(report: Analysis) -> dict[str, Any]:
    """Returns a report as JSON: the question, the moment of the answer, and rows by column."""
    window = report.window
    rows = [{c: _plain(v) for c, v in zip(report.columns, row, strict=True)} for row in report.rows]
    return {
        "report": report.name,
        **moment_json(report.moment),
        **({"prunedBefore": time_text(report.pruned_past)} if report.pruned_past else {}),
        "from": time_text(window.begin),
        "to": time_text(window.end),
        "bucket": None if window.bucket is None else length_text(window.bucket),
        "by": report.by or None,
        "state": report.state,
        "rows": rows,
    }


def _print_csv(report: Analysis) -> None:
    rows = ([_plain(value) for value in row] for row in report.rows)
    write_csv(sys.stdout, report.columns, rows, line_end="\n")


def _print_table(report: Analysis) -> None:
    for name, line in islice(lines_of(report).items(), MAX_LINES):
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
