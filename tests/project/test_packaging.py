"""The wheel, in an environment of its own, outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import ROOT

USE = """
import jobledger.infra, sys
from jobledger.infra import Ledger
assert sys.prefix in jobledger.infra.__file__, jobledger.infra.__file__
from jobledger.infra.google.wire import messages
for api in ("ml_v1", "aiplatform_v1", "datalabeling_v1beta1"):
    messages.load(api)
with Ledger.open() as ledger:
    ledger.create("projects/p/jobs/x", {"team": "a"})
    ledger.started("projects/p/jobs/x")
    print(ledger.get("projects/p/jobs/x").state.name, ledger.list("state = RUNNING")[0].name)
"""


@pytest.mark.slow
def test_the_wheel_installs_and_runs_outside_the_checkout(tmp_path: Path, dsn: str) -> None:
    def run(*command: str, **environment: str) -> str:
        clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=clean | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    uv = str(Path(sys.executable).parent / "uv")
    build = (
        "build",
        "--wheel",
        "--no-build-isolation",
        "--python",
        sys.executable,
        "--out-dir",
        str(tmp_path),
    )
    run(uv, *build, str(ROOT))
    wheel = next(tmp_path.glob("*.whl"))
    run(uv, "venv", "--python", sys.executable, "fresh")
    python = str(tmp_path / "fresh" / "bin" / "python")
    requirements = str(ROOT / "requirements.txt")
    run(uv, "pip", "install", "--python", python, "--constraint", requirements, str(wheel))

    jobledger = str(tmp_path / "fresh" / "bin" / "jobledger")
    ledger = {"JOBLEDGER_DSN": dsn, "JOBLEDGER_LEDGER": f"wheel_{os.getpid()}"}
    assert "is ready" in run(jobledger, "init", **ledger)
    assert run(python, "-c", USE, **ledger) == "RUNNING projects/p/jobs/x\n"
    assert "all as shown" in run(jobledger, "verify", **ledger)
    listed = run(python, "-m", "zipfile", "-l", str(wheel))
    shipped = {line.split()[0] for line in listed.splitlines()[1:]}
    web = [file for file in (ROOT / "infra" / "web").rglob("*.*") if file.suffix != ".pyc"]
    for file in [*(ROOT / "infra").rglob("*.sql"), *(ROOT / "projections").rglob("*.sql"), *web]:
        assert f"jobledger/{file.relative_to(ROOT)}" in shipped
    assert not [name for name in shipped if name.startswith("tests/")]
