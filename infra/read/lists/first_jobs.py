"""Finds the first jobs of a search within a time: it looks at the newest jobs, in growing steps."""

import time
from typing import Final, NamedTuple

from jobledger.domain.job import Job
from jobledger.infra.read.lists.job_lists import JobLists
from jobledger.infra.read.lists.list_sql import Query
from jobledger.infra.read.lists.part_of_list import PartOfList

FIRST_STEP: Final = 5_000
"""How many jobs are looked at before the texts are looked up: a frequent text fills a page among them."""
LOOKUP_SECONDS: Final = 0.1
"""How long looking up texts may take."""


class FirstJobs(NamedTuple):
    """The first jobs of a list."""

    jobs: list[Job]
    more: bool
    """Whether more jobs follow, as far as is known."""
    looked_at: int | None
    """How many of the newest jobs were looked at; None if these are certainly the first jobs of the list."""


def find_first(lists: JobLists, query: Query, limit: int, seconds: float) -> FirstJobs:
    """Finds the first jobs that a query selects in the default order.

    Args:
        lists: The lists of a ledger.
        query: Which jobs, as of which moment.
        limit: The most jobs to return.
        seconds: The time after which it stops and returns what was found.

    Returns:
        The jobs, and how many were looked at if it stopped.
    """
    end = time.monotonic() + seconds
    part, jobs, looked_at = PartOfList(limit=FIRST_STEP), list[Job](), 0
    while True:
        began = time.monotonic()
        page = lists.page(query._replace(part=part), limit + 1 - len(jobs))
        jobs += page.jobs
        if page.more or len(jobs) > limit:
            return FirstJobs(jobs[:limit], True, None)
        following = lists.part_after(part)
        if following is None:
            return FirstJobs(jobs, False, None)
        if not looked_at and (names := lists.names_with_texts(query, LOOKUP_SECONDS)) is not None:
            found = lists.page(query._replace(among=names), limit)
            return FirstJobs(found.jobs, found.more, None)
        looked_at += part.limit
        part, now = following, time.monotonic()
        # The next step is twice as long.
        if now + 2 * (now - began) > end:
            return FirstJobs(jobs, True, looked_at)
