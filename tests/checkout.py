"""The files of the checkout, and those beside it that some tests need."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
SHARED = ROOT.parent / "shared"


def shared(path: str) -> Path:
    """A file beside the checkout; its tests skip elsewhere, but not where CI says it must be there."""
    found = SHARED / path
    if not found.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have shared/{path}")
        pytest.skip(f"needs shared/{path}")
    return found
