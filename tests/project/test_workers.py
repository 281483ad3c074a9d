"""A process of a test run that dies fails the test that it ran, and ends the run."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import ROOT

DIES = """
import os, signal

def test_dies(): os.kill(os.getpid(), signal.SIGKILL)

def test_is_not_run(): pass
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_process_that_dies_fails_its_test_and_interrupts_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_1.py").write_text("def test_passes(): pass")
    (tmp_path / "test_2.py").write_text(DIES)
    settings: list[str | Path] = [
        "-c",
        ROOT / "pyproject.toml",
        "--rootdir",
        tmp_path,
        "-p",
        "tests.workers",
    ]
    workers = ["-n", "1", "--dist", "loadfile", "--no-loadscope-reorder"]
    words = [sys.executable, "-m", "pytest", *settings, *workers, tmp_path]
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == pytest.ExitCode.INTERRUPTED, run.stdout
    assert "crashed while running 'test_2.py::test_dies'" in run.stdout
    assert "1 failed, 1 passed" in run.stdout
