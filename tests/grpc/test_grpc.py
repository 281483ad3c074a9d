"""Vertex AI and Data Labeling over gRPC: Google's own clients, a real process, and the same ledger over HTTP."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.google.test_google_messages import VERTEX_JOBS
from tests.grpc_clients import Clients, as_raw, custom_job, refusal
from tests.servers import Server

HOUR = {"seconds": 3600}


@pytest.fixture
def parent(project: str) -> str:
    return f"projects/{project}/locations/us-central1"


def over_http(server: Server, path: str, cls: Any, **params: str) -> Any:
    """Returns the resource over HTTP, parsed by Google's parser."""
    from google.protobuf import json_format

    with server.client() as client:
        answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return json_format.Parse(answer.content, cls.pb()())


# Vertex AI's jobs


def test_the_life_of_a_job(google: Clients, grpc_server: Server, parent: str) -> None:
    jobs, state = google.jobs, google.v.JobState
    made = jobs.create_custom_job(parent=parent, custom_job=custom_job(google))
    assert made.name.startswith(f"{parent}/customJobs/")
    assert made.state == state.JOB_STATE_QUEUED
    assert (
        made.job_spec.worker_pool_specs[0].machine_spec.accelerator_type.name == "NVIDIA_TESLA_T4"
    )
    assert made.job_spec.scheduling.timeout.total_seconds() == 3600.5

    grpc_server.ledger.started(made.name)
    running = jobs.get_custom_job(name=made.name)
    assert (running.state, running.job_spec) == (state.JOB_STATE_RUNNING, made.job_spec)
    assert running.start_time == running.update_time > running.create_time

    jobs.cancel_custom_job(name=made.name)
    jobs.cancel_custom_job(name=made.name)
    assert jobs.get_custom_job(name=made.name).state == state.JOB_STATE_CANCELLING
    grpc_server.ledger.cancelled(made.name, "enough")
    cancelled = jobs.get_custom_job(name=made.name)
    assert (cancelled.state, cancelled.error.code) == (state.JOB_STATE_CANCELLED, 1)

    operation = jobs.delete_custom_job(name=made.name)
    assert operation.operation.name.startswith(f"{parent}/operations/")
    assert operation.result(timeout=60) is not None
    assert type(operation.metadata).__name__ == "DeleteOperationMetadata"
    error = refusal("NotFound", jobs.get_custom_job, name=made.name)
    assert (error.reason, error.domain) == ("JOB_NOT_FOUND", "jobledger")
    assert error.metadata == {"name": made.name, "deleted": "true"}


def test_jobs_are_listed_by_filter_and_page(google: Clients, parent: str) -> None:
    made = [
        google.jobs.create_custom_job(
            parent=parent, custom_job={"display_name": f"d{n}", "labels": {"odd": str(n % 2)}}
        ).name
        for n in range(7)
    ]

    def names(**asked: Any) -> list[str]:
        request = {"parent": parent, "page_size": 2} | asked
        return [job.name for job in google.jobs.list_custom_jobs(request=request)]

    assert names() == made[::-1]
    assert names(filter="labels.odd=1") == made[5:0:-2]
    assert names(filter='display_name="d3" OR display_name:"d4*"') == [made[4], made[3]]
    assert names(filter='NOT state="JOB_STATE_QUEUED"') == []
    assert names(parent=parent.replace("us-central1", "-")) == made[::-1]
    assert names(parent=parent.replace("us-central1", "europe-west4")) == []

    first = next(google.jobs.list_custom_jobs(request={"parent": parent, "page_size": 3}).pages)
    assert len(first.custom_jobs) == 3
    again = google.jobs.list_custom_jobs(
        request={"parent": parent, "page_size": 3, "page_token": first.next_page_token}
    )
    assert [job.name for job in again] == made[3::-1]


@pytest.mark.parametrize("path", ["display_name", "displayName"])
def test_masks_come_in_either_case(google: Clients, parent: str, path: str) -> None:
    google.jobs.create_custom_job(parent=parent, custom_job=custom_job(google))
    request = {"parent": parent, "read_mask": {"paths": [path, "labels.ü"]}}
    (job,) = google.jobs.list_custom_jobs(request=request)
    assert job == google.v.CustomJob(display_name="d", labels={"ü": ""})


def test_the_clients_other_order_is_that_of_the_list(google: Clients, parent: str) -> None:
    for name in "bca":
        google.jobs.create_data_labeling_job(
            parent=parent, data_labeling_job={"display_name": name}
        )
    request = {"parent": parent, "order_by": "display_name desc"}
    listed = google.jobs.list_data_labeling_jobs(request=request)
    assert [job.display_name for job in listed] == ["c", "b", "a"]


def test_a_monitoring_job_is_paused_resumed_and_updated(
    google: Clients, grpc_server: Server, parent: str
) -> None:
    jobs, state = google.jobs, google.v.JobState
    fields = {"display_name": "m", "endpoint": "e", "log_ttl": HOUR, "labels": {"a": "b"}}
    name = jobs.create_model_deployment_monitoring_job(
        parent=parent, model_deployment_monitoring_job=fields
    ).name

    def shown() -> Any:
        return jobs.get_model_deployment_monitoring_job(name=name)

    assert shown().state == state.JOB_STATE_PENDING
    grpc_server.ledger.started(name)
    jobs.pause_model_deployment_monitoring_job(name=name)
    assert shown().state == state.JOB_STATE_PAUSED
    jobs.resume_model_deployment_monitoring_job(name=name)
    assert shown().state == state.JOB_STATE_RUNNING

    operation = jobs.update_model_deployment_monitoring_job(
        model_deployment_monitoring_job={"name": name, "display_name": "n", "log_ttl": {}},
        update_mask={"paths": ["display_name", "logTtl"]},
    )
    assert shown().state == state.JOB_STATE_UPDATING
    assert not operation.done()
    grpc_server.ledger.updated(name, grpc_server.ledger.history(name)[-1].json["spec"])
    result = operation.result(timeout=60)
    assert type(result) is google.v.ModelDeploymentMonitoringJob
    assert (result.display_name, result.log_ttl.total_seconds(), result.labels) == (
        "n",
        0,
        {"a": "b"},
    )
    assert type(operation.metadata).__name__ == (
        "UpdateModelDeploymentMonitoringJobOperationMetadata"
    )

    jobs.delete_model_deployment_monitoring_job(name=name).result(timeout=60)
    refusal("NotFound", jobs.resume_model_deployment_monitoring_job, name=name)


def test_an_unfinished_update_of_an_ended_job_is_aborted(
    google: Clients, grpc_server: Server, parent: str
) -> None:
    error = {"code": 9, "message": "no such endpoint"}
    for report, cls, message in (
        ("failed", "Aborted", "the job ended meanwhile: Failed"),
        ("updated", "FailedPrecondition", "no such endpoint"),
    ):
        job = google.jobs.create_model_deployment_monitoring_job(
            parent=parent, model_deployment_monitoring_job={"display_name": "m"}
        )
        grpc_server.ledger.started(job.name)
        job.display_name = "n"
        operation = google.jobs.update_model_deployment_monitoring_job(
            model_deployment_monitoring_job=job, update_mask={"paths": ["display_name"]}
        )
        getattr(grpc_server.ledger, report)(job.name, error=error)
        assert message in refusal(cls, operation.result, timeout=30).message


def test_operations_are_asked_for_by_name(google: Clients, parent: str) -> None:
    from google.longrunning import operations_pb2

    job = google.jobs.create_nas_job(parent=parent, nas_job={"display_name": "n"})
    google.jobs.cancel_nas_job(name=job.name)
    operation = google.jobs.delete_nas_job(name=job.name).operation
    asked = {"name": operation.name}
    assert google.jobs.get_operation(asked) == operation
    waiting = operations_pb2.WaitOperationRequest(name=operation.name, timeout=HOUR)
    # This one's client forgot to read the answer.
    waited = google.jobs.wait_operation(waiting)
    assert operations_pb2.Operation.FromString(waited) == operation
    google.jobs.cancel_operation(asked)
    refusal("NotFound", google.jobs.get_operation, {"name": f"{parent}/operations/999999999"})
    listed = google.jobs.list_operations({"name": parent, "filter": "done = true"})
    assert list(listed.operations) == [operation]
    google.jobs.delete_operation(asked)
    refusal("NotFound", google.jobs.get_operation, asked)
    assert not google.jobs.list_operations({"name": parent}).operations


def test_v1beta1_is_served_with_its_own_messages(grpc_server: Server, parent: str) -> None:
    import grpc
    from google.cloud import aiplatform_v1beta1 as beta

    with grpc.insecure_channel(f"127.0.0.1:{grpc_server.port}") as channel:
        cls = beta.JobServiceClient
        jobs = cls(transport=cls.get_transport_class("grpc")(channel=channel))
        made = jobs.create_custom_job(parent=parent, custom_job={"display_name": "b"})
        jobs.cancel_custom_job(name=made.name)
        deleting = jobs.delete_custom_job(name=made.name)
        assert type(deleting.metadata).__module__.startswith("google.cloud.aiplatform_v1beta1")
        assert jobs.get_operation({"name": deleting.operation.name}) == deleting.operation


def test_trials_of_an_architecture_search_are_shown(
    google: Clients, grpc_server: Server, parent: str
) -> None:
    name = google.jobs.create_nas_job(parent=parent, nas_job={"display_name": "n"}).name
    trials = [{"id": str(n), "parameters": "{}"} for n in range(3)]
    grpc_server.ledger.started(name)
    grpc_server.ledger.progress_reported(name, {"nasTrialDetails": trials})
    listed = list(google.jobs.list_nas_trial_details(request={"parent": name, "page_size": 2}))
    assert [trial.name for trial in listed] == [f"{name}/nasTrialDetails/{n}" for n in range(3)]
    assert google.jobs.get_nas_trial_detail(name=listed[1].name) == listed[1]


# Pipelines, tuning, notebooks

FREE: Any = {
    "n": 1,
    "f": 1.5,
    "no": None,
    "yes": True,
    "l": [1, "x", None, {}, []],
    "@type": "x",
    "d_e": {"": {"ü": [[]]}},
}


def test_pipelines_hold_free_json_and_have_ids_of_their_own(google: Clients, parent: str) -> None:
    pipelines, state = google.pipelines, google.v.PipelineState
    job = google.v.PipelineJob(display_name="p", pipeline_spec=FREE)
    made = pipelines.create_pipeline_job(parent=parent, pipeline_job=job, pipeline_job_id="mine")
    assert made.name == f"{parent}/pipelineJobs/mine"
    shown = pipelines.get_pipeline_job(name=made.name)
    assert shown.state == state.PIPELINE_STATE_QUEUED
    assert as_raw(shown).pipeline_spec == as_raw(job).pipeline_spec

    asked = {"parent": parent, "pipeline_job": job, "pipeline_job_id": "mine"}
    error = refusal("AlreadyExists", pipelines.create_pipeline_job, asked)
    expected = {"name": made.name, "deleted": "false"}
    assert (error.reason, error.metadata) == ("JOB_EXISTS", expected)
    asked["pipeline_job_id"] = "Not_Mine"
    assert refusal("InvalidArgument", pipelines.create_pipeline_job, asked).metadata["field"] == (
        "pipelineJobId"
    )


def test_pipelines_are_cancelled_and_deleted_by_the_batch(google: Clients, parent: str) -> None:
    pipelines = google.pipelines
    names = [
        pipelines.create_pipeline_job(parent=parent, pipeline_job={"display_name": "p"}).name
        for _ in range(3)
    ]
    batch = {"parent": parent, "names": names}
    message = pipelines.batch_cancel_pipeline_jobs(batch).result(timeout=60)
    assert [job.name for job in message.pipeline_jobs] == names
    message = pipelines.batch_delete_pipeline_jobs(batch).result(timeout=60)
    assert type(message) is google.v.BatchDeletePipelineJobsResponse
    assert list(pipelines.list_pipeline_jobs(parent=parent)) == []
    refusal("InvalidArgument", pipelines.batch_cancel_pipeline_jobs, {"parent": parent})


def test_training_tuning_and_notebooks_go_the_same_way(google: Clients, parent: str) -> None:
    training = google.pipelines.create_training_pipeline(
        parent=parent, training_pipeline={"display_name": "t", "training_task_inputs": FREE}
    )
    google.pipelines.cancel_training_pipeline(name=training.name)
    google.pipelines.delete_training_pipeline(name=training.name).result(timeout=60)

    tuning = google.tuning.create_tuning_job(parent=parent, tuning_job={"base_model": "m"})
    google.tuning.cancel_tuning_job(name=tuning.name)
    (listed,) = google.tuning.list_tuning_jobs(parent=parent)
    assert listed.state == google.v.JobState.JOB_STATE_CANCELLED

    asked = {
        "parent": parent,
        "notebook_execution_job": {"display_name": "n"},
        "notebook_execution_job_id": "mine",
    }
    notebook = google.notebooks.create_notebook_execution_job(asked).result(timeout=60)
    assert notebook.name == f"{parent}/notebookExecutionJobs/mine"
    view = google.v.NotebookExecutionJobView.NOTEBOOK_EXECUTION_JOB_VIEW_FULL
    asked = {"name": notebook.name, "view": view}
    assert google.notebooks.get_notebook_execution_job(asked) == notebook


# Data Labeling


def test_the_life_of_an_evaluation_job(
    google: Clients, server: Server, grpc_server: Server, project: str
) -> None:
    labeling, state = google.labeling, google.d.EvaluationJob.State
    job = {
        "description": "x",
        "schedule": "every 24 hours",
        "model_version": f"projects/{project}/models/m/versions/v",
        "annotation_spec_set": f"projects/{project}/annotationSpecSets/1",
        "evaluation_job_config": {
            "example_count": 5,
            "example_sample_percentage": 0.1,
            "input_config": {
                "data_type": 4,
                "annotation_type": 8,
                "classification_metadata": {},
                "bigquery_source": {"input_uri": "bq://p/d/t"},
            },
            "bigquery_import_keys": {
                "data_json_key": "k",
                "label_json_key": "l",
                "label_score_json_key": "s",
            },
        },
    }
    parent = f"projects/{project}"
    made = labeling.create_evaluation_job(parent=parent, job=job)
    assert made.state == state.SCHEDULED
    assert made == labeling.get_evaluation_job(name=made.name)
    assert as_raw(made) == over_http(server, f"/v1beta1/{made.name}", google.d.EvaluationJob)
    refusal("AlreadyExists", labeling.create_evaluation_job, parent=parent, job=job)

    labeling.pause_evaluation_job(name=made.name)
    assert labeling.get_evaluation_job(name=made.name).state == state.PAUSED
    labeling.resume_evaluation_job(name=made.name)
    listed = labeling.list_evaluation_jobs(parent=parent, filter="evaluation_job.model_id = m")
    assert [job.state for job in listed] == [state.SCHEDULED]
    assert list(labeling.list_evaluation_jobs(parent=parent, filter="state = RUNNING")) == []

    config = {"example_count": 7, "example_sample_percentage": 0.5}
    for path, expected in (
        ("evaluation_job_config.example_count", (7, 0.1)),
        ("evaluationJobConfig.exampleSamplePercentage", (7, 0.5)),
    ):
        updated = labeling.update_evaluation_job(
            evaluation_job={"name": made.name, "evaluation_job_config": config},
            update_mask={"paths": [path]},
        )
        now = updated.evaluation_job_config
        assert (now.example_count, now.example_sample_percentage) == expected
    asked = {"evaluation_job": {"name": made.name}, "update_mask": {"paths": ["schedule"]}}
    refusal("InvalidArgument", labeling.update_evaluation_job, asked)

    labeling.delete_evaluation_job(name=made.name)
    refusal("NotFound", labeling.get_evaluation_job, name=made.name)
    refusal("NotFound", labeling.resume_evaluation_job, name=made.name)
    assert grpc_server.ledger.history(made.name)[-1].type == "Deleted"


# The same over HTTP


@pytest.mark.parametrize("job", VERTEX_JOBS)
def test_what_is_created_over_grpc_is_shown_the_same_over_http(
    google: Clients, server: Server, grpc_server: Server, parent: str, job: str
) -> None:
    field = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in job)[1:]
    client = next(
        one
        for one in (google.jobs, google.pipelines, google.tuning, google.notebooks)
        if hasattr(one, f"get_{field}")
    )
    cls = getattr(google.v, job)
    named = {"tuned_model_display_name" if job == "TuningJob" else "display_name": "ü"}
    made = getattr(client, f"create_{field}")(
        {"parent": parent, field: named | {"labels": {"a": "b"}}}
    )
    name = made.result(timeout=60).name if job == "NotebookExecutionJob" else made.name
    grpc_server.ledger.started(name)
    grpc_server.ledger.failed(name, {"code": 8, "message": "out of memory"})

    shown = as_raw(getattr(client, f"get_{field}")(name=name))

    assert shown == over_http(server, f"/v1/{name}", cls)
    (listed,) = getattr(client, f"list_{field}s")(parent=parent)
    collection = name.split("/")[-2]
    with server.client() as over:
        (body,) = over.get(f"/v1/{parent}/{collection}").json()[collection]
    assert as_raw(listed) == as_raw(cls.from_json(json.dumps(body)))


def test_what_is_created_over_http_is_shown_over_grpc(
    google: Clients, server: Server, parent: str
) -> None:
    body = {"displayName": "b", "modelParameters": FREE, "labels": {"a": "b"}}
    with server.client() as client:
        content = client.post(f"/v1/{parent}/batchPredictionJobs", json=body).json()
    job = google.jobs.get_batch_prediction_job(name=content["name"])
    assert as_raw(job) == over_http(server, f"/v1/{job.name}", google.v.BatchPredictionJob)
    assert dict(job.model_parameters)["d_e"] == {"": {"ü": [[]]}}


def test_many_may_ask_at_once_and_asynchronously(google: Clients, parent: str) -> None:
    asked = {"parent": parent, "custom_job": {"display_name": "d"}}
    with ThreadPoolExecutor(16) as threads:
        made = list(threads.map(lambda _: google.jobs.create_custom_job(asked).name, range(100)))

    async def listed(port: int) -> list[str]:
        import grpc

        cls = google.v.JobServiceAsyncClient
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            client = cls(transport=cls.get_transport_class("grpc_asyncio")(channel=channel))
            return [job.name async for job in await client.list_custom_jobs(parent=parent)]

    port = int(google.channel._channel.target().decode().rpartition(":")[2])
    assert sorted(asyncio.run(listed(port))) == sorted(made)
