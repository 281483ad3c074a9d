"""ml v1, Vertex AI and Data Labeling, with the clients that Google's discovery documents make."""

from importlib.metadata import version

from calls import Calls, raises
from google.auth.credentials import AnonymousCredentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

calls = Calls()


def discovered(api: str, of: str) -> object:
    """The client of an API."""
    options = {"api_endpoint": calls.url}
    credentials = AnonymousCredentials()
    return build(api, of, credentials=credentials, static_discovery=True, client_options=options)


jobs = discovered("ml", "v1").projects().jobs()
name = f"{calls.parent}/jobs/train_1"
with calls("ml.projects.jobs.create"):
    made = jobs.create(
        parent=calls.parent, body={"jobId": "train_1", "labels": {"a": "b"}}
    ).execute()
    assert made["state"] == "QUEUED"
with calls("ml.projects.jobs.create (existing)"), raises(HttpError):
    jobs.create(parent=calls.parent, body={"jobId": "train_1"}).execute()
with calls("ml.projects.jobs.get"):
    calls.report(name, "started")
    shown = jobs.get(name=name).execute()
    assert (shown["jobId"], shown["state"]) == ("train_1", "RUNNING")
with calls("ml.projects.jobs.patch"):
    body = {"labels": {"a": "c"}, "etag": shown["etag"]}
    assert jobs.patch(name=name, updateMask="labels,etag", body=body).execute()["labels"] == {
        "a": "c"
    }
with calls("ml.projects.jobs.patch (old etag)"), raises(HttpError):
    jobs.patch(name=name, updateMask="labels,etag", body=body | {"labels": {}}).execute()
with calls("ml.projects.jobs.list"):
    found = jobs.list(parent=calls.parent, filter="state=RUNNING").execute()
    assert [each["jobId"] for each in found["jobs"]] == ["train_1"]
with calls("ml.projects.jobs.list_next"):
    jobs.create(parent=calls.parent, body={"jobId": "train_2"}).execute()
    request, seen = jobs.list(parent=calls.parent, pageSize=1), []
    while request is not None:
        answer = request.execute()
        seen += [each["jobId"] for each in answer.get("jobs", [])]
        request = jobs.list_next(request, answer)
    assert sorted(seen) == ["train_1", "train_2"]
with calls("ml.projects.jobs.cancel"):
    assert jobs.cancel(name=name, body={}).execute() == {}
    calls.report(name, "cancelled")
    assert jobs.get(name=name).execute()["state"] == "CANCELLED"
with calls("ml.projects.jobs.get (missing)"), raises(HttpError):
    jobs.get(name=f"{calls.parent}/jobs/missing").execute()

locations = discovered("aiplatform", "v1").projects().locations()
with calls("aiplatform.projects.locations.customJobs.create"):
    body = {"displayName": "d", "jobSpec": {"workerPoolSpecs": [{"replicaCount": "1"}]}}
    custom = locations.customJobs().create(parent=calls.location, body=body).execute()
    assert custom["state"] == "JOB_STATE_QUEUED"
with calls("aiplatform.projects.locations.customJobs.get"):
    assert locations.customJobs().get(name=custom["name"]).execute() == custom
with calls("aiplatform.projects.locations.customJobs.list"):
    found = locations.customJobs().list(parent=calls.location).execute()["customJobs"]
    assert [each["name"] for each in found] == [custom["name"]]
with calls("aiplatform.projects.locations.customJobs.delete"):
    calls.report(custom["name"], "started")
    calls.report(custom["name"], "succeeded")
    deleting = locations.customJobs().delete(name=custom["name"]).execute()
with calls("aiplatform.projects.locations.operations.get"):
    assert locations.operations().get(name=deleting["name"]).execute()["done"]

evaluations = discovered("datalabeling", "v1beta1").projects().evaluationJobs()
with calls("datalabeling.projects.evaluationJobs.list"):
    assert evaluations.list(parent=calls.parent).execute() == {}
with calls("datalabeling.projects.evaluationJobs.get (missing)"), raises(HttpError):
    evaluations.get(name=f"{calls.parent}/evaluationJobs/missing").execute()
calls.print(version("google-api-python-client"))
