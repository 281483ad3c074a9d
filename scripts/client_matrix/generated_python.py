"""The package that openapi-python-client makes of the server's OpenAPI document."""

import subprocess
import sys
import tempfile
import urllib.request
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from calls import Calls

calls = Calls()
folder = Path(tempfile.mkdtemp())
sys.path.insert(0, str(folder))
name = f"{calls.parent}/jobs/typed"


def call(at: object, module: str, *names: str, **asked: object) -> object:
    """One call, and its answer as the type that the generator made."""
    answer = import_module(f"made.api.{module}").sync(*names, client=at, **asked)
    assert type(answer).__module__.startswith("made.models."), answer
    assert type(answer).__name__ != "ErrorJson", answer
    return answer


with calls("generate"):
    urllib.request.urlretrieve(f"{calls.url}/openapi.json", folder / "openapi.json")
    generate = ["-m", "openapi_python_client", "generate", "--path", "openapi.json"]
    command = [sys.executable, *generate, "--output-path", "made", "--meta", "none"]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout.lower(), done.stdout
    made = import_module("made")
    models = import_module("made.models")
    at = made.Client(base_url=calls.url)
with calls("commands.create"):
    labels = models.CreateJobRequestLabels.from_dict({"team": "a"})
    body = models.CreateJobRequest(labels=labels)
    created = call(at, "commands.create_ledger_v1_name_create_post", name, body=body)
    assert created.job.state == "QUEUED"
with calls("reports.started"):
    call(at, "reports.started_ledger_v1_name_started_post", name)
with calls("reports.failed"):
    body = models.FailedReport(error=models.Status(code=8, message="out of memory"))
    ended = call(at, "reports.failed_ledger_v1_name_failed_post", name, body=body)
    assert ended.job.error_message == "out of memory"
with calls("reading.job (as_of)"):
    past = call(at, "reading.job_ledger_v1_name_get", name, as_of="v2")
    assert past.state == "RUNNING"
with calls("reading.history"):
    history = call(at, "reading.history_ledger_v1_name_events_get", name)
    assert [event.type_ for event in history.events] == ["Created", "Started", "Failed"]
with calls("reading.events"):
    after = created.events[0].position - 1
    feed = call(at, "reading.events_ledger_v1_events_get", after=after)
    assert [event.version for event in feed.events if event.name == name] == [1, 2, 3]
with calls("reading.jobs"):
    page = call(at, "reading.jobs_ledger_v1_jobs_get", filter_=f"project = {calls.project}")
    assert [job.name for job in page.jobs] == [name]
with calls("reading.count"):
    asked = f"project = {calls.project}"
    counted = call(at, "reading.count_ledger_v1_jobs_count_get", filter_=asked)
    assert [(each.value, each.count) for each in counted.counts] == [("FAILED", 1)]
calls.print(version("openapi-python-client"))
