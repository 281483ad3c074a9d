"""The wheel, in an environment of its own, outside the checkout."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from tests.checkout import ROOT
from tests.project.installed import build_wheel, install_wheel, run

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
    wheel = build_wheel(tmp_path)
    programs = install_wheel(wheel, tmp_path / "fresh", "grpc")
    python, jobledger = str(programs / "python"), str(programs / "jobledger")
    use = partial(run, folder=tmp_path, JOBLEDGER_DSN=dsn, JOBLEDGER_LEDGER=f"wheel_{os.getpid()}")

    assert "is ready" in use(jobledger, "init")
    assert use(python, "-c", USE) == "RUNNING projects/p/jobs/x\n"
    assert "all rows match" in use(jobledger, "verify")
    use(python, "-c", "import jobledger.infra.grpc.serve")
    listed = use(python, "-m", "zipfile", "-l", str(wheel))
    shipped = {line.split()[0] for line in listed.splitlines()[1:]}
    web = [
        file for file in (ROOT / "infra" / "web").rglob("*.*") if file.suffix not in (".pyc", ".md")
    ]
    files = [*(ROOT / "infra").rglob("*.sql"), *(ROOT / "projections").rglob("*.sql"), *web]
    for file in [*files, ROOT / "infra" / "grpc" / "google.binpb"]:
        assert f"jobledger/{file.relative_to(ROOT)}" in shipped
    assert not [name for name in shipped if name.startswith("tests/")]
