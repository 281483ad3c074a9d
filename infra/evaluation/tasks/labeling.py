"""Answers of labelers to a run's samples, recorded once each until the task is complete."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import orjson
from jobledger.domain.commands import StepRun
from jobledger.domain.errors import IllegalTransitionError, InvalidFieldError
from jobledger.domain.metrics.agreement import kept_answer, read_answer
from jobledger.domain.metrics.evaluation import Plan, read_plan
from jobledger.domain.metrics.examples import MAX_BYTES, RejectedError, check_labels
from jobledger.domain.metrics.run_digests import digest_of_answers
from jobledger.domain.run_events import LabelingCompleted
from jobledger.domain.values import canonical
from jobledger.domain.values.names import parse_text
from jobledger.infra.evaluation import errors
from jobledger.infra.evaluation.samples.of_run import run_range
from jobledger.infra.evaluation.tasks.agreement import READ_ANSWERS
from jobledger.infra.evaluation.tasks.tasks import Task, count_answers, find_task
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.read.lists.page_tokens import read_secret
from jobledger.infra.read.store import Store

RECORD_ANSWERS: Final = sql.load(__package__, "record_answers")
FIND_QUESTIONS: Final = sql.load(__package__, "find_questions")
MAX_NUMBER: Final = 2**31 - 1

Answers = Mapping[int, Any]
"""JSON by the numbers of samples."""


class Answered(NamedTuple):
    """The outcome of the answers of one call."""

    kept: int
    repeated: int
    """Given before, just so."""
    is_open: bool
    """Whether the task waits for more."""


def answer(store: Store, name: str, run: int, annotator: str, answers: Answers) -> Answered:
    """Records one annotator's answers: all of them, or none. The last answer needed completes the task.

    Args:
        store: The ledger.
        name: The evaluation job's resource name.
        run: The number of its run.
        annotator: Who answers.
        answers: By the number of the question: a label, a list of labels, a list of boxes as
            `{label, top_left, bottom_right}`, or an object with the job's own keys.

    Returns:
        How many answers were recorded, and whether they completed the task.

    Raises:
        InvalidFieldError: An answer is not valid; the field is `answers.12` for question 12.
        JobNotFoundError: There is no such job.
        TaskNotFoundError: The run asks nothing.
        TaskClosedError: The task is complete.
        AnsweredTwiceError: The annotator answered differently before.
        EnoughAnswersError: Enough others have answered.
    """
    return answer_all(store, name, run, {annotator: answers})


def answer_all(store: Store, name: str, run: int, by_annotator: Mapping[str, Answers]) -> Answered:
    """The same for the answers of several people: all of all of them, or none."""
    task = find_task(store.reader, name, run)
    plan = read_plan(store.reader.get(name).spec)._replace(multi_label=task.multi_label)
    texts = {
        str(parse_text("annotator", annotator)): {
            number: _text(task, plan, number, value) for number, value in answers.items()
        }
        for annotator, answers in by_annotator.items()
    }
    with translated(), store.reader.pool.connection() as connection, connection.transaction():
        _check_questions(connection, task, {number for value in texts.values() for number in value})
        # In their order, so that two calls at once cannot wait for each other.
        outcomes = [
            outcome
            for annotator in sorted(texts)
            for outcome in _record(connection, task, annotator, texts[annotator])
        ]
    is_open = task.is_open and not complete_if_answered(store, task)
    return Answered(outcomes.count("kept"), outcomes.count("repeated"), is_open)


def complete_if_answered(store: Store, task: Task) -> bool:
    """Records LabelingCompleted, once, if every question of an open task has its answers."""
    if not task.is_open:
        return False
    with translated(), store.reader.pool.connection() as connection:
        counts = count_answers(connection, task.job)
        if counts.get(task.run, 0) < task.question_count * task.replica_count:
            return False
        rows = connection.execute(READ_ANSWERS, (task.job, task.run)).fetchall()
    digest, count = digest_of_answers(
        (sample, annotator, orjson.loads(text)) for sample, annotator, text, _ in rows
    )
    completed = LabelingCompleted(run=task.run, answer_count=count, digest=digest)
    # If it were predictable, a client could use it up, and the task would never be completed.
    value = f"{task.job} {task.run} labeled".encode()
    request = hmac.new(read_secret(store.reader.pool), value, hashlib.sha256).hexdigest()
    with suppress(IllegalTransitionError):  # The run has failed in the meantime.
        store.writer.command(task.job, StepRun(facts=(completed,)), request_id=request)
        return True
    return False


def _text(task: Task, plan: Plan, number: int, value: Any) -> str:
    """Returns the stored form of an answer; raises InvalidFieldError for an invalid one."""
    field = f"answers.{number}"
    try:
        truth = read_answer(plan, value)
        check_labels(truth.labels, task.labels or None)
        kept = kept_answer(truth, boxes=task.boxes, multi_label=task.multi_label)
        encoded = canonical.encode_any(kept)
    except RejectedError as error:
        raise InvalidFieldError(field, str(error)) from None
    except InvalidFieldError as error:
        raise InvalidFieldError(field, error.why) from None
    if len(encoded) > MAX_BYTES:
        raise InvalidFieldError(field, f"{len(encoded)} bytes; the limit is {MAX_BYTES}")
    return encoded.decode()


def _check_questions(connection: Connection, task: Task, numbers: set[int]) -> None:
    first, last = run_range(connection, task.job, task.run)
    possible = [number for number in numbers if 0 < number <= MAX_NUMBER]
    rows = connection.execute(FIND_QUESTIONS, (task.job, first, last, possible)).fetchall()
    unknown = numbers - {number for (number,) in rows}
    if unknown:
        field = f"answers.{min(unknown)}"
        raise InvalidFieldError(
            field, f"run {task.run} has no question about this sample; its samples are in the task"
        )


def _record(
    connection: Connection, task: Task, annotator: str, texts: Mapping[int, str]
) -> Sequence[str]:
    """The outcome of each answer; raises an error for the first that is not accepted."""
    numbers = sorted(texts)
    parts = [texts[number] for number in numbers]
    given = (task.job, task.run, annotator, task.replica_count, numbers, parts)
    (outcomes,) = connection.execute(RECORD_ANSWERS, given).fetchall()[0]
    # An annotator whose last answer was not acknowledged may repeat it.
    if not task.is_open and set(outcomes) != {"repeated"}:
        raise errors.TaskClosedError(task.job, task.run)
    for number, outcome in zip(numbers, outcomes, strict=True):
        if outcome == "twice":
            raise errors.AnsweredTwiceError(task.job, task.run, number, annotator)
        if outcome == "full":
            raise errors.EnoughAnswersError(task.job, task.run, number)
    return list(outcomes)
