"""Lists of Vertex AI's jobs and pipelines: filters as documented, order, masks, pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core import exceptions

from tests.servers import Server
from tests.vertex import CUSTOM, KINDS, Kind, Vertex, vertex_of

SEVERAL = 250
NAMED = {kind.collection: kind for kind in KINDS}
TUNING, NOTEBOOK = NAMED["tuningJobs"], NAMED["notebookExecutionJobs"]
PIPELINE, TRAINING = NAMED["pipelineJobs"], NAMED["trainingPipelines"]
USUAL = [kind for kind in KINDS if kind not in (TUNING, NOTEBOOK)]


@pytest.fixture(scope="module")
def vertex(server: Server) -> Iterator[Vertex]:
    with vertex_of(server) as clients:
        yield clients


@pytest.fixture
def parent(project: str) -> str:
    return f"projects/{project}/locations/us-central1"


def of_kinds(kinds: list[Kind]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", kinds, ids=lambda kind: kind.collection)


def make_some(vertex: Vertex, kind: Kind, parent: str) -> None:
    """Jobs of one kind by display names: two of `my_job`, one of each ending, one without labels."""
    made = {
        name: vertex.create(kind, parent, display_name=name, labels=labels).name
        for name, labels in (
            ("my_job", {"keya": "valuea"}), ("my_job_2", {"keya": "valuea", "keyb": ""}),
            ("my_job_3", {"keya": "other"}), ("another", {}),
        )
    }  # fmt: skip
    ledger = vertex.server.ledger
    ledger.started(made["my_job_2"])
    ledger.succeeded(made["my_job_2"])
    ledger.failed(made["my_job_3"], "no")


def found(vertex: Vertex, kind: Kind, parent: str, filter: str, **asked: Any) -> list[str]:
    jobs = vertex.list(kind, parent=parent, filter=filter, **asked)
    return [job.display_name for job in jobs]


def refused(vertex: Vertex, kind: Kind, **asked: Any) -> str:
    with pytest.raises(exceptions.BadRequest) as caught:
        list(vertex.list(kind, **asked))
    assert caught.value.reason == "INVALID_FIELD"
    return str(caught.value.metadata["field"])


def make_several(vertex: Vertex, kind: Kind, parent: str, count: int = SEVERAL) -> list[str]:
    """Their names, newest first."""
    names = [f"{parent}/{kind.collection}/{n}" for n in range(count)]
    for name in names:
        vertex.server.ledger.create(name)
    return names[::-1]


# Filters


@pytest.mark.slow
@of_kinds(USUAL)
def test_the_documented_filters_find_what_they_say(vertex: Vertex, parent: str, kind: Kind) -> None:
    make_some(vertex, kind, parent)
    prefix = "PIPELINE" if kind in (PIPELINE, TRAINING) else "JOB"
    everything = ["another", "my_job_3", "my_job_2", "my_job"]
    for asked, names in {
        f'state="{prefix}_STATE_SUCCEEDED" AND display_name:"my_job_*"': ["my_job_2"],
        f'state!="{prefix}_STATE_FAILED" OR display_name="my_job"': ["another", "my_job_2", "my_job"],
        'NOT display_name="my_job"': ["another", "my_job_3", "my_job_2"],
        'display_name!="my_job"': ["another", "my_job_3", "my_job_2"],
        'create_time>"2021-05-18T00:00:00Z"': everything,
        'create_time<="2021-05-18T00:00:00Z"': [],
        "labels.keya=valuea": ["my_job_2", "my_job"],
        "labels.keyb:*": ["my_job_2"],
        "NOT labels.keya:*": ["another"],
        'displayName="my_job" AND createTime>"2021-05-18T00:00:00.5+02:00"': ["my_job"],
        f'(state="{prefix}_STATE_FAILED" OR labels.keya="valuea") AND NOT display_name="my_job"':
            ["my_job_3", "my_job_2"],
        "": everything,
    }.items():  # fmt: skip
        assert found(vertex, kind, parent, asked) == names, asked


def test_filters_of_pipelines_find_what_they_say(vertex: Vertex, parent: str) -> None:
    ids = ["train-step-1", "train-2"]
    for job_id in ids:
        vertex.client(PIPELINE).create_pipeline_job(
            parent=parent, pipeline_job_id=job_id,
            pipeline_job=vertex.message(
                PIPELINE, display_name=f"{job_id}-shown", labels={"env": "prod"},
                template_uri=f"https://t.example/{job_id}",
                pipeline_spec={"pipelineInfo": {"name": f"{job_id}-made"}},
            ),
        )  # fmt: skip
    report = {"templateMetadata": {"version": "v7"}}
    vertex.server.ledger.progress_reported(f"{parent}/pipelineJobs/train-2", report)
    vertex.server.ledger.failed(f"{parent}/pipelineJobs/train-2", "no")
    for asked, names in {
        'display_name:"*step*"': [0],
        'pipeline_job_user_id="train-2"': [1],
        'pipeline_job_user_id:"train-*"': [1, 0],
        'pipeline_job_user_id!="train-2"': [0],
        'pipeline_name="train-2-made" AND create_time>"2020-05-18T13:30:00Z"': [1],
        'create_time>"2021-05-18T00:00:00Z" OR update_time>"2020-05-18T00:00:00Z"': [1, 0],
        'labels.env = "prod"': [1, 0],
        'end_time>"2020-05-18T00:00:00Z"': [1],
        'template_uri:"https://t.example/train-step*"': [0],
        'template_metadata.version="v7"': [1],
    }.items():
        expected = [f"{ids[n]}-shown" for n in names]
        assert found(vertex, PIPELINE, parent, asked) == expected, asked


def test_filters_of_other_kinds_find_what_they_say(vertex: Vertex, parent: str) -> None:
    prediction = NAMED["batchPredictionJobs"]
    vertex.create(prediction, parent)
    model = prediction.spec["model"]
    assert found(vertex, prediction, parent, f'model_display_name="{model}"') == ["d"]
    assert found(vertex, prediction, parent, f'model_display_name!="{model}"') == []

    vertex.create(TRAINING, parent)
    definition = 'training_task_definition:"*automl_text_classification*"'
    assert found(vertex, TRAINING, parent, definition) == ["d"]
    assert found(vertex, TRAINING, parent, f"NOT {definition}") == []

    vertex.create(TUNING, parent, labels={"a": "b"})
    listed = vertex.list(TUNING, parent=parent, filter='labels.a=b AND state="JOB_STATE_QUEUED"')
    assert [job.base_model for job in listed] == ["gemini"]


def test_filters_of_notebooks_find_what_they_say(vertex: Vertex, parent: str) -> None:
    for job_id in ("123", "my-execution-job"):
        made = vertex.client(NOTEBOOK).create_notebook_execution_job(
            parent=parent, notebook_execution_job_id=job_id,
            notebook_execution_job=vertex.message(NOTEBOOK, display_name=f"shown {job_id}"),
        )  # fmt: skip
        assert made.result(timeout=60).name == f"{parent}/notebookExecutionJobs/{job_id}"
    for asked, names in {
        'notebookExecutionJob="123"': ["shown 123"],
        'notebook_execution_job!="123"': ["shown my-execution-job"],
        'displayName="shown 123"': ["shown 123"],
        'jobState="JOB_STATE_QUEUED"': ["shown my-execution-job", "shown 123"],
    }.items():
        assert found(vertex, NOTEBOOK, parent, asked) == names, asked


@pytest.mark.slow
@pytest.mark.parametrize(
    "filter",
    ["state=JOB_STATE_DONE", "state=FAILED", "state>JOB_STATE_FAILED", "colour=red", "display_name=", "NOT", "()",
     "create_time>now", "labels=x", "project=p", "(" * 60 + "a=b" + ")" * 60, "a=b " * 2000],
)  # fmt: skip
def test_an_invalid_filter_is_refused(vertex: Vertex, parent: str, filter: str) -> None:
    assert refused(vertex, CUSTOM, parent=parent, filter=filter) == "filter"


def test_no_filter_leads_out_of_the_parent(vertex: Vertex, parent: str) -> None:
    vertex.create(CUSTOM, parent.replace("us-central1", "europe-west1"))
    vertex.create(CUSTOM, parent.replace("/locations", "x/locations"))
    vertex.create(TUNING, parent)
    for asked in ("", "display_name:*", 'display_name="d" OR create_time>"2020-01-01T00:00:00Z"'):
        assert found(vertex, CUSTOM, parent, asked) == []


# Order


def test_lists_are_ordered_where_the_api_says_so(vertex: Vertex, parent: str) -> None:
    labeling = NAMED["dataLabelingJobs"]
    for kind in (labeling, PIPELINE):
        for name in ("b", "a", "c", "a"):
            vertex.create(kind, parent, display_name=name)
        for order, names in {"create_time": "baca", "create_time desc": "acab", "": "acab"}.items():
            shown = found(vertex, kind, parent, "", order_by=order, page_size=2)
            assert shown == list(names)
    shown = found(vertex, labeling, parent, "", order_by="display_name desc, create_time")
    assert shown == ["c", "b", "a", "a"]
    vertex.create(NOTEBOOK, parent, display_name="n")
    assert found(vertex, NOTEBOOK, parent, "", order_by="display_name, create_time desc") == ["n"]


def test_pipelines_are_ordered_by_when_they_ended(vertex: Vertex, parent: str) -> None:
    made = {n: vertex.create(PIPELINE, parent, display_name=n).name for n in "abc"}
    for n in "cab":
        vertex.server.ledger.started(made[n])
        vertex.server.ledger.succeeded(made[n])
    assert found(vertex, PIPELINE, parent, "", order_by="end_time") == ["c", "a", "b"]
    assert found(vertex, PIPELINE, parent, "", order_by="start_time desc") == ["b", "a", "c"]


def test_an_invalid_order_is_refused(vertex: Vertex, parent: str) -> None:
    for order in ("colour", "create_time sideways", "state", ",", "create_time desc desc"):
        assert refused(vertex, PIPELINE, parent=parent, order_by=order) == "orderBy"
    with (
        vertex.server.client() as http
    ):  # Only where the API has it; Google's client has no such field.
        answer = http.get(f"/v1/{parent}/customJobs", params={"orderBy": "create_time"})
    assert answer.status_code == 400


# Masks


@pytest.mark.slow
@of_kinds(USUAL)
def test_a_read_mask_leaves_the_rest_out(vertex: Vertex, parent: str, kind: Kind) -> None:
    vertex.create(kind, parent, labels={"a": "b"})
    [job] = vertex.list(kind, parent=parent, read_mask={"paths": ["name", "display_name"]})
    assert {field for field in job._meta.fields if field in job} == {"name", "display_name"}
    whole = list(vertex.list(kind, parent=parent))
    assert list(vertex.list(kind, parent=parent, read_mask={"paths": ["*"]})) == whole


def test_a_read_mask_goes_as_deep_as_it_says(vertex: Vertex, parent: str) -> None:
    vertex.create(CUSTOM, parent)
    [job] = vertex.list(
        CUSTOM, parent=parent, read_mask={"paths": ["job_spec.scheduling.timeout", "labels.a"]}
    )
    assert job.job_spec.scheduling.timeout.seconds == 3600
    assert not job.job_spec.worker_pool_specs
    assert job.name == ""
    assert refused(vertex, CUSTOM, parent=parent, read_mask={"paths": ["colour"]}) == "readMask"


# Pages


@pytest.mark.slow
@of_kinds(KINDS)
def test_pages_show_each_job_once_while_others_are_made(
    vertex: Vertex, parent: str, kind: Kind
) -> None:
    several = make_several(vertex, kind, parent, SEVERAL if kind is CUSTOM else 30)
    seen = list[str]()
    size = len(several) // 5
    for number, page in enumerate(vertex.list(kind, parent=parent, page_size=size).pages):
        jobs = list(getattr(page, f"{kind.noun}s"))
        assert len(jobs) == size
        seen += [job.name for job in jobs]
        vertex.server.ledger.create(f"{parent}/{kind.collection}/meanwhile-{number}")
        vertex.server.ledger.cancel(jobs[0].name)
    assert seen == several


def test_a_page_is_never_larger_than_a_thousand(vertex: Vertex, parent: str) -> None:
    several = make_several(vertex, CUSTOM, parent, 120)
    for size, held in ((0, 100), (1, 1), (10**9, 120)):
        page = next(vertex.list(CUSTOM, parent=parent, page_size=size).pages)
        assert [job.name for job in page.custom_jobs] == several[:held]
    assert refused(vertex, CUSTOM, parent=parent, page_size=-1) == "pageSize"


def test_a_page_token_is_valid_for_its_own_list_only(vertex: Vertex, parent: str) -> None:
    make_several(vertex, CUSTOM, parent, 4)
    first = next(vertex.list(CUSTOM, parent=parent, page_size=2).pages)
    token = first.next_page_token
    for asked in (
        {"parent": parent.replace("us-central1", "europe-west1")},
        {"parent": parent, "filter": "display_name=d"},
        {"parent": parent.replace("us-central1", "-")},
    ):
        assert refused(vertex, CUSTOM, page_token=token, **asked) == "pageToken"
    assert refused(vertex, NAMED["nasJobs"], parent=parent, page_token=token) == "pageToken"
    rest = vertex.list(CUSTOM, parent=parent, page_token=token)
    assert [job.name.rpartition("/")[2] for job in rest] == ["1", "0"]
