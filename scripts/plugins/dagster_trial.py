"""Runs of Dagster, ticks of its sensors, and what the ledger then has of them."""

import tempfile

from dagster import (
    DagsterInstance,
    Definitions,
    ReexecutionOptions,
    build_sensor_context,
    execute_job,
    job,
    op,
    reconstructable,
)
from jobledger import Ledger
from jobledger.infra.plugins.dagster import run_sensors


@op
def works() -> int:
    """Returns a number."""
    return 1


@op
def fails() -> None:
    """Raises an error."""
    raise ValueError("out of memory")


@job
def daily() -> None:
    """One step, which works."""
    works()


@job
def broken() -> None:
    """One step, which fails."""
    fails()


def main() -> None:
    """Raises AssertionError if the histories are not those of the runs."""
    definitions = Definitions(jobs=[daily, broken], sensors=run_sensors("trial"))
    repository = definitions.get_repository_def()
    with tempfile.TemporaryDirectory() as folder, DagsterInstance.local_temp(folder) as instance:
        cursors: dict[str, str | None] = {}

        def tick() -> None:
            for sensor in repository.sensor_defs:
                context = build_sensor_context(
                    instance=instance,
                    cursor=cursors.get(sensor.name),
                    repository_def=repository,
                    sensor_name=sensor.name,
                )
                cursors[sensor.name] = sensor.evaluate_tick(context).cursor

        # What was there before a sensor's first tick is not its business.
        tick()
        ran = {
            name: repository.get_job(name)
            .execute_in_process(instance=instance, raise_on_error=False)
            .run_id
            for name in ("daily", "broken")
        }
        again = ReexecutionOptions(parent_run_id=ran["broken"])
        with execute_job(reconstructable(broken), instance, reexecution_options=again) as retried:
            ran["retried"] = retried.run_id
        for _ in range(4):
            tick()
    with Ledger.open() as ledger:
        for name, id_ in ran.items():
            print(name, *[event.type for event in ledger.history(f"projects/trial/jobs/{id_}")])
        states = {
            name: ledger.get(f"projects/trial/jobs/{id_}").state.name for name, id_ in ran.items()
        }
        assert states == {"daily": "SUCCEEDED", "broken": "FAILED", "retried": "FAILED"}, states
        parent = f"projects/trial/jobs/{ran['broken']}"
        retry = ledger.get(f"projects/trial/jobs/{ran['retried']}")
        assert (retry.parents, retry.root) == ([parent], parent)
        assert "Contradicted" not in {event.type for event in ledger.events(follow=False)}


if __name__ == "__main__":
    main()
