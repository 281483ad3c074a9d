"""The samples that a run of an evaluation job took."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection

READ_SAMPLES: Final = sql.load(__package__, "read_samples")
READ_CUTS: Final = sql.load(__package__, "read_cuts")


class Sample(NamedTuple):
    """A sampled prediction; JSON is as stored."""

    number: int
    time: datetime
    raw_data: str
    raw_prediction: str
    groundtruth: str | None


def run_samples(connection: Connection, name: str, first: int, last: int) -> Iterator[Sample]:
    """A job's samples by their numbers, both ends with them."""
    rows = connection.execute(READ_SAMPLES, {"job": name, "first": first, "last": last})
    return map(Sample._make, rows)


def run_range(connection: Connection, name: str, run: int) -> tuple[int, int]:
    """The first and the last number of the samples a run took; raises LookupError if it never started."""
    cuts = [row[0] for row in connection.execute(READ_CUTS, {"job": name, "run": run})]
    if (run > 1 and len(cuts) == 2) or (run == 1 and len(cuts) == 1):
        return (cuts[0] if run > 1 else 0) + 1, cuts[-1]
    raise LookupError(f"{name} has no run {run}")
