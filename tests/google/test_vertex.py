"""Vertex AI's jobs and pipelines of all kinds, through Google's Vertex client over REST."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core import exceptions
from google.rpc import error_details_pb2
from jobledger.domain.states import JobState as S

from tests.clients import ENDED, EVERY_STATE, WHY, bring, read_refusal
from tests.servers import Server
from tests.vertex import CUSTOM, KINDS, MONITORING, Kind, Vertex, vertex_of

EVERY_KIND = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.collection)
PIPELINE_STATES = {
    S.EXPIRED: "CANCELLED",
    S.UPDATING: "RUNNING",
    S.PARTIALLY_SUCCEEDED: "SUCCEEDED",
}
"""The nearest values of PipelineState for other states."""


@pytest.fixture(scope="module")
def vertex(server: Server) -> Iterator[Vertex]:
    with vertex_of(server) as clients:
        yield clients


@pytest.fixture
def parent(project: str) -> str:
    return f"projects/{project}/locations/us-central1"


def kinds_with(method: str) -> pytest.MarkDecorator:
    chosen = [kind for kind in KINDS if kind.has(method)]
    return pytest.mark.parametrize("kind", chosen, ids=lambda kind: kind.collection)


def shown_as(kind: Kind, state: S) -> str:
    return PIPELINE_STATES.get(state, state.name) if kind.states == "PipelineState" else state.name


# Create, get, list


@pytest.mark.slow
@EVERY_KIND
def test_a_job_is_made_of_what_was_asked_for(vertex: Vertex, parent: str, kind: Kind) -> None:
    asked = vertex.message(kind, labels={"a": "b"})
    made = vertex.send(kind, parent, asked)

    location, collection, number = made.name.rsplit("/", 2)
    assert (location, collection) == (parent, kind.collection)
    assert number.isdecimal()
    given, shown = type(asked).to_dict(asked), type(made).to_dict(made)
    for field in [*kind.spec, "labels"]:
        assert shown[field] == given[field]
    assert shown.get("display_name") == given.get("display_name")
    assert vertex.state(kind, made) == ("PENDING" if kind is MONITORING else "QUEUED")
    assert made.create_time == made.update_time or kind is MONITORING
    assert vertex.get(kind, made.name) == made
    assert [job.name for job in vertex.list(kind, parent=parent)] == [made.name]


@pytest.mark.slow
@EVERY_KIND
def test_kinds_are_apart(vertex: Vertex, parent: str, kind: Kind) -> None:
    for other in KINDS:
        if other is not kind:
            vertex.create(other, parent)
    vertex.create(kind, parent.replace("us-central1", "europe-west1"))
    assert list(vertex.list(kind, parent=parent)) == []
    assert len(list(vertex.list(kind, parent=parent.replace("us-central1", "-")))) == 1


@pytest.mark.slow
@EVERY_KIND
def test_an_unknown_job_is_not_found(vertex: Vertex, parent: str, kind: Kind) -> None:
    for method in ("get", *kind.methods.split()):
        if method != "update":
            with pytest.raises(exceptions.NotFound) as caught:
                vertex.call(method, kind, name=f"{parent}/{kind.collection}/7")
            assert (caught.value.reason, caught.value.domain) == ("JOB_NOT_FOUND", "jobledger")
            assert caught.value.metadata["name"] == f"{parent}/{kind.collection}/7"


# Every state of every kind


@pytest.mark.slow
@EVERY_STATE
@EVERY_KIND
def test_each_state_is_shown(vertex: Vertex, parent: str, kind: Kind, state: S) -> None:
    name = vertex.create(kind, parent).name
    bring(vertex.server, name, state)
    job = vertex.get(kind, name)

    assert vertex.state(kind, job) == shown_as(kind, state)
    assert type(getattr(job, kind.state)).__name__ == kind.states
    for field, set_ in (
        ("start_time", state not in {S.QUEUED, S.PENDING}),
        ("end_time", state in ENDED),
    ):
        assert field not in job._meta.fields or (field in job) is set_
    error = job.status if kind.state == "job_state" else job.error
    wrong = shown_as(kind, state) in {"FAILED", "CANCELLED"}
    assert error.message == (WHY[state] if wrong else "")
    assert error.code == ({S.FAILED: 8, S.CANCELLED: 1, S.EXPIRED: 4}[state] if wrong else 0)


def test_every_state_is_mapped(vertex: Vertex) -> None:
    names = {state.name: int(state) for state in vertex.types.JobState}
    assert names.pop("JOB_STATE_UNSPECIFIED") == 0
    assert {f"JOB_STATE_{state.name}": int(state) for state in S} == names
    of_pipelines = {state.name.rpartition("STATE_")[2] for state in vertex.types.PipelineState}
    shown = {PIPELINE_STATES.get(state, state.name) for state in S}
    assert shown == of_pipelines - {"UNSPECIFIED"}


def test_a_start_is_never_rewritten_and_an_end_is(vertex: Vertex, parent: str) -> None:
    name = vertex.create(CUSTOM, parent).name
    bring(vertex.server, name, S.FAILED)
    first = vertex.get(CUSTOM, name)
    vertex.server.ledger.retried(name)
    again = vertex.get(CUSTOM, name)
    assert (again.start_time, "end_time" in again) == (first.start_time, False)
    assert again.error.code == 0
    bring(vertex.server, name, S.SUCCEEDED)
    assert vertex.get(CUSTOM, name).start_time == first.start_time
    assert vertex.get(CUSTOM, name).end_time > first.end_time


def test_output_only_fields_in_a_body_are_ignored(vertex: Vertex, parent: str) -> None:
    fields = {"name": "x", "state": "JOB_STATE_FAILED", "error": {"code": 3, "message": "no"},
              "web_access_uris": {"a": "b"}, "start_time": "2020-01-01T00:00:00Z"}  # fmt: skip
    made = vertex.create(CUSTOM, parent, **fields)
    assert vertex.state(CUSTOM, made) == "QUEUED"
    assert made.name.startswith(parent)
    assert not made.web_access_uris
    assert made.error.code == 0
    assert "start_time" not in made


def test_details_of_an_error_are_kept_as_far_as_clients_know_them(
    vertex: Vertex, parent: str
) -> None:
    name = vertex.create(CUSTOM, parent).name
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "OOM", "domain": "d"}
    wrong = {**info, "reason": 7}
    details = [{"@type": "type.googleapis.com/unknown.Type", "x": 1}, wrong, info, "nonsense"]
    error = {"code": 8, "message": "out of memory", "details": details}
    vertex.server.ledger.failed(name, error)
    kept = [error_details_pb2.ErrorInfo(), error_details_pb2.ErrorInfo()]
    for detail, message in zip(vertex.get(CUSTOM, name).error.details, kept, strict=True):
        detail.Unpack(message)
    assert [(message.reason, message.domain) for message in kept] == [("", "d"), ("OOM", "d")]


def test_the_output_that_workers_report_is_shown(vertex: Vertex, parent: str) -> None:
    tuning, labeling, prediction = KINDS[1], KINDS[3], KINDS[2]
    outputs: list[tuple[Kind, dict[str, Any]]] = [
        (CUSTOM, {"webAccessUris": {"workerpool0-0": "https://w.example"}}),
        (tuning, {"trials": [{"id": "1", "state": "SUCCEEDED", "clientId": "c"}]}),
        (labeling, {"labelingProgress": 40, "currentSpend": {"currencyCode": "EUR", "units": "3"}}),
        (prediction, {"completionStats": {"successfulCount": "5"}, "state": "no", "model": "no"}),
    ]
    for kind, output in outputs:
        name = vertex.create(kind, parent).name
        vertex.server.ledger.progress_reported(name, output)
        shown = type(vertex.get(kind, name)).to_dict(vertex.get(kind, name))
        assert vertex.state(kind, vertex.get(kind, name)) == "QUEUED"
        assert shown.get("model", kind.spec.get("model")) == kind.spec.get("model")
        vertex.server.ledger.succeeded(name, output)
    assert vertex.list(tuning, parent=parent).hyperparameter_tuning_jobs[0].trials == []
    [job] = vertex.list(labeling, parent=parent)
    assert (job.labeling_progress, job.current_spend.units) == (40, 3)
    [job] = vertex.list(prediction, parent=parent)
    assert job.completion_stats.successful_count == 5
    [job] = vertex.list(CUSTOM, parent=parent)
    assert dict(job.web_access_uris) == {"workerpool0-0": "https://w.example"}


def test_trials_of_a_search_are_shown_as_reported(vertex: Vertex, parent: str) -> None:
    search = KINDS[4]
    name = vertex.create(search, parent).name
    report = [
        {"id": str(n), "parameters": f"p{n}", "searchTrial": {"id": "1"}} for n in range(1, 8)
    ]
    vertex.server.ledger.progress_reported(name, {"nasTrialDetails": report})
    client = vertex.client(search)
    trials = list(client.list_nas_trial_details({"parent": name, "page_size": 3}))
    assert [trial.parameters for trial in trials] == [f"p{n}" for n in range(1, 8)]
    for trial in trials:
        assert client.get_nas_trial_detail(name=trial.name) == trial
    for unknown in (f"{name}/nasTrialDetails/99", f"{parent}/nasJobs/7/nasTrialDetails/1"):
        with pytest.raises(exceptions.NotFound):
            client.get_nas_trial_detail(name=unknown)


def test_a_notebook_is_shown_in_any_view(vertex: Vertex, parent: str) -> None:
    notebook = KINDS[7]
    made = vertex.create(notebook, parent)
    for view in vertex.types.NotebookExecutionJobView:
        request = {"name": made.name, "view": view}
        assert vertex.client(notebook).get_notebook_execution_job(request) == made
        assert list(vertex.list(notebook, parent=parent, view=view)) == [made]


# Cancel


@pytest.mark.slow
@EVERY_STATE
@kinds_with("cancel")
def test_a_job_is_cancelled_unless_it_has_ended(
    vertex: Vertex, parent: str, kind: Kind, state: S
) -> None:
    name = vertex.create(kind, parent).name
    bring(vertex.server, name, state)
    before = vertex.server.ledger.size()
    if state in ENDED:
        with pytest.raises(exceptions.BadRequest) as caught:
            vertex.call("cancel", kind, name=name)
        assert caught.value.reason == "ILLEGAL_TRANSITION"
        assert vertex.server.ledger.size() == before
        return
    vertex.call("cancel", kind, name=name)
    at_once = state in {S.QUEUED, S.PAUSED}
    job = vertex.get(kind, name)
    assert vertex.state(kind, job) == ("CANCELLED" if at_once else "CANCELLING")
    assert (vertex.server.ledger.size() == before) is (state is S.CANCELLING)
    if at_once:
        assert (job.error.code, job.error.message) == (1, "cancelled on request")


# What a kind has not


@pytest.mark.slow
@EVERY_KIND
def test_a_kind_has_exactly_the_documented_methods(vertex: Vertex, parent: str, kind: Kind) -> None:
    name = vertex.create(kind, parent).name
    ways = {"cancel": ("POST", ":cancel"), "pause": ("POST", ":pause"), "resume": ("POST", ":resume"),
            "update": ("PATCH", ""), "delete": ("DELETE", ""), "replace": ("PUT", ""),
            "retry": ("POST", ":retry")}  # fmt: skip
    before = vertex.server.ledger.size()
    with vertex.server.client() as http:
        for method, (verb, suffix) in ways.items():
            if not kind.has(method):
                answer = http.request(verb, f"/v1/{name}{suffix}")
                refused = read_refusal(answer.status_code, answer.json())
                assert refused[:3] == (404, "NOT_FOUND", "UNKNOWN_METHOD")
    assert vertex.server.ledger.size() == before


def test_unsupported_methods_are_refused_as_unimplemented(vertex: Vertex, parent: str) -> None:
    name = vertex.create(MONITORING, parent).name
    calls: list[Any] = [
        lambda: vertex.client(MONITORING).search_model_deployment_monitoring_stats_anomalies(
            model_deployment_monitoring_job=name, deployed_model_id="1"
        ),
        lambda: vertex.client(KINDS[6]).rebase_tuned_model(
            parent=parent, tuned_model_ref={"tuning_job": f"{parent}/tuningJobs/1"}
        ),
    ]
    for call in calls:
        with pytest.raises(exceptions.MethodNotImplemented) as caught:
            list(call())
        assert (caught.value.reason, caught.value.domain) == ("UNIMPLEMENTED", "jobledger")
