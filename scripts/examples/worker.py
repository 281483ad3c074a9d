"""A worker that takes jobs from a queue and reports what happens to them, from four threads."""

from __future__ import annotations

import queue
from concurrent.futures import ThreadPoolExecutor

from jobledger import JobState, Ledger

JOBS = {"projects/demo/jobs/images_1": 900, "projects/demo/jobs/images_2": -1}
"""What the queue holds: the name of a job, and how many images there are to resize."""


def resize(count: int) -> int:
    """The work itself: returns how many images were resized."""
    if count < 0:
        raise ValueError(f"there cannot be {count} images")
    return count


def work(ledger: Ledger, jobs: queue.SimpleQueue[tuple[str, int]]) -> None:
    """Takes jobs until there are none left."""
    while True:
        try:
            name, count = jobs.get_nowait()
        except queue.Empty:
            return
        try:
            with ledger.run(name, labels={"worker": "resizer"}, spec={"images": count}) as run:
                run.output = {"resized": resize(count)}
        except ValueError:
            continue  # The ledger has it: the job is FAILED, with this message.


def main() -> None:
    jobs: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    for queued in JOBS.items():
        jobs.put(queued)
    with Ledger.open() as ledger:
        with ThreadPoolExecutor(4) as threads:
            for _ in range(4):
                threads.submit(work, ledger, jobs)
        for name in JOBS:
            job = ledger.get(name)
            print(name, job.state.name if job.state else None, job.output or job.error_message)
        assert ledger.get(next(iter(JOBS))).state is JobState.SUCCEEDED


if __name__ == "__main__":
    main()
