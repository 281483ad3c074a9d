"""An app of Celery whose messages are files, for a worker of two processes."""

import os
from pathlib import Path

from celery import Celery
from jobledger.infra.plugins import celery as jobledger_celery

FOLDER = Path(os.environ["TRIAL_FOLDER"])
for name in ("queue", "control", "results"):
    (FOLDER / name).mkdir(parents=True, exist_ok=True)
app = Celery("trial", broker="filesystem://", backend=f"file://{FOLDER / 'results'}")
app.conf.broker_transport_options = {
    "data_folder_in": str(FOLDER / "queue"),
    "data_folder_out": str(FOLDER / "queue"),
    "control_folder": str(FOLDER / "control"),
}
jobledger_celery.connect(project="trial")


@app.task
def works(n):
    """Returns a dict."""
    return {"n": n}


@app.task
def fails():
    """Raises an error."""
    raise ValueError("out of memory")


@app.task(bind=True, max_retries=2)
def flaky(self):
    """Works the third time."""
    if self.request.retries < 2:
        raise self.retry(exc=OSError("the disk is away"), countdown=0.5)
    return {"tries": self.request.retries + 1}


@app.task
def parent():
    """Sends a task."""
    works.delay(2)
