"""Tasks of a real worker of Celery, and what the ledger then has of them."""

import subprocess
import sys
import time
from pathlib import Path

from jobledger import JobState, Ledger

TIMEOUT_SECONDS = 120
ENDED = sorted(
    str(state) for state in (JobState.FAILED, JobState.EXPIRED, *[JobState.SUCCEEDED] * 4)
)
"""Of four tasks, one that a task sent included; one that fails; and one that no worker had in time."""


def main() -> None:
    """Raises AssertionError if the histories are not those of the tasks."""
    from celery_app import fails, flaky, parent, works

    options = ["--pool", "prefork", "--concurrency", "2", "--loglevel", "WARNING"]
    command = [sys.executable, "-m", "celery", "-A", "celery_app", "worker", *options]
    worker = subprocess.Popen(command, cwd=Path(__file__).parent)
    try:
        sent = {
            task.name.rpartition(".")[2]: task.delay(*args).id
            for task, args in (
                (works, (1,)),
                (fails, ()),
                (flaky, ()),
                (parent, ()),
            )
        }
        works.apply_async((3,), expires=0.001)
        with Ledger.open() as ledger:
            _wait(ledger)
            _check(ledger, sent)
    finally:
        worker.terminate()
        worker.wait()


def _wait(ledger: Ledger) -> None:
    """Until all tasks have ended."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while sorted(str(job.state) for job in ledger.scan("")) != ENDED:
        if time.monotonic() > deadline:
            raise TimeoutError([(job.name, job.state) for job in ledger.scan("")])
        time.sleep(0.2)


def _check(ledger: Ledger, sent: dict[str, str]) -> None:
    name = {task: f"projects/trial/jobs/{id_}" for task, id_ in sent.items()}
    types = {task: [event.type for event in ledger.history(each)] for task, each in name.items()}
    for task, found in types.items():
        print(f"{task:8} {' '.join(found)}")
    one_try = ["Created", "Queued", "Preparing", "Started"]
    assert types["works"] == [*one_try, "Succeeded"]
    assert types["fails"] == [*one_try, "Failed"]
    assert "Contradicted" not in types["flaky"]
    assert ledger.get(name["works"]).output == {"n": 1}
    assert ledger.get(name["fails"]).error_message == "ValueError: out of memory"
    assert ledger.get(name["flaky"]).attempt == 3
    assert ledger.get(name["flaky"]).output == {"tries": 3}
    [child] = ledger.tree(name["parent"]).children
    assert child.job.output == {"n": 2}
    assert child.job.root == name["parent"]


if __name__ == "__main__":
    main()
