"""The command line: its arguments in, its output and exit code back."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jobledger.infra.cli import main

PROGRAM = str(Path(sys.executable).parent / "jobledger")
CHILD_TIMEOUT_SECONDS = 120

Done = subprocess.CompletedProcess[str]


class Cli:
    """`jobledger` on one ledger: in this process, or in a child process where a test needs one."""

    def __init__(self, dsn: str, ledger: str, **environment: str) -> None:
        self.environment = os.environ | {
            "JOBLEDGER_DSN": dsn,
            "JOBLEDGER_LEDGER": ledger,
            "JOBLEDGER_PROJECT": "p",
            "NO_COLOR": "1",
            **environment,
        }
        self.command = [PROGRAM]

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What a command prints; it must exit with that code."""
        done = self.run(*arguments)
        assert done.returncode == code, done.stderr
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments))

    def run(self, *arguments: str) -> Done:
        """Runs a command in this process, which saves a second of loading."""
        return run_main(self.environment, *arguments)

    def child(self, *arguments: str) -> Done:
        """Runs a command in a child process: for tests of file descriptors, signals or exits."""
        return subprocess.run(
            [*self.command, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=CHILD_TIMEOUT_SECONDS,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.command, *arguments], env=self.environment, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


def run_main(environment: dict[str, str], *arguments: str) -> Done:
    """`jobledger` with these arguments, with this environment and no other, and with pipes."""
    out, err = _pipe(), _pipe()
    code: object = 0
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - set(environment):
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr("sys.argv", [PROGRAM, *arguments])
        patch.setattr("sys.stdin", _pipe())
        patch.setattr("sys.stdout", out)
        patch.setattr("sys.stderr", err)
        try:
            main()
        except SystemExit as end:
            code = end.code
    returned = code if isinstance(code, int) else int(code is not None)
    return Done([*arguments], returned, _text(out), _text(err))


def _pipe() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _text(written: io.TextIOWrapper) -> str:
    written.flush()
    buffer = written.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()
