"""The ground truth of a run's samples: recorded, or agreed on by human labelers."""

import orjson
from jobledger.domain.job import Job
from jobledger.domain.metrics.evaluation import read_plan
from jobledger.domain.metrics.examples import Truth, read_truth
from jobledger.infra.evaluation.samples.of_run import run_range, run_samples
from jobledger.infra.evaluation.tasks.agreement import agreed
from jobledger.infra.postgres.connections import Connection


def run_truths(connection: Connection, job: Job, run: int) -> dict[int, Truth]:
    """The known ground truth of a run's samples, by their numbers."""
    plan = read_plan(job.spec)
    truths = {
        sample.number: read_truth(plan, orjson.loads(sample.groundtruth))
        for sample in run_samples(connection, job.name, *run_range(connection, job.name, run))
        if sample.groundtruth is not None
    }
    if plan.by_people:
        truths |= agreed(connection, job, run)
    return truths
