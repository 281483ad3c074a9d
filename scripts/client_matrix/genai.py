"""Batches of the Gen AI SDK, which are batch prediction jobs of Vertex AI."""

from calls import REGION, Calls, raises
from google import genai
from google.genai import errors
from google.oauth2.credentials import Credentials

calls = Calls()
client = genai.Client(
    vertexai=True,
    project=calls.project,
    location=REGION,
    credentials=Credentials("token"),
    http_options={"base_url": calls.url, "api_version": "v1"},
)
with calls("batches.create"):
    made = client.batches.create(
        model="gemini-2.5-flash",
        src="gs://b/in.jsonl",
        config={"display_name": "d", "dest": "gs://b/out"},
    )
    assert made.state.name == "JOB_STATE_QUEUED"
with calls("batches.get"):
    calls.report(made.name, "started")
    assert client.batches.get(name=made.name).state.name == "JOB_STATE_RUNNING"
with calls("batches.list"):
    assert [each.name for each in client.batches.list()] == [made.name]
with calls("batches.list (filter)"):
    assert list(client.batches.list(config={"filter": 'display_name="other"'})) == []
with calls("batches.cancel"):
    client.batches.cancel(name=made.name)
    assert client.batches.get(name=made.name).state.name == "JOB_STATE_CANCELLING"
with calls("batches.delete (not ended)"), raises(errors.ClientError):
    client.batches.delete(name=made.name)
with calls("batches.delete"):
    calls.report(made.name, "cancelled")
    assert client.batches.delete(name=made.name).done
with calls("batches.get (deleted)"), raises(errors.ClientError):
    client.batches.get(name=made.name)
calls.print(genai.__version__)
