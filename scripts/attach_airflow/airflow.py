"""Airflow from PyPI, unmodified, with its metadata in a database of the trial's server."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
BIN = ROOT / ".venv-airflow" / "bin"
TIMEOUT_SECONDS = 1_200.0
"""As long as one step may take on a machine that is busy with other work."""


def install() -> None:
    """Installs Airflow into .venv-airflow, the first time."""
    if not (BIN / "airflow").exists():
        uv = str(ROOT / ".venv" / "bin" / "uv")
        subprocess.run([uv, "venv", "--quiet", str(BIN.parent)], check=True)
        packages = [
            "apache-airflow>=3,<4",
            "apache-airflow-providers-openlineage",
            "psycopg2-binary",
            "asyncpg",
        ]
        python = str(BIN / "python")
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *packages], check=True)


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(condition: Callable[[], object], what: str) -> None:
    """Waits until the condition holds; raises TimeoutError naming what was waited for."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {TIMEOUT_SECONDS:.0f} s")
        time.sleep(0.5)


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
        self.environment = os.environ | {
            f"AIRFLOW__{key}": value for key, value in settings.items()
        }
        self.environment |= {
            "AIRFLOW_HOME": str(self.home),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }

    def command(self, *arguments: str) -> None:
        """Runs a command of Airflow's; it must succeed."""
        with (self.home / "commands.log").open("ab") as log:
            subprocess.run(
                ["airflow", *arguments], env=self.environment, check=True, stdout=log, stderr=log
            )

    @contextmanager
    def started(self, program: str) -> Iterator[subprocess.Popen[bytes]]:
        """One of Airflow's programs; it is killed at the end, with all that it started."""
        with (self.home / f"{program}.log").open("ab") as log:
            process = subprocess.Popen(
                ["airflow", program],
                env=self.environment,
                start_new_session=True,
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

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
