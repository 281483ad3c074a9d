"""Fixtures of tests that sign a log themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jobledger.infra import Ledger


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without the machine's keys."""
    monkeypatch.setenv("JOBLEDGER_HOME", str(tmp_path))
    monkeypatch.delenv("JOBLEDGER_SIGNING_KEY", raising=False)
    monkeypatch.delenv("JOBLEDGER_SEAL", raising=False)
    return tmp_path


@pytest.fixture
def quiet(
    home: Path, dsn: str, ledger_name: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Ledger]:
    """A ledger that only the test signs."""
    monkeypatch.setenv("JOBLEDGER_SEAL", "false")
    with Ledger.open(dsn, ledger_name) as opened:
        yield opened
