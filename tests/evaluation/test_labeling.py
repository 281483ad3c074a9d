"""Labeling tasks: questions about a run's samples, answers, and refusals."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from jobledger.domain.errors import InvalidFieldError, JobNotFoundError, LedgerError
from jobledger.domain.metrics.evaluation import read_plan
from jobledger.domain.metrics.examples import Truth
from jobledger.domain.metrics.showing import show
from jobledger.domain.values import canonical
from jobledger.infra import Ledger
from jobledger.infra.evaluation.errors import (
    AnsweredTwiceError,
    EnoughAnswersError,
    TaskClosedError,
    TaskNotFoundError,
)
from jobledger.infra.evaluation.runs.scheduler import Scheduler
from jobledger.infra.evaluation.samples.reading import read_evaluated
from jobledger.infra.evaluation.tasks.agreement import agreed, agreed_truths
from jobledger.infra.evaluation.tasks.labeling import answer, answer_all, complete_if_answered
from jobledger.infra.evaluation.tasks.tasks import find_task, open_tasks, questions
from jobledger.infra.eventstore.writer import Writer
from jobledger.infra.upkeep.verify import verify

from tests.evaluation_jobs import TEXT, Clock, make_job, predictions_of, spec_of
from tests.labeling import BOXES, IMAGE, TIME, ask_people, box, tell, types


def kept(ledger: Ledger, name: str) -> list[tuple[int, str, Any]]:
    with ledger.connection() as connection:
        rows = connection.execute(
            "SELECT sample, annotator, answer FROM answers WHERE job = %s ORDER BY sample, annotator",
            (name,),
        ).fetchall()
    return [(sample, who, orjson.loads(body)) for sample, who, body in rows]


def asked(ledger: Ledger, name: str, annotator: str | None = None) -> list[int]:
    return [
        each.number
        for each in questions(ledger.reader, find_task(ledger.reader, name, 1), annotator)
    ]


def test_a_task_is_open_until_its_last_question_is_answered(ledger: Ledger) -> None:
    name = ask_people(ledger, "abc", truths=["cat"])
    [task] = open_tasks(ledger.reader, name)
    assert (task.labels, task.question_count, task.answer_count) == (("cat", "dog", "bird"), 2, 0)
    assert (task.data_type, task.instruction) == ("TEXT", "Say what it is.")
    first, second = questions(ledger.reader, task, "ann")
    assert (first.number, first.data, first.shown) == (2, {"text": "b"}, ("text", "b"))
    assert answer(ledger, name, 1, "ann", {2: "dog"}) == (1, 0, True)
    assert asked(ledger, name) == [second.number] == [3]
    assert answer(ledger, name, 1, "ann", {2: "dog", 3: ["cat"]}) == (1, 1, False)
    assert open_tasks(ledger.reader, name) == []
    done = find_task(ledger.reader, name, 1)
    assert (done.is_open, done.answer_count) == (False, 2)
    assert questions(ledger.reader, done) == []
    told = ledger.history(name)[-1]
    expected = [[2, "ann", "dog"], [3, "ann", "cat"]]
    digest = hashlib.sha256(canonical.encode_any(expected)).hexdigest()
    assert (told.type, told.json) == (
        "LabelingCompleted",
        {"run": 1, "answerCount": 2, "digest": digest},
    )
    assert agreed_truths(ledger.reader, done) == {2: Truth(["dog"]), 3: Truth(["cat"])}


def test_each_question_is_for_several_people_and_nobody_is_asked_twice(ledger: Ledger) -> None:
    name = ask_people(ledger, "ab", replicas=3)
    answer(ledger, name, 1, "ann", {1: "cat"})
    assert (asked(ledger, name, "ann"), asked(ledger, name, "bob")) == ([2], [1, 2])
    answer(ledger, name, 1, "bob", {1: "dog", 2: "bird"})
    answer(ledger, name, 1, "cy", {1: "cat", 2: "bird"})
    assert asked(ledger, name, "dora") == [2]
    with pytest.raises(EnoughAnswersError) as full:
        answer(ledger, name, 1, "dora", {2: "bird", 1: "cat"})
    assert full.value.sample == 1
    assert asked(ledger, name, "dora") == [2]  # None of hers were kept.
    assert not answer(ledger, name, 1, "dora", {2: "cat"}).is_open
    found = agreed_truths(ledger.reader, find_task(ledger.reader, name, 1))
    assert found == {1: Truth(["cat"]), 2: Truth(["bird"])}


def test_samples_without_agreement_are_left_out(ledger: Ledger) -> None:
    name = ask_people(ledger, "ab", replicas=2, aggregation="UNANIMOUS_VOTE")
    answer(ledger, name, 1, "ann", {1: "cat", 2: "cat"})
    answer(ledger, name, 1, "bob", {1: "cat", 2: "dog"})
    assert agreed_truths(ledger.reader, find_task(ledger.reader, name, 1)) == {
        1: Truth(["cat"]),
        2: None,
    }
    with ledger.connection() as connection:
        assert agreed(connection, ledger.get(name), 1) == {1: Truth(["cat"])}
        assert agreed(connection, ledger.get(name), 2) == {}


def test_the_first_answer_counts_where_answers_are_not_compared(ledger: Ledger) -> None:
    name = ask_people(ledger, "a", replicas=2, aggregation="NO_AGGREGATION")
    answer(ledger, name, 1, "zoe", {1: "bird"})
    answer(ledger, name, 1, "ann", {1: "cat"})
    assert agreed_truths(ledger.reader, find_task(ledger.reader, name, 1)) == {1: Truth(["bird"])}


def test_boxes_of_three_people(ledger: Ledger) -> None:
    name = ask_people(ledger, "a", annotation=BOXES, replicas=3)
    for n, who in enumerate(("ann", "bob", "cy")):
        shift = n / 100
        boxes = [box("cat", 0.1 + shift, 0.1, 0.5 + shift, 0.5)]
        answer(
            ledger, name, 1, who, {1: boxes + ([box("dog", 0.6, 0.6, 0.9, 0.9)] if n else [])[:n]}
        )
    found = agreed_truths(ledger.reader, find_task(ledger.reader, name, 1))[1]
    assert found is not None
    assert [(each.label, round(each.x0, 9)) for each in found.boxes] == [
        ("cat", 0.11),
        ("dog", 0.6),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answers", "field", "why"),
    [
        ({1: "cat", 2: "horse"}, "answers.2", "'horse' is not in the annotation spec set"),
        ({1: ["cat", "dog"]}, "answers.1", "2 labels"),
        ({1: 7}, "answers.1", "the label 7 is not a text of one character or more"),
        ({1: "\0"}, "answers.1", "not in the annotation spec set"),
        ({1: "cat", 99: "cat"}, "answers.99", "has no question about this sample"),
        ({3: "cat"}, "answers.3", "has no question about this sample"),
        ({0: "cat"}, "answers.0", "has no question"),
        ({-(2**70): "cat"}, f"answers.-{2**70}", "has no question"),
        ({2**31: "cat"}, f"answers.{2**31}", "has no question"),
    ],
)
def test_an_invalid_answer_is_refused_and_nothing_is_kept(
    ledger: Ledger, answers: dict[int, Any], field: str, why: str
) -> None:
    name = ask_people(ledger, "ab")
    ledger.record_predictions(name, [])
    with pytest.raises(InvalidFieldError, match=why) as refused:
        answer(ledger, name, 1, "ann", answers)
    assert refused.value.field == field
    assert kept(ledger, name) == []


def test_samples_with_a_truth_or_of_another_run_are_not_asked_about(ledger: Ledger) -> None:
    name = ask_people(ledger, "ab", truths=["cat"])
    with pytest.raises(InvalidFieldError, match=r"answers\.1"):
        answer(ledger, name, 1, "ann", {1: "cat", 2: "cat"})
    with pytest.raises(TaskNotFoundError):
        answer(ledger, name, 2, "ann", {1: "cat"})
    with pytest.raises(JobNotFoundError):
        answer(ledger, "projects/p/evaluationJobs/none", 1, "ann", {1: "cat"})
    ledger.create("projects/p/jobs/other")
    assert open_tasks(ledger.reader, "projects/p/jobs/other") == []
    assert open_tasks(ledger.reader, make_job(ledger, spec_of())) == []


@pytest.mark.parametrize("annotator", ["", "a\nb", "x" * 257, "\ud800"])
def test_a_labeler_must_give_a_name(ledger: Ledger, annotator: str) -> None:
    name = ask_people(ledger, "a")
    with pytest.raises(InvalidFieldError, match="annotator"):
        answer(ledger, name, 1, annotator, {1: "cat"})


def test_without_an_annotation_spec_set_any_label_is_accepted(ledger: Ledger) -> None:
    name = ask_people(ledger, "a", labels=())
    answer(ledger, name, 1, "ann", {1: "horse"})
    assert agreed_truths(ledger.reader, find_task(ledger.reader, name, 1)) == {1: Truth(["horse"])}


def test_an_answer_may_be_repeated_and_not_changed(ledger: Ledger) -> None:
    name = ask_people(ledger, "abc")
    answer(ledger, name, 1, "ann", {1: "cat"})
    with pytest.raises(AnsweredTwiceError) as twice:
        answer(ledger, name, 1, "ann", {2: "cat", 1: "dog"})
    assert (twice.value.sample, twice.value.annotator) == (1, "ann")
    assert kept(ledger, name) == [(1, "ann", "cat")]
    assert answer(ledger, name, 1, "ann", {1: ["cat"]}) == (0, 1, True)


def test_what_several_people_answered_is_kept_for_all_of_them_or_none(ledger: Ledger) -> None:
    name = ask_people(ledger, "ab", replicas=2)
    answer(ledger, name, 1, "bob", {1: "dog"})
    with pytest.raises(AnsweredTwiceError):
        answer_all(ledger, name, 1, {"ann": {1: "cat", 2: "cat"}, "bob": {1: "cat"}})
    assert kept(ledger, name) == [(1, "bob", "dog")]
    both = answer_all(ledger, name, 1, {"ann": {1: "cat", 2: "cat"}, "bob": {1: "dog", 2: "cat"}})
    assert both == (3, 1, False)


@pytest.mark.slow
@pytest.mark.parametrize("over", ["LabelingCompleted", "EvaluationCreated", "RunFailed"])
def test_a_task_is_closed_once_its_run_goes_on(ledger: Ledger, over: str) -> None:
    name = ask_people(ledger, "ab")
    answer(ledger, name, 1, "ann", {1: "cat"})
    tell(ledger, name, over, **({"attemptTime": TIME} if over == "RunFailed" else {}))
    with pytest.raises(TaskClosedError):
        answer(ledger, name, 1, "ann", {2: "cat"})
    with pytest.raises(TaskClosedError):
        answer(ledger, name, 1, "bob", {1: "cat"})
    assert answer(ledger, name, 1, "ann", {1: "cat"}) == (0, 1, False)
    assert kept(ledger, name) == [(1, "ann", "cat")]
    assert not complete_if_answered(ledger, find_task(ledger.reader, name, 1))


def test_a_stopped_or_deleted_job_has_no_labeling_tasks(ledger: Ledger) -> None:
    stopped, deleted = ask_people(ledger, "a"), ask_people(ledger, "a")
    ledger.cancel(stopped)
    assert open_tasks(ledger.reader, stopped) == []
    with pytest.raises(TaskClosedError):
        answer(ledger, stopped, 1, "ann", {1: "cat"})
    ledger.delete(deleted, stop=True)
    with pytest.raises(JobNotFoundError):
        open_tasks(ledger.reader, deleted)


def test_a_crash_before_the_completion_is_reported_loses_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = ask_people(ledger, "a")
    with monkeypatch.context() as patch:
        patch.setattr(Writer, "command", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            answer(ledger, name, 1, "ann", {1: "cat"})
    task = find_task(ledger.reader, name, 1)
    assert (task.is_open, task.answer_count) == (True, 1)
    assert complete_if_answered(ledger, task)
    assert complete_if_answered(ledger, task)  # As it was before: it is told once.
    assert types(ledger, name)[-2:] == ["LabelingRequested", "LabelingCompleted"]


@pytest.mark.slow
def test_concurrent_answers_are_accepted_up_to_the_wanted_number(ledger: Ledger) -> None:
    name = ask_people(ledger, [str(n) for n in range(20)], replicas=3)

    def work(person: int) -> int:
        done = 0
        for number in range(1, 21):
            try:
                done += answer(ledger, name, 1, f"a{person}", {number: "cat"}).kept
            except LedgerError as error:
                assert isinstance(error, EnoughAnswersError | TaskClosedError)
        return done

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 60
    assert types(ledger, name).count("LabelingCompleted") == 1
    assert "Contradicted" not in types(ledger, name)


def test_a_run_asks_people_and_is_evaluated_by_what_they_agree_on(ledger: Ledger) -> None:
    name, clock = make_job(ledger, spec_of(people=True, replicas=3)), Clock()
    ledger.record_predictions(name, predictions_of("a", truth="cat"))
    ledger.record_predictions(name, predictions_of("bcd"))
    clock.forward(hours=2)
    scheduler = Scheduler(ledger, clock=clock)
    scheduler.do_due()
    assert types(ledger, name)[-1] == "LabelingRequested"
    body = {
        "ann": ["cat", "dog", "dog"],
        "bob": ["cat", "dog", "cat"],
        "cy": ["dog", "dog", "bird"],
    }
    for who, labels in body.items():
        answer(ledger, name, 1, who, dict(zip((2, 3, 4), labels, strict=True)))
        scheduler.do_due()
    assert types(ledger, name)[-3:] == ["LabelingCompleted", "EvaluationCreated", "Scheduled"]
    [found] = read_evaluated(ledger.reader, name).values()
    assert found[0]["evaluatedItemCount"] == "3"  # On one of the four they did not agree.
    assert ledger.history(name)[-2].json["meanAveragePrecision"] < 1
    with ledger.connection() as connection:
        assert verify(connection).findings == []


GIF = "R0lGODlhAQABAAAAACw="
WEBP = "UklGRiIAAABXRUJQVlA4"


@pytest.mark.parametrize(
    ("annotation", "given", "shown"),
    [
        (TEXT, {"text": "<b>hi</b>"}, ("text", "<b>hi</b>")),
        (TEXT, {"text": ["a", 1]}, ("text", '["a",1]')),
        (TEXT, {"another": 1}, ("text", '{"another":1}')),
        (TEXT, "bare", ("text", "bare")),
        ("GENERAL_CLASSIFICATION_ANNOTATION", {"text": {"b": 1, "a": 2}}, ("text", '{"a":2,"b":1}')),
        (IMAGE, {"text": GIF}, ("image", f"data:image/gif;base64,{GIF}")),
        (IMAGE, {"text": {"b64": WEBP}}, ("image", f"data:image/webp;base64,{WEBP}")),
        (IMAGE, {"text": f"{GIF[:8]}\n{GIF[8:]}"}, ("image", f"data:image/gif;base64,{GIF}")),
        (IMAGE, {"text": "https://example.org/a"}, ("image", "https://example.org/a")),
        (IMAGE, {"text": "http://example.org/a"}, ("text", "http://example.org/a")),
        (IMAGE, {"text": "javascript:alert(1)"}, ("text", "javascript:alert(1)")),
        (IMAGE, {"text": "data:text/html,<script>"}, ("text", "data:text/html,<script>")),
        (IMAGE, {"text": "gs://bucket/a.png"}, ("text", "gs://bucket/a.png")),
        (IMAGE, {"text": {"b64": 7}}, ("text", '{"b64":7}')),
        (IMAGE, {"text": "aaa"}, ("text", "aaa")),
        (IMAGE, {"text": "PHN2Zz48L3N2Zz4="}, ("text", "PHN2Zz48L3N2Zz4=")),
    ],
)  # fmt: skip
def test_the_content_of_an_example_that_annotators_see(
    annotation: str, given: Any, shown: tuple[str, str]
) -> None:
    assert show(read_plan(spec_of(annotation)), given) == shown
