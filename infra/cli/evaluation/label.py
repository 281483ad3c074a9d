"""`jobledger label`: a job's labels, and the labeling tasks of evaluation jobs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.cli.context import OUT, Json, Target, print_json, target
from jobledger.infra.cli.jobs.act import labels
from jobledger.infra.errors import InputError
from jobledger.infra.evaluation.tasks.label_studio import config, exported, import_answers
from jobledger.infra.evaluation.tasks.labeling import Answered
from jobledger.infra.evaluation.tasks.labeling import answer as keep_answers
from jobledger.infra.evaluation.tasks.tasks import (
    Question,
    Task,
    find_task,
    open_tasks,
    questions,
    task_json,
)
from jobledger.infra.ledger import Ledger
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup


class LabelGroup(TyperGroup):
    """Takes `label NAME K=V...` as `label set NAME K=V...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses as any group if the first word is a subcommand, or no word is a label."""
        words = [word for word in args if not word.startswith("-")]
        is_set = words[:1] and words[0] not in self.commands and any("=" in w for w in words[1:])
        return super().parse_args(ctx, ["set", *args] if is_set else args)


label = typer.Typer(
    cls=LabelGroup,
    help="Set labels of a job (label NAME K=V), or answer the labeling tasks of evaluation jobs.",
    no_args_is_help=True,
)
label.command("set")(labels)
PAGE_QUESTIONS: Final = 500
MAX_EXAMPLE_CHARACTERS: Final = 200
"""The most characters of an example in a table."""

JobName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="projects/P/evaluationJobs/ID, or ID in the project."),
]
Run = Annotated[
    int | None,
    typer.Option("--run", min=1, help="The run's number; not needed if only one task is open."),
]
Annotator = Annotated[str, typer.Option("--as", metavar="ANNOTATOR", help="The annotator.")]


@label.command()
def tasks(context: typer.Context, name: JobName, json: Json = False) -> None:
    """List the job's open tasks."""
    with target(context).open() as ledger:
        found = open_tasks(ledger.reader, target(context).evaluation_job(name))
    if json:
        print_json([task_json(task) for task in found])
        return
    table = Table("run", "questions", "people each", "answers", "labels", "instruction", box=None)
    for task in found:
        counts = map(str, (task.run, task.question_count, task.replica_count, task.answer_count))
        table.add_row(*counts, Text(", ".join(task.labels)), Text(task.instruction))
    OUT.print(table)


@label.command()
def show(
    context: typer.Context,
    name: JobName,
    run: Run = None,
    annotator: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="ANNOTATOR", help="Leave out questions that this annotator answered."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List the questions that still need answers."""
    with target(context).open() as ledger:
        task = _task(ledger, target(context), name, run)
        if json:
            found = _all(ledger, task, annotator)
            print_json([{"sample": each.number, "data": each.data} for each in found])
            return
        table = Table("sample", "example", box=None)
        for each in _all(ledger, task, annotator):
            table.add_row(str(each.number), Text(each.shown.value[:MAX_EXAMPLE_CHARACTERS]))
    OUT.print(table)


@label.command()
def answer(
    context: typer.Context,
    name: JobName,
    answers: Annotated[
        list[str],
        typer.Argument(metavar="SAMPLE=LABEL[,LABEL]", help="Answers; for boxes, SAMPLE=JSON."),
    ],
    annotator: Annotator,
    run: Run = None,
) -> None:
    """Store one person's answers, atomically."""
    with target(context).open() as ledger:
        task = _task(ledger, target(context), name, run)
        fields = dict(_answer(task, text) for text in answers)
        if len(fields) < len(answers):
            raise InvalidFieldError("answers", "a sample has two answers; give one for each")
        _say(keep_answers(ledger, task.job, task.run, annotator, fields))


@label.command()
def export(
    context: typer.Context,
    name: JobName,
    run: Run = None,
    config_: Annotated[
        bool, typer.Option("--config", help="Print the labeling configuration (XML) instead.")
    ] = False,
) -> None:
    """Print the open questions as Label Studio's tasks, for its import."""
    with target(context).open() as ledger:
        task = _task(ledger, target(context), name, run)
        if config_:
            typer.echo(config(task))
        else:
            print_json([exported(task, question) for question in _all(ledger, task)])


@label.command("import")
def import_(
    context: typer.Context,
    name: JobName,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Label Studio's export, as JSON (not JSON-MIN).")
    ],
    run: Run = None,
) -> None:
    """Store the answers that Label Studio exported, atomically; importing them again adds nothing."""
    given = _read(file)
    with target(context).open() as ledger:
        task = _task(ledger, target(context), name, run)
        _say(import_answers(ledger, task.job, task.run, given))


def _task(ledger: Ledger, aim: Target, name: str, run: int | None) -> Task:
    """Returns the task of a run, or the only open one."""
    job = aim.evaluation_job(name)
    if run is not None:
        return find_task(ledger.reader, job, run)
    found = open_tasks(ledger.reader, job)
    if not found:
        raise InvalidFieldError("run", f"{job} has no open task; --run names a closed one")
    if len(found) > 1:
        runs = ", ".join(str(task.run) for task in found)
        raise InvalidFieldError("run", f"several tasks are open; choose one with --run: {runs}")
    return found[0]


def _all(ledger: Ledger, task: Task, annotator: str | None = None) -> Iterator[Question]:
    after = 0
    while page := questions(ledger.reader, task, annotator, after, PAGE_QUESTIONS):
        yield from page
        after = page[-1].number


def _answer(task: Task, text: str) -> tuple[int, Any]:
    """Parses an answer such as `3=cat,dog`; commas separate labels only if several are allowed."""
    sample, equals, value = text.partition("=")
    if not (equals and sample.isascii() and sample.isdigit() and len(sample) < 10):
        raise InvalidFieldError("answers", f"{text[:80]!r} is not SAMPLE=LABEL")
    number = int(sample)
    if task.boxes:
        try:
            return number, orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise InvalidFieldError(
                f"answers.{number}", f"is not JSON of boxes: {error}"
            ) from error
    if not task.multi_label or value in task.labels:
        return number, [value]
    return number, [each for each in value.split(",") if each]


def _read(file: Path) -> Any:
    try:
        return orjson.loads(file.read_bytes())
    except OSError as error:
        raise InputError(str(file), 0, error.strerror or str(error)) from error
    except orjson.JSONDecodeError as error:
        raise InputError(str(file), error.lineno, f"is not JSON: {error.msg}") from error


def _say(answered: Answered) -> None:
    more = "more are wanted" if answered.is_open else "the task is closed"
    OUT.print(f"{answered.kept} kept, {answered.repeated} known already; {more}")
