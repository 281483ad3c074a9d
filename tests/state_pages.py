"""Pages of the jobs in some states, read in each of the ways that a page can be found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final
from unittest.mock import patch

from jobledger.domain.job import Job
from jobledger.domain.states import JobState
from jobledger.domain.values.moments import AtPosition, AtTime
from jobledger.infra import Ledger
from jobledger.infra.read.lists import in_states


def _is_in(state: JobState, job: Job) -> bool:
    return job.state is state


FILTERS: Final[dict[str, Callable[[Job], bool]]] = {
    **{f"state = {state.name}": partial(_is_in, state) for state in JobState},
    'state != RUNNING AND name : "*/jobs/*"': lambda job: job.state is not JobState.RUNNING,
    "NOT state = QUEUED AND attempt > 0": lambda job: job.state is not JobState.QUEUED,
    'state = "*ED" AND (state = FAILED OR state = QUEUED) AND attempt = 1': lambda job: (
        job.state in {JobState.FAILED, JobState.QUEUED} and job.attempt == 1
    ),
}


def check_pages(
    ledger: Ledger, at: AtPosition | AtTime, filters: Iterable[str] = tuple(FILTERS)
) -> None:
    """Compares pages with a filter on the state with the jobs of a list without a filter."""
    listed = ledger.list(as_of=at)
    for filter_ in filters:
        expected = [job for job in listed if FILTERS[filter_](job)]
        assert ledger.list(filter_, as_of=at) == expected
        for few_jobs in (0, 100):
            with patch.multiple(in_states, MIN_EVENTS=0, FEW_JOBS=few_jobs):
                assert [*_paged(ledger, filter_, at)] == expected, (filter_, at)


def _paged(ledger: Ledger, filter_: str, at: AtPosition | AtTime) -> Iterator[Job]:
    page = ledger.page(filter_, page_size=2, as_of=at)
    yield from page.jobs
    while page.next_page_token:
        page = ledger.page(filter_, page_size=2, as_of=at, page_token=page.next_page_token)
        yield from page.jobs
