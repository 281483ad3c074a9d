"""Evaluations of runs, read over HTTP and gRPC with Google's own clients."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Any

import pytest
from jobledger.domain.events import parse_data
from jobledger.domain.metrics.evaluation import names_of
from jobledger.domain.values import canonical
from jobledger.infra import Ledger
from jobledger.infra.evaluation.samples.outcomes import Prediction
from jobledger.infra.evaluation.tasks.labeling import answer
from jobledger.infra.google.wire import messages

from tests.clients import Refusal, discovered, refusal_of
from tests.evaluation_jobs import BEGIN, KEYS, TEXT, make_job, spec_of
from tests.grpc_clients import Clients, as_raw, refusal
from tests.labeling import ask_people
from tests.servers import Server

API = messages.load("datalabeling_v1beta1")
IMAGES = "IMAGE_CLASSIFICATION_ANNOTATION"
BOXES = "IMAGE_BOUNDING_BOX_ANNOTATION"
GENERAL = "GENERAL_CLASSIFICATION_ANNOTATION"
LABELS = ("cat", "dog")
DAY = timedelta(days=1)
FIRST = datetime(2026, 6, 1, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def ledger(server: Server) -> Ledger:
    return server.ledger


@pytest.fixture(scope="module")
def rest(server: Server) -> Iterator[Any]:
    with discovered("datalabeling", "v1beta1", server) as made:
        yield made.projects()


@pytest.fixture
def parent(project: str) -> str:
    return f"projects/{project}"


def text_of(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")


def tell(ledger: Ledger, name: str, type_: str, **expected: Any) -> None:
    [event, *_] = ledger.report(name, parse_data(type_, expected)).events
    assert event.type == type_


def evaluations_of(
    name: str, run: int, at: datetime, labels: Sequence[str], kind: str = "classificationMetrics"
) -> list[dict[str, Any]]:
    """Evaluation messages of a run: over all labels, and of each."""
    first = names_of(name, run).evaluation
    specs = [
        {},
        *({"annotationSpec": {"displayName": x, "index": n}} for n, x in enumerate(labels)),
    ]
    entry = {"confidenceThreshold": 0.5, "recall": 1, "precision": 0.25, "f1Score": 0.4}
    return [
        {
            "name": first if n == 0 else f"{first}_{n - 1}",
            "config": {},
            "evaluationJobRunTime": text_of(at),
            "createTime": text_of(at + timedelta(minutes=5)),
            "evaluationMetrics": {
                kind: {"prCurve": {**spec, "areaUnderCurve": 0.5, "meanAveragePrecision": 0.25,
                                   "confidenceMetricsEntries": [entry]}}
            },
            "annotationType": TEXT,
            "evaluatedItemCount": "3",
        }
        for n, spec in enumerate(specs)
    ]  # fmt: skip


def begin(ledger: Ledger, name: str, run: int, at: datetime, cut: int = 0) -> None:
    tell(ledger, name, "RunStarted", run=run, runTime=text_of(at), cut=cut)
    dataset = names_of(name, run).dataset
    tell(ledger, name, "DatasetCreated", run=run, dataset=dataset, exampleCount=3)


def keep(ledger: Ledger, name: str, run: int, at: datetime, found: Sequence[Any]) -> None:
    dataset = names_of(name, run).dataset
    with closing(ledger.connection()) as connection:
        connection.execute(
            "SELECT keep_evaluations(%s, %s, %s, %s, %s)",
            (name, run, dataset, at + timedelta(minutes=5), canonical.encode_any(found).decode()),
        )


def evaluate(
    ledger: Ledger, name: str, run: int, at: datetime = FIRST, labels: Sequence[str] = LABELS,
    kind: str = "classificationMetrics", cut: int = 0,
) -> list[dict[str, Any]]:  # fmt: skip
    """A whole run, as the scheduler would tell it."""
    begin(ledger, name, run, at, cut)
    found = evaluations_of(name, run, at, labels, kind)
    keep(ledger, name, run, at, found)
    tell(ledger, name, "EvaluationCreated", run=run, evaluation=found[0]["name"])
    return found


def parsed(expected: Any, cls: Any) -> Any:
    """JSON as Google's parser reads it, without what is newer than the client."""
    from google.protobuf import json_format

    return json_format.ParseDict(expected, cls.pb()(), ignore_unknown_fields=True)


def searched(rest: Any, parent: str, filter: str = "") -> list[str]:
    """The names that a search finds."""
    found = rest.evaluations().search(parent=parent, filter=filter).execute()
    return [one["name"] for one in found.get("evaluations", [])]


# Get


@pytest.mark.parametrize("kind", ["classificationMetrics", "objectDetectionMetrics"])
def test_an_evaluation_is_shown_as_it_was_kept(
    rest: Any, google: Clients, ledger: Ledger, project: str, kind: str
) -> None:
    name = make_job(ledger, spec_of(), project)
    found = evaluate(ledger, name, 1, kind=kind)
    assert len(found) == 3
    for evaluation in found:
        shown = rest.datasets().evaluations().get(name=evaluation["name"]).execute()
        assert shown == evaluation == API.parse("Evaluation", shown, output=True)
        expected = google.labeling.get_evaluation(name=evaluation["name"])
        assert as_raw(expected) == parsed(evaluation, google.d.Evaluation)
    made = f"{name.rpartition('/')[2]}_1"
    assert found[0]["name"] == f"projects/{project}/datasets/{made}/evaluations/{made}"


def test_an_evaluation_is_there_once_its_run_is_over(
    rest: Any, google: Clients, ledger: Ledger, project: str, parent: str
) -> None:
    name = make_job(ledger, spec_of(), project)
    begin(ledger, name, 1, FIRST)
    found = evaluations_of(name, 1, FIRST, LABELS)
    keep(ledger, name, 1, FIRST, found)
    request = rest.datasets().evaluations().get(name=found[0]["name"])
    assert refusal_of(request)[:3] == (404, "NOT_FOUND", "EVALUATION_NOT_FOUND")
    comparing = rest.datasets().evaluations().exampleComparisons()
    assert refusal_of(comparing.search(parent=found[0]["name"], body={}))[0] == 404
    refusal("NotFound", google.labeling.get_evaluation, name=found[0]["name"])
    assert searched(rest, parent) == []
    tell(ledger, name, "EvaluationCreated", run=1)
    assert request.execute() == found[0]
    assert searched(rest, parent) == [found[0]["name"]]


@pytest.mark.parametrize(
    "name", ["datasets/1/evaluations/2", "datasets/{id}_1/evaluations/{id}_1_2", "datasets/{id}_2/evaluations/{id}_2",
             "datasets/{id}_1/evaluations/{id}_10", "datasets/é/evaluations/x y"]
)  # fmt: skip
def test_a_missing_evaluation_is_not_found(
    rest: Any, ledger: Ledger, project: str, parent: str, name: str
) -> None:
    job = make_job(ledger, spec_of(), project)
    evaluate(ledger, job, 1)
    named = f"{parent}/{name.format(id=job.rpartition('/')[2])}"
    evaluations = rest.datasets().evaluations()
    comparing = evaluations.exampleComparisons().search(parent=named, body={})
    for request in (evaluations.get(name=named), comparing):
        assert refusal_of(request)[:3] == (404, "NOT_FOUND", "EVALUATION_NOT_FOUND")


def test_evaluations_stay_when_their_job_is_deleted(
    rest: Any, ledger: Ledger, project: str, parent: str
) -> None:
    name = make_job(ledger, spec_of(), project)
    ledger.record_predictions(name, [predicted("a", "cat", "cat")])
    [first, *_] = evaluate(ledger, name, 1, cut=1)
    ledger.delete(name, stop=True)
    evaluations = rest.datasets().evaluations()
    assert evaluations.get(name=first["name"]).execute() == first
    assert searched(rest, parent, "evaluation_job.job_state = STOPPED") == [first["name"]]
    assert len(compared(rest, first["name"])) == 1


def test_a_name_with_a_nul_is_not_found(google: Clients) -> None:
    named = "projects/p/datasets/d\0/evaluations/e"
    refusal("NotFound", google.labeling.get_evaluation, name=named)
    refusal("InvalidArgument", google.labeling.search_evaluations, parent="projects/p\0")


# Search


@pytest.fixture(scope="module")
def fleet(ledger: Ledger) -> dict[str, str]:
    """Runs of jobs by the names of their evaluations: `a1` is that over all labels of job a's run 1,
    `a1cat` that of its label cat. Job a runs on days 1 and 3, b on day 2; b is paused."""
    known: dict[str, str] = {}
    jobs = {}
    for job, model in (("a", "cats"), ("b", "dogs")):
        spec = spec_of() | {"modelVersion": f"projects/q/models/{model}/versions/v"}
        jobs[job] = make_job(ledger, spec, "searched")
    for job, run, day, labels in (
        ("a", 1, 0, LABELS),
        ("b", 1, 1, ("dog", "a cow")),
        ("a", 2, 2, LABELS),
    ):
        found = evaluate(ledger, jobs[job], run, FIRST + day * DAY, labels)
        known |= {
            f"{job}{run}{label.replace(' ', '_')}": one["name"]
            for label, one in zip(("", *labels), found, strict=True)
        }
    ledger.pause(jobs["b"])
    make_job(ledger, spec_of(), "searched-too")
    return known | {"a": jobs["a"].rpartition("/")[2]}


JOB, LABEL = "evaluation_job", "annotation_spec.display_name"
START, END = f"{JOB}.evaluation_job_run_time_start", f"{JOB}.evaluation_job_run_time_end"


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("", "a2 b1 a1"),
        (f"{JOB}.evaluation_job_id = {{a}}", "a2 a1"),
        (f"{JOB}.evaluation_job_id != {{a}}", "b1"),
        (f"{JOB}.evaluation_job_id = 7", ""),
        (f"{JOB}.model_id = cats", "a2 a1"),
        (f"{JOB}.model_id = cat", ""),
        (f"{JOB}.model_id = cats OR {JOB}.model_id = dogs", "a2 b1 a1"),
        (f"NOT {JOB}.model_id = cats", "b1"),
        (f"{START} = 2026-06-02T10:00:00Z", "a2 b1"),
        (f'{START} >= "2026-06-02T10:00:00.000001Z"', "a2"),
        (f"{START} > 2026-06-02T12:00:00+02:00", "a2 b1"),
        (f"{START} < 2026-06-02T10:00:00Z", "a2 b1"),
        (f"{END} = 2026-06-02T10:00:00Z", "b1 a1"),
        (f"{END}<='2026-06-02T09:59:59.9Z'", "a1"),
        (f"{START} = 2026-06-02T00:00:00Z AND {END} = 2026-06-03T00:00:00Z", "b1"),
        (f"{JOB}.job_state = PAUSED", "b1"),
        (f"{JOB}.job_state = SCHEDULED", "a2 a1"),
        (f"{JOB}.job_state = RUNNING", ""),
        (f"{LABEL} = dog", "a2dog b1dog a1dog"),
        (f'{LABEL} = "a cow"', "b1a_cow"),
        (f"{LABEL} : dog", "a2dog b1dog a1dog"),
        (f"{LABEL} = * AND {JOB}.model_id = cats", "a2cat a2dog a1cat a1dog"),
        (f"{LABEL} = d", ""),
        (f"{LABEL} = dog OR {LABEL} = cat", "a2cat a2dog b1dog a1cat a1dog"),
        (f"{LABEL} = dog AND {LABEL} = cat", ""),
        (f"NOT {LABEL} = cat AND {JOB}.model_id = cats", "a2dog a1dog"),
        (
            f"{JOB}.evaluation_job_id = {{a}} AND {JOB}.model_id = cats AND {START} = 2026-06-01T10:00:00Z"
            f" AND {END} = 2026-06-02T10:00:00Z AND {LABEL} = cat", "a1cat",
        ),
        ("evaluationJob.modelId = dogs AND (annotationSpec.displayName = dog)", "b1dog"),
    ],
)  # fmt: skip
def test_a_filter_finds_the_matching_resources(
    rest: Any, google: Clients, fleet: dict[str, str], filter: str, expected: str
) -> None:
    asked = {"parent": "projects/searched", "filter": filter.format(a=fleet["a"])}
    names = [fleet[one] for one in expected.split()]
    assert searched(rest, **asked) == names
    assert [one.name for one in google.labeling.search_evaluations(asked)] == names


@pytest.mark.parametrize(
    "filter",
    [f"{JOB}.colour = red", f"{JOB} = x", "state = RUNNING", f"{JOB}.job_state = QUEUED", f"{JOB}.job_state > PAUSED",
     f"{JOB}.model_id > a", f"{LABEL} < b", f"{START} = yesterday", f"{START} != 2026-06-02T00:00:00Z",
     f"{END} = 2026-02-30T00:00:00Z", f"{START} = 2026-06-02", f"{LABEL} =", f"ever({LABEL} = cat)", "name = x"],
)  # fmt: skip
def test_an_invalid_filter_is_refused(rest: Any, parent: str, filter: str) -> None:
    body = refusal_of(rest.evaluations().search(parent=parent, filter=filter))
    assert body[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert body.message.startswith("filter: ")


def test_run_times_are_found_however_evaluations_were_written(
    rest: Any, ledger: Ledger, project: str, parent: str
) -> None:
    name = make_job(ledger, spec_of(), project)
    begin(ledger, name, 1, FIRST)
    [found] = evaluations_of(name, 1, FIRST, ())
    found = {
        "evaluationMetrics": found.pop("evaluationMetrics"),
        "config": {"x": "y" * 999},
    } | found
    dataset = names_of(name, 1).dataset
    with closing(ledger.connection()) as connection:
        connection.execute(
            "SELECT keep_evaluations(%s, 1, %s, %s, %s)",
            (name, dataset, FIRST, json.dumps([found], indent=1)),
        )
    tell(ledger, name, "EvaluationCreated", run=1)
    for time, expected in ((FIRST, [found["name"]]), (FIRST + DAY, [])):
        assert searched(rest, parent, f"{START} = {text_of(time)}") == expected


@pytest.mark.slow
@pytest.mark.parametrize("by_label", [False, True])
def test_pages_show_each_evaluation_once_while_others_are_made(
    rest: Any, ledger: Ledger, project: str, parent: str, by_label: bool
) -> None:
    name, numbers = make_job(ledger, spec_of(), project), count(1)
    # Three at the same moment, so that time alone does not order them.
    runs = [evaluate(ledger, name, n, FIRST + DAY * (n // 3)) for n in islice(numbers, 7)][::-1]
    expected = [one["name"] for run in runs for one in (run[1:] if by_label else run[:1])]
    seen, sizes = list[str](), list[int]()
    search = rest.evaluations()
    request = search.search(parent=parent, filter=f"{LABEL} != cow" if by_label else "", pageSize=3)
    while request is not None:
        page = request.execute()
        sizes.append(len(page["evaluations"]))
        seen += [one["name"] for one in page["evaluations"]]
        evaluate(ledger, name, next(numbers), FIRST + 9 * DAY)
        request = search.search_next(request, page)
    assert seen == expected
    assert sizes == ([3, 3, 3, 3, 2] if by_label else [3, 3, 1])


def test_the_grpc_client_pages_by_itself(
    google: Clients, ledger: Ledger, project: str, parent: str
) -> None:
    name = make_job(ledger, spec_of(), project)
    made = [evaluate(ledger, name, n)[0]["name"] for n in range(1, 6)]
    found = google.labeling.search_evaluations({"parent": parent, "page_size": 2})
    assert [one.name for one in found] == made[::-1]


def test_a_page_token_is_good_for_its_own_search(
    rest: Any, google: Clients, ledger: Ledger, project: str, parent: str
) -> None:
    name = make_job(ledger, spec_of(), project)
    for run in (1, 2):
        evaluate(ledger, name, run)
    search = rest.evaluations().search
    token = search(parent=parent, pageSize=1).execute()["nextPageToken"]
    # A newer one is not on a later page.
    evaluate(ledger, name, 3, FIRST + DAY)
    page = search(parent=parent, pageSize=1, pageToken=token).execute()
    assert [one["name"] for one in page["evaluations"]] == [names_of(name, 1).evaluation]
    assert "nextPageToken" not in page
    for request in (
        search(parent=parent, pageToken="x"),
        search(parent=parent, pageToken=token[:-1]),
        search(parent=parent, pageToken=token, filter=f"{JOB}.model_id = m"),
        search(parent=f"{parent}x", pageToken=token),
        search(parent=parent, pageSize=-1),
    ):
        assert refusal_of(request)[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    asked = {"parent": parent, "page_token": "x"}
    refusal("InvalidArgument", google.labeling.search_evaluations, asked)


def test_a_page_has_100_evaluations_unless_fewer_are_asked_for(
    rest: Any, ledger: Ledger, project: str, parent: str
) -> None:
    name = make_job(ledger, spec_of(), project)
    labels = [f"l{n}" for n in range(120)]
    evaluate(ledger, name, 1, labels=labels)
    search = rest.evaluations().search
    for size in (None, 1_000):
        page = search(parent=parent, filter=f"{LABEL} != x", pageSize=size).execute()
        assert len(page["evaluations"]) == 100
    asked = {"filter": f"{LABEL} != x", "pageToken": page["nextPageToken"]}
    rest_of_them = search(parent=parent, **asked).execute()["evaluations"]
    metrics = [one["evaluationMetrics"]["classificationMetrics"] for one in rest_of_them]
    assert [m["prCurve"]["annotationSpec"]["displayName"] for m in metrics] == labels[100:]


def test_other_projects_evaluations_are_not_found(rest: Any, ledger: Ledger, project: str) -> None:
    for other in (f"{project}-x", f"{project}.x", f"{project}0"):
        evaluate(ledger, make_job(ledger, spec_of(), other), 1)
    assert searched(rest, f"projects/{project}") == []
    assert len(searched(rest, f"projects/{project}.x")) == 1


# Example comparisons


def predicted(text: str, label: Any, truth: Any = None, score: Any = 0.9) -> Prediction:
    """A prediction of a text."""
    return Prediction({"text": text}, {"label": label, "score": score}, BEGIN, truth=truth)


def compared(rest: Any, name: str, **body: Any) -> list[dict[str, Any]]:
    comparing = rest.datasets().evaluations().exampleComparisons()
    content = comparing.search(parent=name, body=body).execute()
    found: list[dict[str, Any]] = content.get("exampleComparisons", [])
    assert [API.parse("ExampleComparison", one, output=True) for one in found] == found
    return found


def only(
    rest: Any, ledger: Ledger, project: str, spec: dict[str, Any], given: Any, output: Any, truth: Any
) -> tuple[dict[str, Any], dict[str, Any]]:  # fmt: skip
    """The two sides of the one comparison of a run."""
    name = make_job(ledger, spec, project)
    prediction = Prediction(given, output, BEGIN, truth=truth)
    assert ledger.record_predictions(name, [prediction]).sampled == 1
    [first, *_] = evaluate(ledger, name, 1, cut=1)
    [one] = compared(rest, first["name"])
    [model] = one["modelCreatedExamples"]
    return one["groundTruthExample"], model


def text_annotation(label: str) -> dict[str, Any]:
    value = {"annotationSpec": {"displayName": label}}
    return {"annotationValue": {"textClassificationAnnotation": value}}


def test_comparisons_are_of_the_runs_own_samples_of_which_the_truth_is_known(
    rest: Any, google: Clients, ledger: Ledger, project: str
) -> None:
    name = make_job(ledger, spec_of(), project)
    ledger.record_predictions(name, [predicted("before", "cat", "cat")])
    evaluate(ledger, name, 1, cut=1)
    ledger.record_predictions(
        name,
        [predicted("a", "cat", "cat"), predicted("b", "cat"), predicted("c", ["cat", "dog"], "dog", [0.9, 0.8])],
    )  # fmt: skip
    found = evaluate(ledger, name, 2, FIRST + DAY, cut=4)
    ledger.record_predictions(name, [predicted("after", "cat", "cat")])
    dataset = names_of(name, 2).dataset
    expected = [
        {
            "groundTruthExample": {
                "name": f"{dataset}/examples/{n}",
                "textPayload": {"textContent": text},
                "annotations": [text_annotation(truth)],
            },
            "modelCreatedExamples": [
                {
                    "name": f"{dataset}/examples/{n}",
                    "textPayload": {"textContent": text},
                    "annotations": [text_annotation("cat")],
                }
            ],
        }
        for n, text, truth in ((2, "a", "cat"), (4, "c", "dog"))
    ]
    for evaluation in found:  # Those of a label are over the same examples.
        assert compared(rest, evaluation["name"]) == expected
    entries = google.labeling.search_example_comparisons(parent=found[0]["name"])
    cls = google.d.SearchExampleComparisonsResponse.ExampleComparison
    assert [as_raw(one) for one in entries] == [parsed(one, cls) for one in expected]


def test_comparisons_come_by_pages(
    rest: Any, google: Clients, ledger: Ledger, project: str
) -> None:
    name = make_job(ledger, spec_of(), project)
    given = [predicted(str(n), "cat", "cat" if n % 2 else None) for n in range(250)]
    ledger.record_predictions(name, given)
    [first, *_] = evaluate(ledger, name, 1, cut=250)
    comparing = rest.datasets().evaluations().exampleComparisons()
    pages, token = list[list[str]](), ""
    while not pages or token:
        page = comparing.search(parent=first["name"], body={"pageToken": token}).execute()
        pages.append([texts(one) for one in page["exampleComparisons"]])
        token = page.get("nextPageToken", "")
    odd = [str(n) for n in range(1, 250, 2)]
    assert pages == [odd[:100], odd[100:]]
    asked = {"parent": first["name"], "page_size": 40}
    entries = google.labeling.search_example_comparisons(request=asked)
    assert [one.ground_truth_example.text_payload.text_content for one in entries] == odd
    assert len(compared(rest, first["name"], pageSize=7)) == 7

    token = comparing.search(parent=first["name"], body={"pageSize": 1}).execute()["nextPageToken"]
    other = evaluate(ledger, name, 2, FIRST + DAY, cut=250)[0]["name"]
    for parent, body in (
        (first["name"], {"pageSize": -1}), (first["name"], {"pageToken": "x"}), (other, {"pageToken": token}),
        (first["name"], {"pageSize": "many"}), (first["name"], {"filter": "x"}),
    ):  # fmt: skip
        refused: Refusal = refusal_of(comparing.search(parent=parent, body=body))
        assert refused[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert compared(rest, other) == []


def texts(comparison: Any) -> str:
    return str(comparison["groundTruthExample"]["textPayload"]["textContent"])


def test_answers_of_annotators_are_marked_as_theirs(
    rest: Any, ledger: Ledger, project: str
) -> None:
    name = ask_people(ledger, "abc", truths=["cat"], project=project)
    answer(ledger, name, 1, "ann", {2: "dog", 3: "bird"})
    keep(ledger, name, 1, FIRST, evaluations_of(name, 1, FIRST, LABELS))
    tell(ledger, name, "EvaluationCreated", run=1)
    true = [
        one["groundTruthExample"]["annotations"]
        for one in compared(rest, names_of(name, 1).evaluation)
    ]
    people = {"annotationSource": "OPERATOR"}
    assert true == [
        [text_annotation("cat")],
        [text_annotation("dog") | people],
        [text_annotation("bird") | people],
    ]


def test_of_several_labels_those_with_half_the_score_are_the_models(
    rest: Any, ledger: Ledger, project: str
) -> None:
    output = {"label": ["cat", "dog", "cow"], "score": [0.49, 0.5, 0.9]}
    true, body = only(
        rest, ledger, project, spec_of(multi_label=True), {"text": "t"}, output, ["cat", "dog"]
    )
    assert true["annotations"] == [text_annotation("cat"), text_annotation("dog")]
    assert body["annotations"] == [text_annotation("dog"), text_annotation("cow")]


def test_general_data_is_text(rest: Any, ledger: Ledger, project: str) -> None:
    output: dict[str, Any] = {"label": [], "score": []}
    true, body = only(
        rest, ledger, project, spec_of(GENERAL), {"text": {"b": 1, "a": [2]}}, output, "cat"
    )
    assert true["textPayload"] == body["textPayload"]
    assert json.loads(true["textPayload"]["textContent"]) == {"a": [2], "b": 1}
    assert "annotations" not in body  # It said nothing.


BY_REFERENCE = {k: v for k, v in KEYS.items() if k != "data_json_key"} | {
    "reference_json_key": "at/uri",
}


@pytest.mark.parametrize(
    ("uri", "payload"),
    [
        ("gs://b/a.jpg", {"imageUri": "gs://b/a.jpg", "mimeType": "image/jpeg"}),
        ("gs://b/a.png", {"imageUri": "gs://b/a.png", "mimeType": "image/png"}),
        ("gs://b/a", {"imageUri": "gs://b/a"}),
    ],
)
def test_an_image_is_shown_by_its_reference(
    rest: Any, ledger: Ledger, project: str, uri: str, payload: dict[str, str]
) -> None:
    spec = spec_of(IMAGES, bigqueryImportKeys=BY_REFERENCE)
    output = {"label": "cat", "score": 1}
    true, body = only(rest, ledger, project, spec, {"at": {"uri": uri}}, output, "dog")
    assert true["imagePayload"] == body["imagePayload"] == payload
    labels = [
        example["annotations"][0]["annotationValue"]["imageClassificationAnnotation"]
        for example in (true, body)
    ]
    assert [label["annotationSpec"]["displayName"] for label in labels] == ["dog", "cat"]


def test_an_image_that_came_as_bytes_has_no_address(
    rest: Any, ledger: Ledger, project: str
) -> None:
    output = {"label": "cat", "score": 1}
    given = {"text": {"b64": "AAAA"}}
    true, _ = only(rest, ledger, project, spec_of(IMAGES), given, output, "dog")
    assert "imagePayload" not in true


def box(x0: float, y0: float, x1: float, y1: float) -> dict[str, Any]:
    return {"top_left": {"x": x0, "y": y0}, "bottom_right": {"x": x1, "y": y1}}


@pytest.mark.parametrize(
    ("scale", "poly", "vertices"), [(1, "normalizedBoundingPoly", "normalizedVertices"), (100, "boundingPoly", "vertices")]
)  # fmt: skip
def test_boxes_have_four_corners_in_parts_of_the_image_or_in_pixels(
    rest: Any, google: Clients, ledger: Ledger, project: str, scale: int, poly: str, vertices: str
) -> None:
    places = (0 * scale, 0.25 * scale, 0.5 * scale, 0.75 * scale)
    truth = {"label": "cat", "box": box(*places)}
    output = {"label": ["cat", "dog"], "score": [0.9, 0.1], "box": [box(*places), box(*places)]}
    true, body = only(rest, ledger, project, spec_of(BOXES), {"text": "i"}, output, truth)
    x0, y0, x1, y1 = places
    corners = [{"x": x, "y": y} for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]
    expected = [
        {"annotationValue": {"imageBoundingPolyAnnotation": {
            "annotationSpec": {"displayName": label}, poly: {vertices: corners}}}}
        for label in ("cat", "dog")
    ]  # fmt: skip
    assert true["annotations"] == expected[:1]
    assert body["annotations"] == expected
    dataset, _, _ = true["name"].partition("/examples/")
    [one] = google.labeling.search_example_comparisons(
        parent=f"{dataset}/evaluations/{dataset.rpartition('/')[2]}"
    )
    shown = one.ground_truth_example.annotations[0].annotation_value.image_bounding_poly_annotation
    assert shown.annotation_spec.display_name == "cat"
    assert len(shown.normalized_bounding_poly.normalized_vertices) == (4 if scale == 1 else 0)
