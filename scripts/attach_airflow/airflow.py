"""Airflow from PyPI, unmodified, with its metadata in a database of the trial's server."""

import json
import subprocess
import urllib.error
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from scripts.installed import Installed, free_port

INSTALLED = Installed(
    "airflow", "airflow",
    "apache-airflow>=3,<4", "apache-airflow-providers-openlineage", "psycopg2-binary", "asyncpg",
)  # fmt: skip


class Airflow:
    """One installation: its folder, its database, its programs and its API."""

    def __init__(self, folder: Path, dag: Path, lineage_url: str) -> None:
        """`folder` holds the server's socket; Airflow's home is made in it. OpenLineage events go to `lineage_url`."""
        self.dsn = f"host={folder} user=postgres dbname=airflow"
        self.home = folder / "home"
        (self.home / "dags").mkdir(parents=True)
        (self.home / "dags" / "dag.py").write_text(dag.read_text())
        self._url = f"http://localhost:{(port := free_port())}"
        self._token = ""
        settings = {
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__EXECUTOR": "LocalExecutor",
            "CORE__PARALLELISM": "3",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "CORE__EXECUTION_API_SERVER_URL": f"{self._url}/execution/",
            "DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://postgres@/airflow?host={folder}",
            # Tasks of the scheduler that is killed count as lost after a while, not after five minutes.
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "5",
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
            "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
            "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
            "OPENLINEAGE__TRANSPORT": json.dumps({"type": "http", "url": lineage_url}),
            "OPENLINEAGE__NAMESPACE": "airflow",
            # Its default of 10 seconds loses events on a busy machine.
            "OPENLINEAGE__EXECUTION_TIMEOUT": "120",
            "API__PORT": str(port),
            "API__WORKERS": "1",
        }
        self._variables = {
            "AIRFLOW_HOME": str(self.home),
            **{f"AIRFLOW__{key}": value for key, value in settings.items()},
        }

    def command(self, *arguments: str) -> None:
        """Runs a command of Airflow's; it must succeed."""
        INSTALLED.run(
            ("airflow", *arguments), self._variables, self.home, self.home / "commands.log"
        )

    def started(self, program: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
        """One of Airflow's programs; it is killed at the end, with all that it started."""
        return INSTALLED.started(
            ("airflow", program), self._variables, self.home, self.home / f"{program}.log"
        )

    def serves(self) -> bool:
        """Whether its API answers; takes a token then."""
        try:
            self._token = self.call("GET", "/auth/token")["access_token"]
        except OSError:
            return False
        return True

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of its API."""
        headers = {"content-type": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(
                f"{method} {path}: {error.code} {error.read().decode()[:500]}"
            ) from None

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What a query of its database gives."""
        import psycopg

        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    def execute(self, statements: str) -> None:
        """Runs statements in its database."""
        import psycopg

        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(statements.encode())
