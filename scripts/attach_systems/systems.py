"""Dagster, Prefect and DBOS from PyPI, and River: how each is installed, run on PostgreSQL, and given work."""

import json
import shutil
import time
import urllib.request
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from scripts.installed import Installed, answers, free_port, until

SEEDS = Path(__file__).parent / "seeds"
DAGSTER_YAML = """
storage: {postgres: {postgres_url: "URL"}}
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config: {max_concurrent_runs: 2, dequeue_interval_seconds: 1}
telemetry: {enabled: false}
"""
LAUNCH = """mutation($p: ExecutionParams!) { launchRun(executionParams: $p) {
    ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
AGAIN = """mutation($p: ReexecutionParams!) { launchRunReexecution(reexecutionParams: $p) {
    ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
TERMINATE = """mutation($run: String!, $policy: TerminateRunPolicy) {
    terminateRun(runId: $run, terminatePolicy: $policy) { __typename } }"""
DELETE = "mutation($run: String!) { deletePipelineRun(runId: $run) { __typename } }"
STATUS = "query($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
ENDED = ("SUCCESS", "FAILURE", "CANCELED")


class Noted(NamedTuple):
    """A table whose states a trigger notes: SQL for a row's history, its state, and the time of that."""

    table: str
    key: str
    state: str
    time: str = "clock_timestamp()"
    deleted: bool = True
    """Whether the mapping has an event for a deleted row."""


class System:
    """One of the systems, in a folder of its own, on a database."""

    name: str
    installed: Installed
    noted: tuple[Noted, ...]

    def __init__(self, folder: Path, host: Path) -> None:
        """`host` is the folder of the server's socket."""
        self.folder = folder
        self.dsn = f"host={host} user=postgres dbname={self.name}"
        self.url = f"postgresql://postgres@/{self.name}?host={host}"
        self.variables = {"DO_NOT_TRACK": "1"}

    def command(self, *arguments: str) -> None:
        """Runs a program of its own; it must succeed."""
        self.installed.run(arguments, self.variables, SEEDS, self.folder / "commands.log")

    def started(self, *arguments: str) -> AbstractContextManager[Any]:
        """A program that runs meanwhile; it is killed at the end, with all that it started."""
        return self.installed.started(arguments, self.variables, SEEDS, self.folder / "server.log")

    def prepare(self) -> None:
        """Makes its tables."""

    def work(self) -> None:
        """Lets all happen that its mapping has events for."""


class Dbos(System):
    """Workflows that work, fail, call others, wait in a queue, are cancelled, resumed and forked."""

    name = "dbos"
    installed = Installed("dbos", "dbos", "dbos>=3,<4")
    noted = (Noted("dbos.workflow_status", "r.workflow_uuid", "r.status"),)

    def prepare(self) -> None:
        """Makes its tables."""
        self.command("python", "dbos_app.py", self.url, "schema")

    def work(self) -> None:
        """Runs the workflows."""
        self.command("python", "dbos_app.py", self.url)


class Prefect(System):
    """Flows and tasks that work, fail, are tried again, run others, and are changed by hand."""

    name = "prefect"
    installed = Installed("prefect", "prefect", "prefect>=3,<4")
    noted = (
        Noted(
            "flow_run_state", "'flow-run-' || r.flow_run_id",
            "CASE WHEN r.name = 'Retrying' THEN r.name ELSE r.type::text END", "r.timestamp", deleted=False,
        ),
        Noted(
            "task_run_state", "'task-run-' || r.task_run_id",
            "CASE WHEN r.name = 'Retrying' THEN r.name ELSE r.type::text END", "r.timestamp", deleted=False,
        ),
        Noted("flow_run", "'flow-run-' || r.id", "NULL"),
        Noted("task_run", "'task-run-' || r.id", "NULL"),
    )  # fmt: skip

    def prepare(self) -> None:
        """Makes its tables, as its server does when it starts."""
        port = free_port()
        self._api = f"http://127.0.0.1:{port}/api"
        self.variables |= {
            "PREFECT_HOME": str(self.folder),
            "PREFECT_API_DATABASE_CONNECTION_URL": self.url.replace(
                "postgresql", "postgresql+asyncpg"
            ),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_API_URL": self._api,
        }
        self._server = ("prefect", "server", "start", "--port", str(port))
        with self.started(*self._server):
            until(self._serves, "Prefect's API answers")

    def work(self) -> None:
        """Runs the flows; states of tasks come to the server a little later."""
        with self.started(*self._server):
            until(self._serves, "Prefect's API answers")
            self.command("python", "prefect_flows.py")
            time.sleep(10)

    def _serves(self) -> bool:
        return answers(f"{self._api}/health")


class Dagster(System):
    """Runs and steps that work, fail, are tried again, wait in a queue, are terminated and deleted."""

    name = "dagster"
    installed = Installed(
        "dagster", "dagster", "dagster>=1,<2", "dagster-postgres", "dagster-webserver"
    )
    noted = (
        Noted("runs", "r.run_id", "r.status"),
        Noted("event_logs", "r.run_id || '/' || r.step_key", "r.dagster_event_type", deleted=False),
    )

    def prepare(self) -> None:
        """Makes its tables."""
        self.variables["DAGSTER_HOME"] = str(self.folder)
        yaml = DAGSTER_YAML.replace("URL", self.url.replace("postgresql", "postgresql+psycopg2"))
        (self.folder / "dagster.yaml").write_text(yaml)
        self.command("dagster", "instance", "migrate")

    def work(self) -> None:
        """Launches runs through its web server, with its daemon."""
        port = free_port()
        self._api = f"http://127.0.0.1:{port}"
        with self.started("dagster", "dev", "-f", "dagster_jobs.py", "-p", str(port)):
            until(lambda: answers(f"{self._api}/server_info"), "Dagster's web server answers")
            self._drive()

    def _drive(self) -> None:
        good, bad = [self._launch("good") for _ in range(2)], self._launch("bad")
        for run in (*good, bad):
            self._until(run, *ENDED)
        again = self._ask(AGAIN, p={"parentRunId": bad, "strategy": "FROM_FAILURE"})
        self._until(again["launchRunReexecution"]["run"]["runId"], *ENDED)
        long = self._launch("long")
        self._until(long, "STARTED")
        self._ask(TERMINATE, run=long)
        self._until(long, *ENDED)
        marked = self._launch("long")
        self._ask(TERMINATE, run=marked, policy="MARK_AS_CANCELED_IMMEDIATELY")
        self._until(marked, *ENDED)
        self._ask(DELETE, run=good[0])

    def _launch(self, job: str) -> str:
        selector = {
            "repositoryLocationName": "dagster_jobs.py",
            "repositoryName": "__repository__",
            "jobName": job,
        }
        tags = [{"key": "user", "value": "ada"}]
        asked = {"selector": selector, "executionMetadata": {"tags": tags}, "runConfigData": {}}
        return self._ask(LAUNCH, p=asked)["launchRun"]["run"]["runId"]

    def _until(self, run: str, *states: str) -> None:
        until(
            lambda: self._ask(STATUS, run=run)["runOrError"]["status"] in states,
            f"{run} is in {states}",
        )

    def _ask(self, query: str, **variables: Any) -> Mapping[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self._api}/graphql", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["data"]


class OnPath(Installed):
    """A program that the user has on the PATH."""

    def __init__(self, program: str) -> None:
        """`program` is its name."""
        self.bin = Path(shutil.which(program) or "missing").parent
        self._program = program

    def install(self) -> None:
        """Checks that it is there."""
        if not (self.bin / self._program).exists():
            raise SystemExit(
                f"{self._program} is not on the PATH: it is a program of yours with River's client, which is"
                " called with a connection string and `schema` to make River's tables, and without"
                " `schema` to run jobs"
            )


class River(System):
    """Jobs of a River client: River is a library for Go, so the client is the user's program."""

    name = "river"
    installed = OnPath("river-jobs")
    noted = (
        Noted(
            "river_job", "'river-' || r.id",
            "CASE WHEN r.state = 'running' AND r.metadata ? 'cancel_attempted_at' THEN 'cancelling' ELSE r.state::text END"
            " || ' ' || r.attempt",
        ),
    )  # fmt: skip

    def prepare(self) -> None:
        """Makes its tables."""
        self.command("river-jobs", self.url, "schema")

    def work(self) -> None:
        """Runs the jobs."""
        self.command("river-jobs", self.url)


SYSTEMS: dict[str, type[System]] = {each.name: each for each in (Dagster, Prefect, Dbos, River)}
