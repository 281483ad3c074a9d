"""Vertex AI's services of v1 and v1beta1, over REST and gRPC."""

import grpc
from calls import Calls, raises
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform, aiplatform_v1, aiplatform_v1beta1

calls = Calls()
SPEC = {"worker_pool_specs": [{"replica_count": 1, "container_spec": {"image_uri": "gcr.io/i"}}]}


def client(cls: type, transport: str) -> object:
    """A client of a service."""
    made = cls.get_transport_class(transport)
    if transport == "grpc":
        return cls(transport=made(channel=grpc.insecure_channel(calls.grpc)))
    host = calls.url.partition("://")[2]
    return cls(transport=made(host=host, url_scheme="http", credentials=AnonymousCredentials()))


def try_jobs(version: str, v: object, transport: str) -> None:
    """Makes, reads, lists, cancels and deletes custom jobs."""
    where = f"{version}, {transport}"
    with calls(f"JobService.create_custom_job ({where})"):
        jobs = client(v.JobServiceClient, transport)
        job = jobs.create_custom_job(
            parent=calls.location,
            custom_job={"display_name": where, "job_spec": SPEC},
            timeout=60,  # The gRPC server loads a version's messages when one is first asked for.
        )
        assert job.state.name == "JOB_STATE_QUEUED"
    with calls(f"JobService.get_custom_job ({where})"):
        assert jobs.get_custom_job(name=job.name) == job
    with calls(f"JobService.list_custom_jobs ({where})"):
        asked = {"parent": calls.location, "filter": f'display_name="{where}"'}
        assert [each.name for each in jobs.list_custom_jobs(asked)] == [job.name]
    with calls(f"JobService.list_custom_jobs (pages of one; {where})"):
        asked = {"parent": calls.location, "page_size": 1}
        assert job.name in [each.name for each in jobs.list_custom_jobs(asked)]
    with calls(f"JobService.cancel_custom_job ({where})"):
        calls.report(job.name, "started")
        jobs.cancel_custom_job(name=job.name)
        assert jobs.get_custom_job(name=job.name).state.name == "JOB_STATE_CANCELLING"
    with calls(f"JobService.delete_custom_job ({where})"):
        calls.report(job.name, "cancelled")
        jobs.delete_custom_job(name=job.name).result(timeout=20)
    with calls(f"JobService.get_custom_job (deleted; {where})"), raises(exceptions.NotFound):
        jobs.get_custom_job(name=job.name)
    with calls(f"PipelineService.list_pipeline_jobs ({where})"):
        pipelines = client(v.PipelineServiceClient, transport)
        assert list(pipelines.list_pipeline_jobs(parent=calls.location)) == []


for version, v in (("v1", aiplatform_v1), ("v1beta1", aiplatform_v1beta1)):
    for transport in ("rest", "grpc"):
        try_jobs(version, v, transport)
calls.print(aiplatform.__version__)
