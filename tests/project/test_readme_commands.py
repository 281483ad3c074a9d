"""Every block of the README runs as it is printed there, in their order, on one ledger, from the wheel."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkout import ROOT
from tests.project.installed import build_wheel, clean_environment, install_wheel
from tests.servers import Server, new_server

BLOCK = re.compile(r"```(sh|python|json)\n(.*?)```", re.DOTALL)
ELSEWHERE = ("scripts/", "pip install")
"""What such lines do is done: the wheel is installed."""
EXTRAS = ("embedded", "server", "grpc", "plot", "evaluation", "export")
CLIENT = "google-api-python-client"
"""What the example of Google's client imports."""
PRELUDE = """
set -e
# What runs until it is stopped is stopped, once it has had time to fail.
jobledger() {
    case "$*" in
        *--once*) command jobledger "$@" ;;
        "events --follow" | serve* | scheduler* | witness*) stopped jobledger "$@" ;;
        *) command jobledger "$@" ;;
    esac
}
stopped() { timeout --preserve-status 4 "$@" || [ $? = 143 ] || { echo "it ended by itself" >&2; return 1; }; }
"""
TRACE = "{time},,6251812952,{event},user,0,job,logical\n"
"""A row of the trace's table of job events, as it is published."""


def blocks() -> list[tuple[str, str]]:
    """The language and the text of each, without lines that other tests run."""
    found = BLOCK.findall((ROOT / "README.md").read_text())
    return [
        (
            language,
            "".join(line for line in text.splitlines(True) if not line.startswith(ELSEWHERE)),
        )
        for language, text in found
    ]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The programs of the installed wheel."""
    (tmp_path / "wheel").mkdir()
    return install_wheel(
        build_wheel(tmp_path / "wheel"), tmp_path / "installed", *EXTRAS, also=[CLIENT]
    )


@pytest.fixture
def place(tmp_path: Path, dsn: str, programs: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder with what the blocks take for granted, and the environment of a server."""
    (tmp_path / "train.py").write_text("print('step 1000')\n")
    rows = "".join(
        TRACE.format(time=600_000_000 + n, event=event) for n, event in enumerate((0, 1, 4))
    )
    (tmp_path / "part-00000.csv.gz").write_bytes(gzip.compress(rows.encode()))
    with new_server(dsn) as server:
        variables = clean_environment() | environment(server, tmp_path, programs)
        named = [str(programs / "jobledger"), "init", "--origin", "example.com/jobs"]
        subprocess.run(named, env=variables, check=True, capture_output=True)
        yield tmp_path, variables


def environment(server: Server, folder: Path, programs: Path) -> dict[str, str]:
    return {
        "JOBLEDGER_DSN": server.dsn,
        "JOBLEDGER_LEDGER": server.ledger.name,
        "JOBLEDGER_PROJECT": "demo",
        "JOBLEDGER_HOME": str(folder / "home"),
        "LEDGER_URL": server.url,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
    }


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_block_runs_as_it_is_printed(
    place: tuple[Path, dict[str, str]], programs: Path
) -> None:
    folder, variables = place
    failed = []
    for language, text in blocks():
        if language == "json":  # What the blocks after it call by that name.
            (folder / "evaluation.json").write_text(text)
            continue
        words = [str(programs / "python"), "-c", text]
        if language == "sh":
            words = ["bash", "-c", PRELUDE + text]
        done = subprocess.run(
            words, cwd=folder, env=variables, capture_output=True, text=True, timeout=120, check=False
        )  # fmt: skip
        if done.returncode:
            failed.append(f"{text}\n{done.stdout[-500:]}\n{done.stderr[-700:]}")
    assert failed == [], "\n\n".join(failed)
