"""The results of reads of many jobs: pages and counts."""

from typing import NamedTuple

from jobledger.domain.job import Job
from jobledger.domain.values.moments import Moment


class Page(NamedTuple):
    """One page of jobs (AIP-158).

    Attributes:
        jobs: The jobs of the page, in the order asked for.
        moment: The moment as of which all pages are read.
        next_page_token: The `page_token` of the next page; "" after the last page.
    """

    jobs: list[Job]
    moment: Moment
    next_page_token: str


class Counts(NamedTuple):
    """The number of jobs for each value.

    Attributes:
        moment: The moment as of which the jobs are counted.
        counts: The number of jobs by value, the most frequent first; None is for jobs without a
            value.
    """

    moment: Moment
    counts: dict[str | None, int]
