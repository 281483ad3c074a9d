"""Vertex AI's high-level SDK, over REST."""

from calls import REGION, Calls, raises
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform

calls = Calls()
POOLS = [
    {
        "machine_spec": {"machine_type": "n1-standard-4"},
        "replica_count": 1,
        "container_spec": {"image_uri": "gcr.io/i"},
    }
]
aiplatform.init(
    project=calls.project,
    location=REGION,
    credentials=AnonymousCredentials(),
    api_endpoint=calls.url,
    api_transport="rest",
    staging_bucket="gs://b",
)


def submitted(name: str) -> aiplatform.CustomJob:
    """A job that was made."""
    job = aiplatform.CustomJob(display_name=name, worker_pool_specs=POOLS, labels={"a": "b"})
    job.submit()
    return job


with calls("CustomJob.submit"):
    job = submitted("one")
    assert job.state.name == "JOB_STATE_QUEUED"
with calls("CustomJob.state"):
    calls.report(job.resource_name, "started")
    assert job.state.name == "JOB_STATE_RUNNING"
with (
    calls("CustomJob.delete (running)"),
    raises(exceptions.BadRequest, exceptions.FailedPrecondition),
):
    job.delete()
with calls("CustomJob.cancel"):
    job.cancel()
    assert job.state.name == "JOB_STATE_CANCELLING"
    calls.report(job.resource_name, "cancelled")
    assert job.state.name == "JOB_STATE_CANCELLED"
with calls("CustomJob.list"):
    other = submitted("two")
    calls.report(other.resource_name, "failed", error={"code": 8, "message": "out of memory"})
    found = aiplatform.CustomJob.list(filter='state="JOB_STATE_FAILED" AND labels.a="b"')
    assert [each.display_name for each in found] == ["two"]
with calls("CustomJob.list (order_by)"):
    found = aiplatform.CustomJob.list(order_by="create_time")
    assert [each.display_name for each in found] == ["one", "two"]
with calls("CustomJob.get"):
    again = aiplatform.CustomJob.get(other.resource_name)
    assert again.error.message == "out of memory"
with calls("CustomJob.delete"):
    job.delete()
with calls("CustomJob.get (deleted)"), raises(exceptions.NotFound):
    aiplatform.CustomJob.get(job.resource_name)
with calls("BatchPredictionJob.list"):
    assert aiplatform.BatchPredictionJob.list() == []
with calls("HyperparameterTuningJob.list"):
    assert aiplatform.HyperparameterTuningJob.list() == []
with calls("PipelineJob.list"):
    assert aiplatform.PipelineJob.list() == []
calls.print(aiplatform.__version__)
