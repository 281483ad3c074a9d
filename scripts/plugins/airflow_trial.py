"""A dag run of Airflow with the plug-in in its folder, and what the ledger then has of it."""

import os
import subprocess
import sys
from pathlib import Path

from jobledger import Ledger

DAG = """
from datetime import datetime, timedelta

from airflow.sdk import dag, task


@dag(start_date=datetime(2026, 1, 1), schedule=None)
def trial():
    @task
    def works():
        return 1

    @task
    def fails():
        raise ValueError("out of memory")

    works()
    fails()


found = trial()
if __name__ == "__main__":
    found.test()
"""
PLUGIN = "from jobledger.infra.plugins.airflow import JobLedgerPlugin  # noqa: F401\n"


def main() -> None:
    """Raises AssertionError if the histories are not those of the run."""
    home = Path(os.environ["TRIAL_FOLDER"])
    for name, text in (("dags/trial.py", DAG), ("plugins/jobledger_plugin.py", PLUGIN)):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "JOBLEDGER_PROJECT": "trial",
    }
    airflow = [sys.executable, "-m", "airflow"]
    subprocess.run([*airflow, "db", "migrate"], env=environment, check=True, capture_output=True)
    subprocess.run(
        [*airflow, "dags", "reserialize"], env=environment, check=False, capture_output=True
    )
    subprocess.run([sys.executable, str(home / "dags/trial.py")], env=environment, check=False)
    with Ledger.open() as ledger:
        found = {job.name.rsplit("/", 1)[1]: job for job in ledger.scan("")}
        for id_, job in found.items():
            print(id_, *[event.type for event in ledger.history(job.name)], sep="  ")
        states = sorted(str(job.state and job.state.name) for job in found.values())
        assert states == ["FAILED", "FAILED", "SUCCEEDED"], states
        [run] = [job for job in found.values() if not job.parents]
        below = {child.job.labels["task"]: child.job for child in ledger.tree(run.name).children}
        assert below["works"].run_ids == ("try-1",)
        assert "out of memory" in (below["fails"].error_message or "")


if __name__ == "__main__":
    main()
