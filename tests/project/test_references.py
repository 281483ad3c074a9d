"""The references of the command line, HTTP, Python and SQL are those of the code."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.checkout import ROOT


@pytest.mark.slow
def test_references_are_those_of_the_code(dsn: str) -> None:
    checked = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "references"), "--check"],
        env=os.environ | {"JOBLEDGER_DSN": dsn}, capture_output=True, text=True,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
