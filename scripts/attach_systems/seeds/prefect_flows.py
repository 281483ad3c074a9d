"""Flows of Prefect that work, fail, are tried again, run others, and are changed by hand."""

import asyncio
from contextlib import suppress

from prefect import flow, get_client, task
from prefect.runtime import flow_run, task_run
from prefect.states import Cancelled, Cancelling, Completed, Failed, Paused, Running, Scheduled

ROUNDS = 3


@task
def loads(number: int) -> int:
    return number


@task(retries=1, retry_delay_seconds=0)
def flaky(number: int) -> int:
    if task_run.run_count < 2:
        raise ValueError("not yet")
    return number


@task
def breaks(number: int) -> int:
    raise ValueError(f"card declined: {number}")


@flow
def etl(number: int) -> None:
    loads(number)
    flaky(number)


@flow
def bad(number: int) -> None:
    loads(number)
    breaks(number)


@flow
def child(number: int) -> None:
    loads(number)


@flow
def parent(number: int) -> None:
    child(number)
    child(number + 1)


@flow(retries=1, retry_delay_seconds=0)
def again(number: int) -> None:
    if flow_run.run_count < 2:
        raise RuntimeError(f"once more: {number}")


async def change_by_hand() -> None:
    """Sets states from outside, as people do in Prefect's pages."""
    marked = (
        Running(), Failed(message="marked failed"), Completed(message="marked completed"), Scheduled(), Running(),
        Paused(timeout_seconds=60), Running(), Cancelling(), Cancelled(),
    )  # fmt: skip
    async with get_client() as client:
        for states in ([Cancelled()], marked):
            run = await client.create_flow_run(etl, parameters={"number": 1})
            for state in states:
                await client.set_flow_run_state(run.id, state, force=True)
        deleted = await client.create_flow_run(etl, parameters={"number": 1})
        await client.delete_flow_run(deleted.id)


if __name__ == "__main__":
    for number in range(ROUNDS):
        for each in (etl, bad, parent, again):
            with suppress(ValueError):
                each(number)
    asyncio.run(change_by_hand())
