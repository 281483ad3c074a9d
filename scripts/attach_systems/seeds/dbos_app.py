"""Workflows of DBOS: `dbos_app.py URL` runs them all, `dbos_app.py URL schema` only makes DBOS's tables."""

import sys
import time
from contextlib import suppress

from dbos import DBOS, SetWorkflowID

ROUNDS = 3
FAILURE = "card declined"


@DBOS.step()
def step(number: int) -> int:
    return number + 1


@DBOS.workflow()
def works(number: int) -> int:
    return step(number)


@DBOS.workflow()
def fails(number: int) -> int:
    raise ValueError(f"{FAILURE}: {step(number)}")


@DBOS.workflow()
def parent(number: int) -> int:
    return works(number) + works(number + 1)


@DBOS.workflow()
def waits(number: int) -> int:
    DBOS.sleep(3)
    return number


def main(url: str, *only: str) -> None:
    DBOS(config={"name": "shop", "system_database_url": url, "run_admin_server": False})
    DBOS.launch()
    DBOS.register_queue("work", polling_interval_sec=0.2)
    if not only:
        run()
    DBOS.destroy()


def run() -> None:
    """Workflows that work, fail, call others, wait in a queue, are cancelled, resumed and forked."""
    handles = []
    for number in range(ROUNDS):
        for workflow in (works, fails, parent):
            with SetWorkflowID(f"{workflow.__name__}-{number}"):
                handles.append(DBOS.start_workflow(workflow, number))
        with SetWorkflowID(f"queued-{number}"):
            handles.append(DBOS.enqueue_workflow("work", works, number))
    with SetWorkflowID("waits"):
        DBOS.start_workflow(waits, 0)
    time.sleep(0.5)
    DBOS.cancel_workflow("waits")
    time.sleep(4)
    handles += [
        DBOS.resume_workflow("waits"),
        DBOS.fork_workflow("works-0", 1),
        DBOS.fork_workflow("fails-0", 1),
    ]
    for handle in handles:
        with suppress(ValueError):
            handle.get_result()


if __name__ == "__main__":
    main(*sys.argv[1:])
