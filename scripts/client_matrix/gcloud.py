"""The gcloud command line."""

import json
import os
import subprocess
import tempfile

from calls import REGION, Calls

calls = Calls()
ENV = {
    **os.environ,
    "CLOUDSDK_CONFIG": tempfile.mkdtemp(),
    "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
    "CLOUDSDK_CORE_PROJECT": calls.project,
    "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
    "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": f"{calls.url}/",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_ML": f"{calls.url}/",
}


def gcloud(*arguments: str) -> object:
    """Runs a command, and returns the JSON that it prints."""
    command = ["gcloud", *arguments, "--format=json"]
    done = subprocess.run(
        command, check=False, env=ENV, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr[-300:]
    return json.loads(done.stdout or "null")


POOL = "--worker-pool-spec=machine-type=n1-standard-4,replica-count=1,container-image-uri=gcr.io/i"
for track in ("ga", "beta"):
    ai = ["ai"] if track == "ga" else [track, "ai"]
    shown = " ".join(["gcloud", *ai, "custom-jobs"])
    where = f"--region={REGION}"
    with calls(f"{shown} create"):
        made = gcloud(*ai, "custom-jobs", "create", where, f"--display-name={track}", POOL)
        name = made["name"]
    with calls(f"{shown} describe"):
        calls.report(name, "started")
        assert gcloud(*ai, "custom-jobs", "describe", name)["state"] == "JOB_STATE_RUNNING"
    with calls(f"{shown} list"):
        found = gcloud(*ai, "custom-jobs", "list", where, f'--filter=displayName="{track}"')
        assert [job["name"] for job in found] == [name]
    with calls(f"{shown} cancel"):
        gcloud(*ai, "custom-jobs", "cancel", name)
        described = gcloud(*ai, "custom-jobs", "describe", name)
        assert described["state"] == "JOB_STATE_CANCELLING"
with calls("gcloud ai hp-tuning-jobs list"):
    assert gcloud("ai", "hp-tuning-jobs", "list", f"--region={REGION}") == []
with calls("gcloud colab executions list"):
    assert gcloud("colab", "executions", "list", f"--region={REGION}") == []
with calls("gcloud ai-platform jobs list"):
    assert gcloud("ai-platform", "jobs", "list") == []
calls.report(f"{calls.parent}/jobs/train_1", "create")
with calls("gcloud ai-platform jobs describe"):
    assert gcloud("ai-platform", "jobs", "describe", "train_1")["state"] == "QUEUED"
with calls("gcloud ai-platform jobs update"):
    gcloud("ai-platform", "jobs", "update", "train_1", "--update-labels=team=vision")
    assert gcloud("ai-platform", "jobs", "describe", "train_1")["labels"] == {"team": "vision"}
with calls("gcloud ai-platform jobs cancel"):
    gcloud("ai-platform", "jobs", "cancel", "train_1")
    assert gcloud("ai-platform", "jobs", "describe", "train_1")["state"] == "CANCELLED"
version = subprocess.run(
    ["gcloud", "version", "--format=json"], check=True, capture_output=True, text=True
)
calls.print(json.loads(version.stdout)["Google Cloud SDK"])
