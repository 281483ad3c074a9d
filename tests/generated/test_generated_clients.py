"""Clients generated from the OpenAPI document: typed reports, feed and reads of the past."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.checkout import ROOT
from tests.http.test_http import document
from tests.servers import Server

GENERATORS = ROOT / ".venv" / "clients"
NODE = GENERATORS / "node" / "node_modules"


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**os.environ, **env},
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def described(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's OpenAPI document, in a folder."""
    path = tmp_path_factory.mktemp("openapi") / "openapi.json"
    path.write_text(json.dumps(document(server)))
    return path


@pytest.fixture(scope="module")
def client(described: Path) -> Iterator[Any]:
    """Generates the package by openapi-python-client, which must give no warnings."""
    if not (GENERATORS / "python").exists():
        pytest.skip("openapi-python-client is not here: run scripts/clients")
    folder = described.parent / "made_client"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    message = run(
        sys.executable, "-m", "openapi_python_client", "generate", "--path", described,
        "--output-path", folder, "--meta", "none",
        cwd=described.parent, PYTHONPATH=str(GENERATORS / "python"), PATH=path,
    )  # fmt: skip
    assert "warning" not in message.lower(), message
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(described.parent))
        # The generated code needs attrs, which the generator has.
        patch.syspath_prepend(str(GENERATORS / "python"))
        yield importlib.import_module("made_client")


def call(client: Any, at: Any, module: str, *names: str, **asked: Any) -> Any:
    """Makes a call, and returns its answer in the generated type; fails for an ErrorJson."""
    function = importlib.import_module(f"made_client.api.{module}").sync
    answer = function(*names, client=at, **asked)
    assert type(answer).__module__.startswith("made_client.models."), answer
    return answer


@pytest.mark.slow
def test_python_reports_follows_and_looks_back_with_types(
    client: Any, server: Server, project: str
) -> None:
    models = importlib.import_module("made_client.models")
    name = f"projects/{project}/jobs/typed"
    with client.Client(base_url=server.url) as at:
        labels = models.CreateJobRequestLabels.from_dict({"team": "a"})
        made = call(
            client, at, "commands.create_ledger_v1_name_create_post", name,
            body=models.CreateJobRequest(labels=labels),
        )  # fmt: skip
        assert (made.job.state, made.job.labels.to_dict()) == ("QUEUED", {"team": "a"})
        call(client, at, "reports.started_ledger_v1_name_started_post", name)
        ended = call(
            client, at, "reports.failed_ledger_v1_name_failed_post", name,
            body=models.FailedReport(error=models.Status(code=8, message="out of memory")),
        )  # fmt: skip
        assert (ended.job.error_message, ended.job.end_time.tzinfo is not None) == (
            "out of memory",
            True,
        )

        past = call(client, at, "reading.job_ledger_v1_name_get", name, as_of="v2")
        assert (past.state, past.end_time, past.clock) == ("RUNNING", None, "recorded")
        history = call(client, at, "reading.history_ledger_v1_name_events_get", name)
        assert [event.type_ for event in history.events] == ["Created", "Started", "Failed"]
        after = made.events[0].position - 1
        feed = call(client, at, "reading.events_ledger_v1_events_get", after=after)
        assert [e.version for e in feed.events if e.name == name] == [1, 2, 3]
        filter_ = f"project = {project}"
        page = call(client, at, "reading.jobs_ledger_v1_jobs_get", filter_=filter_)
        assert [job.name for job in page.jobs] == [name]
        counted = call(client, at, "reading.count_ledger_v1_jobs_count_get", filter_=filter_)
        assert [(c.value, c.count) for c in counted.counts] == [("FAILED", 1)]


@pytest.mark.slow
def test_python_gets_errors_and_googles_answers_with_types(
    client: Any, server: Server, project: str
) -> None:
    with client.AuthenticatedClient(base_url=server.url, token="none is needed") as at:
        refused = call(client, at, "reading.job_ledger_v1_name_get", f"projects/{project}/jobs/no")
        assert (refused.error.code, refused.error.status) == (404, "NOT_FOUND")
        server.ledger.create(f"projects/{project}/jobs/j")
        got = call(client, at, "ml.get_v_1_ml_projects_jobs_get", project, "j")
        assert (got.job_id, got.state) == ("j", "QUEUED")


@pytest.mark.slow
def test_typescript_reports_follows_and_looks_back_with_types(
    server: Server, described: Path, project: str, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if node is None or not NODE.exists():
        pytest.skip("Node, or openapi-typescript, is not here: run scripts/clients")
    run(
        node,
        NODE / "openapi-typescript/bin/cli.js",
        described,
        "-o",
        tmp_path / "api.d.ts",
        cwd=tmp_path,
    )
    shutil.copy(Path(__file__).parent / "drive.ts", tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    options = (
        "--strict --noUncheckedIndexedAccess --target es2022 --module nodenext --lib es2022,dom"
    )
    (tmp_path / "node.d.ts").write_text("declare const process: { argv: string[] };")
    run(
        node, NODE / "typescript/bin/tsc", *options.split(), "drive.ts", "node.d.ts", cwd=tmp_path
    )  # fmt: skip
    body = run(node, "drive.js", server.url, f"projects/{project}/jobs/typed", cwd=tmp_path)
    assert json.loads(body) == {
        "created": "QUEUED", "ended": "out of memory", "past": "RUNNING",
        "states": ["QUEUED", "RUNNING", "FAILED"], "seen": ["Created", "Started", "Failed"],
    }  # fmt: skip
