"""Vertex AI's long-running operations: deletion, updates and creation of jobs, and batches."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Timer
from typing import Any

import pytest
from google.api_core import exceptions
from google.protobuf.field_mask_pb2 import FieldMask
from jobledger.domain.states import JobState as S

from tests.clients import ENDED, EVERY_STATE, bring, read_refusal, tell
from tests.servers import Server
from tests.vertex import CUSTOM, KINDS, MONITORING, Kind, Vertex, vertex_of

NAMED = {kind.collection: kind for kind in KINDS}
PIPELINE, NOTEBOOK = NAMED["pipelineJobs"], NAMED["notebookExecutionJobs"]
DELETED = [kind for kind in KINDS if kind.has("delete")]


@pytest.fixture(scope="module")
def vertex(server: Server) -> Iterator[Vertex]:
    with vertex_of(server) as clients:
        yield clients


@pytest.fixture
def parent(project: str) -> str:
    return f"projects/{project}/locations/us-central1"


@pytest.fixture
def running(vertex: Vertex, parent: str) -> str:
    """A monitoring job that runs."""
    name = vertex.create(MONITORING, parent, display_name="before", labels={"a": "b"}).name
    tell(vertex.server, name, "started")
    return str(name)


def update(vertex: Vertex, name: str, mask: str | None, **fields: Any) -> Any:
    """The operation that changes a monitoring job."""
    job = vertex.types.ModelDeploymentMonitoringJob(name=name, **fields)
    expected = {} if mask is None else {"update_mask": FieldMask(paths=mask.split(","))}
    return vertex.call("update", MONITORING, model_deployment_monitoring_job=job, **expected)


def refused(vertex: Vertex, *expected: Any, **fields: Any) -> str:
    with pytest.raises(exceptions.BadRequest) as caught:
        update(vertex, *expected, **fields)
    return str(caught.value.reason)


# Delete


@pytest.mark.slow
@EVERY_STATE
@pytest.mark.parametrize("kind", DELETED, ids=lambda kind: kind.collection)
def test_a_job_is_deleted_once_it_has_ended(
    vertex: Vertex, parent: str, kind: Kind, state: S
) -> None:
    """Monitoring jobs have no end: they are stopped."""
    name = vertex.create(kind, parent).name
    bring(vertex.server, name, state)
    if state not in ENDED and kind is not MONITORING:
        with pytest.raises(exceptions.BadRequest) as caught:
            vertex.call("delete", kind, name=name)
        assert caught.value.reason == "ILLEGAL_TRANSITION"
        assert vertex.get(kind, name).name == name
        return
    deleting = vertex.call("delete", kind, name=name)
    assert deleting.done()
    assert type(deleting.result(timeout=60)).__name__ == "Empty"
    assert deleting.metadata.generic_metadata.create_time is not None
    for method in ("get", "delete"):
        with pytest.raises(exceptions.NotFound) as gone:
            vertex.call(method, kind, name=name)
        assert gone.value.metadata["deleted"] == "true"
    assert list(vertex.list(kind, parent=parent)) == []


@pytest.mark.slow
def test_an_operation_is_found_under_every_prefix(vertex: Vertex, parent: str) -> None:
    name = vertex.create(CUSTOM, parent).name
    vertex.call("cancel", CUSTOM, name=name)
    deleting = vertex.call("delete", CUSTOM, name=name).operation
    found = vertex.client(CUSTOM).get_operation({"name": deleting.name})
    assert (found.name, found.done, found.response) == (deleting.name, True, deleting.response)
    assert vertex.client(CUSTOM).wait_operation({"name": deleting.name}) == found
    vertex.client(CUSTOM).cancel_operation({"name": deleting.name})
    with vertex.server.client() as http:
        body = [http.get(f"/{prefix}/{deleting.name}").json() for prefix in ("v1", "v1beta1", "ui")]
    assert body[0] == body[1] == body[2]
    assert body[0]["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}


def test_a_missing_operation_is_not_found(vertex: Vertex, parent: str, running: str) -> None:
    elsewhere = parent.replace("us-central1", "europe-west1")
    position = vertex.server.ledger.history(running)[0].position
    for name in (
        f"{parent}/operations/0",
        f"{parent}/operations/999999999999",
        f"{parent}/operations/x",
        f"{parent}/operations/-1",
        f"{elsewhere}/operations/{position}",
        f"{parent}x/operations/{position}",
    ):
        for ask in ("get_operation", "wait_operation", "cancel_operation"):
            with pytest.raises(exceptions.NotFound):
                getattr(vertex.client(CUSTOM), ask)({"name": name})


def test_operations_are_of_jobs_of_vertex_ai_only(vertex: Vertex, parent: str) -> None:
    project = parent.split("/")[1]
    vertex.server.ledger.create(f"projects/{project}/jobs/j")
    vertex.server.ledger.create(f"{parent}/otherJobs/j")
    for position in range(vertex.server.ledger.size() - 1, vertex.server.ledger.size() + 1):
        with pytest.raises(exceptions.NotFound):
            vertex.client(CUSTOM).get_operation({"name": f"{parent}/operations/{position}"})


@pytest.mark.slow
@EVERY_STATE
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.collection)
def test_only_events_of_long_running_calls_are_operations(
    vertex: Vertex, parent: str, kind: Kind, state: S
) -> None:
    """Only events for which a call returned an operation are operations."""
    ledger = vertex.server.ledger
    name = vertex.create(kind, parent, labels={"a": "b"} if kind is not NOTEBOOK else {}).name
    bring(vertex.server, name, state)
    ledger.change_labels(name, {"x": "y"})
    if kind.has("delete") and state in ENDED:
        vertex.call("delete", kind, name=name)
    own = {"Deleted"} if kind.has("delete") else set()
    own |= {"Created"} if kind is NOTEBOOK else set()
    own |= {"Updating", "LabelsChanged"} if kind is MONITORING else set()
    with vertex.server.client() as http:
        for event in ledger.history(name):
            answer = http.get(f"/v1/{parent}/operations/{event.position}")
            assert answer.status_code == (200 if event.type in own else 404), event.type
            if answer.status_code == 200:
                type_ = answer.json()["metadata"]["@type"].rpartition(".")[2]
                assert hasattr(vertex.types, type_)
            else:
                assert f"operation {parent}/operations/{event.position}" in answer.text


def operations(vertex: Vertex, name: str, **query: Any) -> Any:
    with vertex.server.client() as http:
        answer = http.get(f"/v1/{name}/operations", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.slow
def test_operations_are_listed_filtered_and_paged(vertex: Vertex, parent: str) -> None:
    """Listed operations equal those of get, and are also listed under their job."""
    names = [vertex.create(CUSTOM, parent).name for _ in range(3)]
    for name in names:
        vertex.call("cancel", CUSTOM, name=name)
    done = [vertex.call("delete", CUSTOM, name=name).operation.name for name in names]
    monitoring = vertex.create(MONITORING, parent).name
    tell(vertex.server, monitoring, "started")
    pending = update(vertex, monitoring, "display_name", display_name="after").operation.name
    batched = vertex.client(PIPELINE).batch_cancel_pipeline_jobs(
        parent=parent, names=batch(vertex, parent, [S.SUCCEEDED, S.RUNNING])
    )
    every = [batched.operation.name, pending, *reversed(done)]

    listed = operations(vertex, parent)["operations"]
    assert [one["name"] for one in listed] == every
    with vertex.server.client() as http:
        assert [http.get(f"/v1/{name}").json() for name in every] == listed
        got = vertex.client(CUSTOM).list_operations({"name": parent, "filter": "done=true"})
        assert [one.name for one in got.operations] == [n for n in every if n != pending]
        under = http.get(f"/v1/{monitoring}/operations/{pending.rpartition('/')[2]}")
        assert under.json()["name"] == pending
        other = http.get(f"/v1/{names[0]}/operations/{pending.rpartition('/')[2]}")
        assert other.status_code == 404
    assert operations(vertex, monitoring)["operations"][0]["name"] == pending
    assert [o["name"] for o in operations(vertex, names[0])["operations"]] == [done[0]]

    pages, token = list[str](), ""
    while True:
        page = operations(vertex, parent, pageSize=2, pageToken=token)
        pages += [one["name"] for one in page["operations"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert pages == every
    first = listed[-1]["metadata"]["genericMetadata"]["createTime"]
    for text, found in {
        "done = false": [pending],
        "NOT done = true": [pending],
        f'name = "{done[1]}"': [done[1]],
        'name : "*/operations/*" AND response:*': [n for n in every if n != pending],
        f'metadata.genericMetadata.createTime <= "{first}"': [done[0]],
        f'metadata.generic_metadata.create_time > "{first}"': every[:-1],
        'metadata.@type : "*DeleteOperationMetadata"': [*reversed(done)],
        "error.code = 1": [],
    }.items():
        answered = operations(vertex, parent, filter=text).get("operations", [])
        assert [one["name"] for one in answered] == found, text


@pytest.mark.parametrize("filter", ["done = maybe", "colour = red", "done < true", "ever(done = true)",
                                    "error.code = x", 'name > "a"', "("])  # fmt: skip
def test_an_invalid_filter_of_operations_is_refused(
    vertex: Vertex, parent: str, filter: str
) -> None:
    with vertex.server.client() as http:
        answer = http.get(f"/v1/{parent}/operations", params={"filter": filter})
    assert read_refusal(answer.status_code, answer.json())[:2] == (400, "INVALID_ARGUMENT")


def test_a_deleted_operation_is_gone_and_its_job_as_it_was(vertex: Vertex, running: str) -> None:
    parent = running.rsplit("/", 2)[0]
    changing = update(vertex, running, "display_name", display_name="after").operation.name
    vertex.client(CUSTOM).delete_operation({"name": changing})
    for ask in ("get_operation", "wait_operation", "cancel_operation", "delete_operation"):
        with pytest.raises(exceptions.NotFound, match="no operation"):
            getattr(vertex.client(CUSTOM), ask)({"name": changing})
    assert "operations" not in operations(vertex, parent)
    tell(vertex.server, running, "updated")
    assert vertex.get(MONITORING, running).display_name == "after"


def test_a_cancelled_update_ends_and_changes_nothing(vertex: Vertex, running: str) -> None:
    changing = update(vertex, running, "display_name,labels", display_name="after", labels={})
    vertex.client(MONITORING).cancel_operation({"name": changing.operation.name})
    with pytest.raises(exceptions.Cancelled, match="cancelled on request"):
        changing.result(timeout=60)
    job = vertex.get(MONITORING, running)
    assert (job.display_name, dict(job.labels)) == ("before", {"a": "b"})
    assert vertex.state(MONITORING, job) == "RUNNING"


def test_a_wait_ends_when_the_operation_does_or_its_time_is_over(
    vertex: Vertex, running: str
) -> None:
    changing = update(vertex, running, "display_name", display_name="after").operation.name
    with vertex.server.client() as http:

        def wait(**query: str) -> Any:
            return http.post(f"/v1/{changing}:wait", params=query, content=b"")

        assert wait(timeout="0s").json()["done"] is False
        for timeout in ("soon", "-1s", "1"):
            assert read_refusal(wait(timeout=timeout).status_code, wait(timeout=timeout).json())
        Timer(0.2, tell, (vertex.server, running, "updated")).start()
        answered = wait(timeout="15s")
    assert answered.json()["response"]["displayName"] == "after"


def test_a_batch_can_be_got_again(vertex: Vertex, parent: str) -> None:
    names = batch(vertex, parent, [S.SUCCEEDED, S.RUNNING, S.QUEUED])
    for method, chosen in (("cancel", names), ("delete", names[:1])):
        call = getattr(vertex.client(PIPELINE), f"batch_{method}_pipeline_jobs")
        operation = call(parent=parent, names=chosen).operation
        again = vertex.client(PIPELINE).get_operation({"name": operation.name})
        assert again == operation


# Monitoring jobs: pause, resume, patch


@pytest.mark.parametrize("fails", [True, False])
def test_labels_are_part_of_the_update_that_asked_for_them(
    vertex: Vertex, running: str, fails: bool
) -> None:
    """A failed patch changes nothing; a successful one changes everything."""
    changing = update(
        vertex, running, "display_name,labels", display_name="after", labels={"x": "y"}
    )
    during = vertex.get(MONITORING, running)
    assert (during.display_name, dict(during.labels)) == ("before", {"a": "b"})
    error = {"error": {"code": 9, "message": "no"}} if fails else {}
    tell(vertex.server, running, "updated", **error)
    job = vertex.get(MONITORING, running)
    if fails:
        assert (job.display_name, dict(job.labels)) == ("before", {"a": "b"})
    else:
        assert (job.display_name, dict(job.labels)) == ("after", {"x": "y"})
        assert changing.result(timeout=60) == job
        history = vertex.server.ledger.history(running)
        assert [e.type for e in history][-2:] == ["Updated", "LabelsChanged"]
        with vertex.server.client() as http:
            parent = running.rsplit("/", 2)[0]
            assert http.get(f"/v1/{parent}/operations/{history[-1].position}").status_code == 404


def test_a_monitoring_job_is_made_ready_runs_pauses_and_runs_again(
    vertex: Vertex, parent: str
) -> None:
    name = vertex.create(MONITORING, parent).name
    states = [vertex.state(MONITORING, vertex.get(MONITORING, name))]
    tell(vertex.server, name, "started")
    for method in ("pause", "pause", "resume"):
        vertex.call(method, MONITORING, name=name)
        states.append(vertex.state(MONITORING, vertex.get(MONITORING, name)))
    assert states == ["PENDING", "PAUSED", "PAUSED", "RUNNING"]
    events = [event.type for event in vertex.server.ledger.history(name)]
    assert events == ["Created", "Preparing", "Started", "Paused", "Resumed", "Started"]


@pytest.mark.slow
@EVERY_STATE
@pytest.mark.parametrize("method", ["pause", "resume", "update"])
def test_pause_update_and_resume_need_the_right_state(
    vertex: Vertex, parent: str, method: str, state: S
) -> None:
    name = vertex.create(MONITORING, parent).name
    bring(vertex.server, name, state)
    before = vertex.server.ledger.size()

    def ask() -> None:
        if method == "update":
            update(vertex, name, "display_name", display_name="after")
        else:
            vertex.call(method, MONITORING, name=name)

    if state is {"pause": S.RUNNING, "resume": S.PAUSED, "update": S.RUNNING}[method]:
        ask()
        assert vertex.server.ledger.size() > before
    elif (method, state) == ("pause", S.PAUSED):
        ask()  # Nothing happens to it.
        assert vertex.server.ledger.size() == before
    else:
        with pytest.raises(exceptions.BadRequest) as caught:
            ask()
        assert caught.value.reason == "ILLEGAL_TRANSITION"
        assert vertex.server.ledger.size() == before


@pytest.mark.slow
def test_an_update_is_pending_until_a_worker_reports_it(vertex: Vertex, running: str) -> None:
    changing = update(vertex, running, "display_name,log_ttl", display_name="after", log_ttl="60s")
    assert not changing.done()
    assert type(changing.metadata).__name__ == "UpdateModelDeploymentMonitoringJobOperationMetadata"
    job = vertex.get(MONITORING, running)
    assert (vertex.state(MONITORING, job), job.display_name) == ("UPDATING", "before")

    Timer(0.2, tell, (vertex.server, running, "updated")).start()
    changed = changing.result(timeout=60)
    assert (changed.display_name, changed.log_ttl.seconds) == ("after", 60)
    assert changed.endpoint == MONITORING.spec["endpoint"]
    assert vertex.state(MONITORING, changed) == "RUNNING"
    assert vertex.get(MONITORING, running) == changed

    # The result of an operation never changes.
    tell(vertex.server, running, "failed", error="later")
    again = vertex.client(MONITORING).get_operation({"name": changing.operation.name})
    assert again.response == changing.operation.response


def test_a_failed_update_changes_nothing(vertex: Vertex, running: str) -> None:
    changing = update(vertex, running, "display_name", display_name="after")
    tell(vertex.server, running, "updated", error={"code": 5, "message": "no such endpoint"})
    with pytest.raises(exceptions.NotFound, match="no such endpoint"):
        changing.result(timeout=60)
    job = vertex.get(MONITORING, running)
    assert (vertex.state(MONITORING, job), job.display_name) == ("RUNNING", "before")


def test_a_change_of_a_job_that_ends_meanwhile_is_aborted(vertex: Vertex, running: str) -> None:
    changing = update(vertex, running, "display_name", display_name="after")
    tell(vertex.server, running, "failed", error="no")
    with pytest.raises(exceptions.Aborted):
        changing.result(timeout=60)


def test_labels_are_changed_at_once(vertex: Vertex, running: str) -> None:
    changing = update(vertex, running, "labels", labels={"x": "y"})
    assert changing.done()
    assert dict(changing.result(timeout=60).labels) == {"x": "y"}
    assert [e.type for e in vertex.server.ledger.history(running)][-1] == "LabelsChanged"
    # Also while another change is under way, and where they are these already.
    other = update(vertex, running, "display_name", display_name="after")
    for labels in ({"x": "z"}, {"x": "z"}):
        assert (
            dict(update(vertex, running, "labels", labels=labels).result(timeout=60).labels)
            == labels
        )
    assert not other.done()
    same = update(vertex, running, "labels", labels={"x": "z"})
    assert same.done()


def test_labels_that_are_as_they_were_need_no_wait(vertex: Vertex, running: str) -> None:
    pending = update(vertex, running, "display_name", display_name="after")
    same = update(vertex, running, "labels", labels={"a": "b"})
    assert same.done()
    assert not pending.done()
    assert dict(same.result(timeout=60).labels) == {"a": "b"}


def test_a_change_of_all_leaves_what_cannot_change(vertex: Vertex, running: str) -> None:
    changing = update(vertex, running, "*", display_name="after", endpoint="another")
    tell(vertex.server, running, "updated")
    job = changing.result(timeout=60)
    assert (job.display_name, job.endpoint) == ("after", MONITORING.spec["endpoint"])
    assert not job.labels
    assert "logging_sampling_strategy" not in job


def test_without_a_mask_what_was_sent_is_changed(vertex: Vertex, running: str) -> None:
    changing = update(vertex, running, None, display_name="after")
    tell(vertex.server, running, "updated")
    job = changing.result(timeout=60)
    assert (job.display_name, dict(job.labels)) == ("after", {"a": "b"})
    assert "logging_sampling_strategy" in job
    assert refused(vertex, running, None) == "INVALID_FIELD"


def test_objectives_are_changed_whole_also_by_a_mask_within_them(
    vertex: Vertex, running: str
) -> None:
    field = "model_deployment_monitoring_objective_configs"
    objectives = [
        {"deployed_model_id": "2", "objective_config": {"training_dataset": {"data_format": "tf"}}}
    ]
    mask = f"{field}.objective_config.training_dataset"
    changing = update(vertex, running, mask, **{field: objectives})  # fmt: skip
    tell(vertex.server, running, "updated")
    [objective] = getattr(changing.result(timeout=60), field)
    assert objective.deployed_model_id == "2"


def test_nothing_else_can_be_changed(vertex: Vertex, running: str) -> None:
    before = vertex.server.ledger.size()
    for mask in ("endpoint", "state", "display_name,name", "colour", "sample_predict_instance"):
        assert refused(vertex, running, mask, display_name="after") == "INVALID_FIELD"
    assert refused(vertex, running, "display_name", display_name="x" * 129) == "INVALID_FIELD"
    assert refused(vertex, running, "labels", labels={"A": "b"}) == "INVALID_FIELD"
    assert vertex.server.ledger.size() == before


# Notebooks


def test_a_notebook_is_made_by_an_operation(vertex: Vertex, parent: str) -> None:
    making = vertex.client(NOTEBOOK).create_notebook_execution_job(
        parent=parent,
        notebook_execution_job=vertex.message(NOTEBOOK),
        notebook_execution_job_id="mine-1",
    )
    made = making.result(timeout=60)
    assert made.name == f"{parent}/notebookExecutionJobs/mine-1"
    assert type(making.metadata).__name__ == "CreateNotebookExecutionJobOperationMetadata"
    found = vertex.client(NOTEBOOK).get_operation({"name": making.operation.name})
    assert found.response == making.operation.response
    with pytest.raises(exceptions.Conflict) as taken:
        vertex.client(NOTEBOOK).create_notebook_execution_job(
            parent=parent, notebook_execution_job={}, notebook_execution_job_id="mine-1"
        )
    assert taken.value.reason == "JOB_EXISTS"


# Pipelines by the batch


def batch(vertex: Vertex, parent: str, states: list[S]) -> list[str]:
    """Pipelines in these states."""
    names = []
    for number, state in enumerate(states):
        made = vertex.client(PIPELINE).create_pipeline_job(
            parent=parent, pipeline_job=vertex.message(PIPELINE), pipeline_job_id=f"p-{number}"
        )
        bring(vertex.server, made.name, state)
        names.append(str(made.name))
    return names


def test_a_batch_is_cancelled_but_for_what_has_ended(vertex: Vertex, parent: str) -> None:
    names = batch(vertex, parent, [S.QUEUED, S.RUNNING, S.CANCELLING, S.SUCCEEDED])
    cancelling = vertex.client(PIPELINE).batch_cancel_pipeline_jobs(parent=parent, names=names)
    jobs = cancelling.result(timeout=60).pipeline_jobs
    assert [job.name for job in jobs] == names
    states = [vertex.state(PIPELINE, vertex.get(PIPELINE, name)) for name in names]
    assert states == ["CANCELLED", "CANCELLING", "CANCELLING", "SUCCEEDED"]
    assert cancelling.metadata is not None


def test_a_batch_is_deleted_whole_or_not_at_all(vertex: Vertex, parent: str) -> None:
    names = batch(vertex, parent, [S.SUCCEEDED, S.FAILED, S.RUNNING])
    client, before = vertex.client(PIPELINE), vertex.server.ledger.size()
    for some, error in (
        (names, exceptions.BadRequest),
        ([names[0], f"{parent}/pipelineJobs/unknown"], exceptions.NotFound),
        ([names[0], names[1].replace(parent, f"{parent}x")], exceptions.BadRequest),
        ([], exceptions.BadRequest),
        ([names[0].replace("pipelineJobs", "customJobs")], exceptions.BadRequest),
        ([f"{parent}/pipelineJobs/{n}" for n in range(33)], exceptions.BadRequest),
    ):
        with pytest.raises(error):
            client.batch_delete_pipeline_jobs(parent=parent, names=some)
    assert vertex.server.ledger.size() == before

    deleting = client.batch_delete_pipeline_jobs(parent=parent, names=names[:2])
    assert [job.name for job in deleting.result(timeout=60).pipeline_jobs] == names[:2]
    assert deleting.metadata is not None
    assert [job.name for job in vertex.list(PIPELINE, parent=parent)] == names[2:]


def test_an_id_of_ones_own_is_taken_once(vertex: Vertex, parent: str) -> None:
    client, message = vertex.client(PIPELINE), vertex.message(PIPELINE)
    client.create_pipeline_job(parent=parent, pipeline_job=message, pipeline_job_id="mine")
    with pytest.raises(exceptions.Conflict) as taken:
        client.create_pipeline_job(parent=parent, pipeline_job=message, pipeline_job_id="mine")
    assert (taken.value.reason, taken.value.domain) == ("JOB_EXISTS", "jobledger")
    for job_id in ("Mine", "-a", "a_b", "a" * 129, "a/b", "é"):
        with pytest.raises(exceptions.BadRequest):
            client.create_pipeline_job(parent=parent, pipeline_job=message, pipeline_job_id=job_id)
    with vertex.server.client() as http:
        answer = http.post(f"/v1/{parent}/customJobs?customJobId=mine", json={})
    assert read_refusal(answer.status_code, answer.json())[:2] == (400, "INVALID_ARGUMENT")
