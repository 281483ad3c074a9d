"""`jobledger scheduler`, which runs evaluation jobs, and `evaluations`, which shows their results."""

import logging
import signal
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import partial
from pathlib import Path
from threading import Event as Signal
from typing import Annotated

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.metrics.evaluation import CONFIG
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.cli.context import OUT, Json, aside, print_json, say, target
from jobledger.infra.cli.out_files import STDOUT, write_picture
from jobledger.infra.evaluation.samples import reading
from jobledger.infra.postgres.ending import GRACE_SECONDS, Ending
from jobledger.infra.programs.run_store import destination
from jobledger.infra.programs.sending import send_spool
from jobledger.infra.programs.spool import Spool
from jobledger.infra.retention.apply import keep_applying
from jobledger.infra.settings import Settings, archive_folder, spool_folder
from rich.table import Table

EvaluationJob = Annotated[
    str,
    typer.Argument(metavar="NAME", help="projects/P/evaluationJobs/ID, or ID in the project."),
]


class Chart(StrEnum):
    """The chart of a job's evaluations to draw."""

    PR_CURVE = "pr-curve"
    CONFUSION = "confusion-matrix"
    OVER_TIME = "map-over-time"


def scheduler(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Do what is due now, and exit.")] = False,
    pause: Annotated[float, typer.Option(min=0.05, help="Seconds between two checks.")] = 5.0,
) -> None:
    """Start and continue the runs of evaluation jobs when they are due; of several schedulers one is active.

    It also marks jobs whose heartbeats stopped as EXPIRED, records runs from this machine's spool, and
    applies the retention rules every hour. Without the extra `evaluation`, it does not evaluate predictions.

    Runs are due as in Google's service, at 10:00 UTC after whole days; with JOBLEDGER_SCHEDULES=exact,
    exactly as the job's schedule says. If JOBLEDGER_SMTP names a server, alerts are sent by mail.
    """
    from jobledger.infra.evaluation.runs.mail import Mailer
    from jobledger.infra.evaluation.runs.scheduler import Scheduler

    evaluates = _can_evaluate()
    settings = Settings()
    mailer = Mailer.parse(settings.smtp, settings.mail_from) if settings.smtp else None
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    stopping = stop_signal()
    aim, spool = target(context), Spool(spool_folder())
    with aim.open() as ledger:
        to = destination(aim.dsn, aim.ledger)
        send = partial(send_spool, ledger, spool, to, aim.project)
        work = Scheduler(ledger, settings.schedules, mailer, also=send, evaluates=evaluates)
        keep = partial(keep_applying, ledger, ledger.log, archive_folder(), stopping)
        with ThreadPoolExecutor(2, "jobledger-scheduler") as threads:
            # Runs outside of the main thread, which would not handle signals while it waits for a lock.
            if once:
                threads.submit(send).result()
                threads.submit(work.do_due).result()
                threads.submit(keep, once=True).result()
            else:
                keeping = threads.submit(keep)
                try:
                    threads.submit(work.serve, stopping, pause).result()
                finally:
                    stopping.set()
                    keeping.result()


def stop_signal() -> Signal:
    """Returns a signal that is set when the process is asked to stop; the process then ends within seconds."""
    stopping, ending = Signal(), Ending(GRACE_SECONDS)

    def stop(*_: object) -> None:
        stopping.set()
        ending.begin()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    return stopping


def _can_evaluate() -> bool:
    """Whether the extra `evaluation` is installed; prints what is skipped if it is not."""
    try:
        import jobledger.infra.evaluation.metrics.evaluate  # noqa: F401
        import sklearn.metrics  # noqa: F401
    except ImportError as error:
        aside(f"predictions are not evaluated here: pip install 'jobledger[evaluation]' ({error})")
        return False
    return True


def evaluations(
    context: typer.Context,
    name: EvaluationJob,
    run: Annotated[
        int | None, typer.Option(min=1, help="The number of one run; default: the last.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the result to a file: .svg or .png.")
    ] = None,
    chart: Annotated[Chart, typer.Option(help="What --plot draws.")] = Chart.PR_CURVE,
    json: Json = False,
) -> None:
    """Show the results of an evaluation job, one line per run, or draw one run's evaluation."""
    aim = target(context)
    with aim.open() as ledger:
        job = ledger.get(aim.evaluation_job(name))
        found = reading.read_evaluated(ledger.reader, job.name)
    if run is not None and run not in found:
        raise InvalidFieldError(
            "run",
            f"{name} has no evaluation of run {run}; runs: {', '.join(map(str, found)) or 'none'}",
        )
    if plot is not None:
        if not found:
            raise InvalidFieldError("plot", f"{name} has no evaluation yet; its runs make them")
        alert = job.spec.get(CONFIG, {}).get("evaluationJobAlertConfig") or {}
        _draw(found, run or max(found), plot, chart, alert)
    elif json:
        shown = found if run is None else {run: found[run]}
        print_json([{"run": n, "evaluations": each} for n, each in shown.items()])
    else:
        OUT.print(_table(found if run is None else {run: found[run]}))


def _draw(
    found: dict[int, list[JsonObject]], run: int, path: Path, chart: Chart, alert: JsonObject
) -> None:
    from jobledger.infra.evaluation.metrics import plots as plotting

    metrics = [reading.metrics_of(evaluation) for evaluation in found[run]]
    match chart:
        case Chart.PR_CURVE:
            write_picture(path, lambda to: plotting.draw_pr_curve(metrics, to))
        case Chart.CONFUSION:
            write_picture(path, lambda to: plotting.draw_confusion(metrics[0], to))
        case Chart.OVER_TIME:
            points = [
                (reading.run_time_of(each[0]), reading.precision_of(each[0]))
                for each in found.values()
            ]
            least = alert.get("minAcceptableMeanAveragePrecision")
            write_picture(path, lambda to: plotting.draw_map_over_time(points, least, to))
    if path != STDOUT:
        say(f"{path} shows the {chart} of {found[run][0]['name']}")


def _table(found: dict[int, list[JsonObject]]) -> Table:
    table = Table(
        "run", "run time", "items", "mean average precision", "area under curve", "evaluation"
    )
    for run, (first, *_) in found.items():
        curve = reading.metrics_of(first)["prCurve"]
        table.add_row(
            str(run),
            first["evaluationJobRunTime"],
            first["evaluatedItemCount"],
            f"{curve['meanAveragePrecision']:.4f}",
            f"{curve['areaUnderCurve']:.4f}",
            first["name"],
        )
    return table
