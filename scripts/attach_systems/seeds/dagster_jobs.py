"""Jobs of Dagster: one works at the second try of a step, one fails, one waits until it is terminated."""

import time

from dagster import Definitions, RetryPolicy, job, op


@op
def works() -> None:
    pass


@op
def breaks() -> None:
    raise ValueError("card declined")


@op(retry_policy=RetryPolicy(max_retries=1))
def flaky(context) -> None:
    if context.retry_number == 0:
        raise ValueError("not yet")


@op
def waits() -> None:
    time.sleep(600)


@job
def good() -> None:
    works()
    flaky()


@job
def bad() -> None:
    works()
    breaks()


@job
def long() -> None:
    waits()


defs = Definitions(jobs=[good, bad, long])
