"""A simulated week of a small cluster, from a seed: legal histories, and some late or wrong reports."""

from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from jobledger.domain import events as e
from jobledger.domain.data import Data, Status
from jobledger.domain.events import Event
from jobledger.domain.job import Job, evolve, judge
from jobledger.domain.states import TERMINAL

BEGIN: Final = datetime(2026, 6, 1, tzinfo=UTC)
"""A Monday; the week is the same whenever it is simulated."""
WEEK: Final = timedelta(days=7)
TEAMS: Final = ("search", "ads", "vision", "speech")
REGIONS: Final = ("eu-west4", "us-central1")
ERRORS: Final = (
    (8, "out of memory: the worker was killed at 15.9 GiB"),
    (13, "CUDA error: device-side assert triggered"),
    (14, "the node was lost and the job was not restarted"),
    (5, "gs://training/shard-00017 does not exist"),
)


def simulate(jobs: int, seed: int, project: str, end: datetime | None = None) -> Iterator[Event]:
    """Simulates a week of jobs.

    Args:
        jobs: How many.
        seed: The same seed and end make the same events.
        project: The project of the jobs.
        end: When the week ends (UTC); jobs that would still run then expire.

    Yields:
        The events, job by job.
    """
    begin = BEGIN if end is None else end - WEEK
    for number in range(jobs):
        random = Random(f"{seed}/{number}")  # noqa: S311 - not for secrets
        name = f"projects/{project}/jobs/sim_{seed}_{number:06d}"
        yield from _history(name, random, random.random() * WEEK + begin, end)


def _history(name: str, random: Random, begin: datetime, end: datetime | None) -> Iterator[Event]:
    job, team = Job(name=name), random.choice(TEAMS)
    actor = f"{team}@scheduler"
    for wait, report in _reports(random, team):
        begin += timedelta(seconds=wait)
        if end is not None and begin >= end:
            break
        for fact in judge(report, job):
            event = Event(name, job.version + 1, fact, begin, actor)
            job = evolve(job, event)
            yield event
    if end is not None and job.state not in TERMINAL:
        expired = e.Expired(reason="the simulated week ended before the job")
        yield Event(name, job.version + 1, expired, end, "scheduler")


def _reports(random: Random, team: str) -> Iterator[tuple[float, Data]]:
    """The reports of one job, each with the seconds since the one before it."""
    labels = {"team": team, "env": random.choice(("prod", "dev"))}
    spec = {
        "displayName": f"{team} training",
        "region": random.choice(REGIONS),
        "workers": random.randint(1, 8),
    }
    yield 0, e.Created(labels=labels, spec=spec)
    while True:
        yield random.expovariate(1 / 60), e.Queued(queue_position=random.randint(0, 20))
        if random.random() < 0.05:
            yield random.expovariate(1 / 600), e.Cancelled(reason="not needed any more")
            return
        failed = yield from _attempt(random)
        if not failed or random.random() < 0.4:
            return
        yield random.expovariate(1 / 900), e.Retried(reason="tried again")


def _attempt(random: Random) -> Generator[tuple[float, Data], None, bool]:
    """Returns whether it failed."""
    yield random.expovariate(1 / 120), e.Preparing()
    worker = f"node-{random.randint(1, 40)}"
    yield random.expovariate(1 / 90), e.Started.model_validate({"worker": worker})
    for step in range(random.randint(0, 4)):
        fields = {"step": step * 1000, "loss": round(random.uniform(0.1, 4), 3)}
        yield random.expovariate(1 / 1200), e.ProgressReported.model_validate(fields)
    ending = random.random()
    if ending < 0.04:
        return False  # The week ends before it does.
    if ending < 0.75:
        output = {"modelUri": f"gs://models/{random.getrandbits(64):016x}"}
        yield random.expovariate(1 / 3600), e.Succeeded(output=output)
    elif ending < 0.92:
        code, message = random.choice(ERRORS)
        status = Status(code=code, message=message)
        yield random.expovariate(1 / 1800), e.Failed(error=status)
        return True
    else:
        yield random.expovariate(1 / 1800), e.Cancelling(reason="over budget")
        yield random.expovariate(1 / 30), e.Cancelled()
    if random.random() < 0.02:  # A worker that was cut off reports when it is back.
        yield random.expovariate(1 / 300), e.Started.model_validate({"worker": worker})
    return False
