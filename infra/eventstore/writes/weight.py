"""Estimates the memory of jobs and events, so that caches are bounded by bytes."""

import sys
from typing import Any, Final

from jobledger.domain.data import Data
from jobledger.domain.job import Job

JOB_BYTES: Final = 1_000
"""The bytes of a job without spec, output, labels and error."""
EVENT_BYTES: Final = 400
"""The bytes of an event without data."""
_CONTAINERS: Final = (dict, list, tuple)


def weight_of_job(job: Job) -> int:
    """Estimates how many bytes of memory a job takes."""
    return JOB_BYTES + sum(
        _weight(value) for value in (job.spec, job.output, job.labels, job.error)
    )


def weight_of_data(data: Data) -> int:
    """Estimates how many bytes of memory an event with these data takes; fast and less exact."""
    total = EVENT_BYTES
    extra = data.__pydantic_extra__
    for value in (*data.__dict__.values(), extra) if extra else data.__dict__.values():
        kind = type(value)
        if kind is str:
            total += len(value)
        elif kind is dict and value:
            total += sum(map(len, value))
            for held in value.values():
                if type(held) is str:
                    total += len(held)
                elif isinstance(held, _CONTAINERS):
                    total += _weight(held)
        elif kind in _CONTAINERS and value:
            total += _weight(value)
    return total


def _weight(value: Any) -> int:
    """The size of a JSON value, including nested values."""
    total, waiting = 0, [value]
    while waiting:
        part = waiting.pop()
        total += sys.getsizeof(part)
        if type(part) is dict:
            waiting.extend(part)
            waiting.extend(part.values())
        elif isinstance(part, list | tuple):
            waiting.extend(part)
    return total
