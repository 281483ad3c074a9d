"""The methods of a ledger that run a block, or each call of a function, as a job."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from jobledger.domain.running import HEARTBEAT_SECONDS
from jobledger.infra.programs.heartbeats import Heartbeats
from jobledger.infra.programs.job_function import Function, job_function
from jobledger.infra.programs.run_block import Run, new_run, run_block
from jobledger.infra.read.store import Store


class ProgramStore(Store, Protocol):
    """One ledger, with the heartbeats of the jobs that this process runs."""

    @property
    def heartbeats(self) -> Heartbeats:
        """Renews the leases of running jobs."""


def run(
    ledger: ProgramStore,
    name: str,
    labels: Mapping[str, str] = {},
    spec: Mapping[str, Any] = {},
    *,
    actor: str | None = None,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> AbstractContextManager[Run]:
    """Runs a block as a job: `with ledger.run(name) as run:`.

    The job is created, or a new attempt at it begins, and it is RUNNING while the block runs.
    It ends as SUCCEEDED with `run.output`, as FAILED with the exception that left the block, or
    as CANCELLED by KeyboardInterrupt. If heartbeats stop, a server or scheduler marks the job
    as EXPIRED. An end that cannot be recorded is kept in the spool of this machine, and sent
    later.

    Args:
        ledger: The ledger.
        name: The job's resource name (AIP-122).
        labels: The labels of a new job.
        spec: The configuration of a new job, as a JSON object.
        actor: The user or program that runs it; None is the user and the machine.
        heartbeat_seconds: Seconds between two heartbeats, up to 3600; 0 sends none.

    Returns:
        A context manager that yields the run.

    Raises:
        InvalidFieldError: A value is not accepted.
        LedgerUnavailableError: When the block is entered: the server cannot be reached.

    Examples:
        >>> with ledger.run("projects/demo/jobs/a", {"team": "vision"}) as run:
        ...     run.output = {"accuracy": 0.93}
        >>> job = ledger.get("projects/demo/jobs/a")
        >>> job.state.name, job.output
        ('SUCCEEDED', {'accuracy': 0.93})
    """
    run = new_run(
        ledger,
        ledger.heartbeats,
        name,
        labels,
        spec,
        actor=actor,
        heartbeat_seconds=heartbeat_seconds,
    )
    return run_block(run)


def job(
    ledger: ProgramStore,
    name: str,
    labels: Mapping[str, str] = {},
    spec: Mapping[str, Any] = {},
    *,
    actor: str | None = None,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> Callable[[Function], Function]:
    """Returns a decorator: each call of the function is a run of a job, as a block of `run` is.

    Args:
        ledger: The ledger.
        name: The job's resource name; `{parameter}` in it is the value of the function's
            parameter.
        labels: The labels of a new job.
        spec: The configuration of a new job. A job that begins within another reports it as its
            parent, unless the spec has `parents`.
        actor: The user or program that runs it; None is the user and the machine.
        heartbeat_seconds: Seconds between two heartbeats, up to 3600; 0 sends none.

    Returns:
        The decorator. A dict that the function returns is the job's output.

    Raises:
        InvalidFieldError: The function is of the other form (asyncio), or a value is not
            accepted.

    Examples:
        >>> @ledger.job("projects/demo/jobs/train_{day}")
        ... def train(day):
        ...     return {"accuracy": 0.93}
        >>> train("monday")
        {'accuracy': 0.93}
        >>> ledger.get("projects/demo/jobs/train_monday").state.name
        'SUCCEEDED'
    """
    more = {"actor": actor, "heartbeat_seconds": heartbeat_seconds}
    return job_function(name, lambda found: run(ledger, found, labels, spec, **more))  # type: ignore[arg-type]
