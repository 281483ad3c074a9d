"""A pipeline that kfp compiles, submitted with Vertex AI's SDK."""

import tempfile

import kfp
from calls import REGION, Calls
from google.auth.credentials import AnonymousCredentials
from google.cloud import aiplatform
from kfp import compiler, dsl

calls = Calls()
aiplatform.init(
    project=calls.project,
    location=REGION,
    credentials=AnonymousCredentials(),
    api_endpoint=calls.url,
    api_transport="rest",
    staging_bucket="gs://b",
)


@dsl.component
def double(number: int) -> int:
    return 2 * number


@dsl.pipeline(name="doubles")
def doubles(number: int = 21) -> None:
    double(number=number)


template = tempfile.mkstemp(suffix=".json")[1]
with calls("compile"):
    compiler.Compiler().compile(doubles, template)
with calls("PipelineJob.submit"):
    job = aiplatform.PipelineJob(
        display_name="doubles", template_path=template, pipeline_root="gs://b/root"
    )
    job.submit()
    assert job.state.name in {"PIPELINE_STATE_QUEUED", "PIPELINE_STATE_PENDING"}
with calls("PipelineJob.state"):
    calls.report(job.resource_name, "started")
    assert job.state.name == "PIPELINE_STATE_RUNNING"
with calls("PipelineJob.get"):
    assert aiplatform.PipelineJob.get(job.resource_name).display_name == "doubles"
with calls("PipelineJob.list"):
    found = aiplatform.PipelineJob.list(filter='display_name="doubles"')
    assert [each.resource_name for each in found] == [job.resource_name]
with calls("PipelineJob.cancel"):
    job.cancel()
    assert job.state.name == "PIPELINE_STATE_CANCELLING"
with calls("PipelineJob.delete"):
    calls.report(job.resource_name, "cancelled")
    job.delete()
calls.print(kfp.__version__)
