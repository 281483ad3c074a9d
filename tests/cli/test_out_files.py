"""Files that commands write and read: `-` is standard output, and a missing file is a wrong argument."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobledger.infra import Ledger

from tests.command_line import Cli

NAME = "projects/p/jobs/x"


@pytest.fixture
def signing(cli: Cli, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A ledger with a failed job, and a home with a key to sign with."""
    monkeypatch.chdir(tmp_path)
    cli.environment["JOBLEDGER_HOME"] = str(tmp_path / "home")
    cli.environment.pop("JOBLEDGER_SEAL", None)
    cli("init")
    ledger.create(NAME)
    ledger.failed(NAME)
    return cli


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "begin"),
    [
        (["report", "failures", "--certify", "-"], "{"),
        (["report", "failures", "--plot", "-"], "<?xml"),
        (["export", "--to", "-"], '{"jobledger":"history"'),
        (["receipt", "x", "--to", "-"], "c2sp.org/tlog-proof@v1"),
    ],
)
def test_a_dash_is_standard_output(
    signing: Cli, tmp_path: Path, arguments: list[str], begin: str
) -> None:
    assert signing(*arguments).startswith(begin)

    assert not (tmp_path / "-").exists()


def test_jobs_are_not_pruned_after_an_export_to_standard_output(signing: Cli) -> None:
    refused = signing.run("prune", "--before", "now", "--to", "-")

    assert refused.returncode == 2
    assert "must be a file" in refused.stderr
    assert len(signing.json("list", "--json")) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "--proof", "--key", "/nowhere/key"],
        ["verify-receipt", "/nowhere/receipt", "--key", "/nowhere/key"],
        ["report", "failures", "--certify", "/nowhere/report"],
        ["receipt", "x", "--to", "/nowhere/receipt"],
    ],
)
def test_a_file_that_cannot_be_opened_exits_as_a_wrong_argument(
    signing: Cli, arguments: list[str]
) -> None:
    refused = signing.run(*arguments)

    assert refused.returncode == 2
    assert "/nowhere/" in refused.stderr
