"""Makes a fixture of the upgrade test with the installed version: `python -m tests.upgrade.make FOLDER`.

JOBLEDGER_TEST_DSN names a server of the oldest supported PostgreSQL, whose pg_dump is on the PATH.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any, Final

import psycopg
from jobledger.infra import Ledger
from jobledger.infra.cli import main

from tests.upgrade.history import write_ended, write_rest

ORIGIN: Final = "jobledger.test/upgrade"
META_COMMAND: Final = re.compile(r"^\\.*\n", re.MULTILINE)
TIMES: Final = ("2026-06-01T09:31:00Z", "2026-06-01T12:30:00Z", "2026-06-03T00:00:00Z")
TRACE: Final = "0,,1,0,u,2,a,b\n5000000,,1,1,u,2,a,b\n9000000,,1,4,u,2,a,b\n"
JOBS: Final = (
    "projects/old/jobs/deleted",
    "projects/p/evaluationJobs/answered",
    "projects/p/evaluationJobs/evaluated",
    "projects/p/evaluationJobs/stopped",
    "projects/p/jobs/later",
    "projects/p/jobs/misreported",
    "projects/p/jobs/paused",
    "projects/p/jobs/personal_erased",
    "projects/p/jobs/personal_kept",
    "projects/p/locations/l/customJobs/retried",
)
"""Jobs of which everything is asked; `list` and `events` tell of all."""
REPORTS: Final = ("throughput", "queue-time", "run-time", "failures", "concurrency", "attempts")


def run(dsn: str, ledger: str, *arguments: str) -> tuple[int, str]:
    """The exit code of a command of this version, and what it printed."""
    sys.argv = ["jobledger", "--dsn", dsn, "--ledger", ledger, *arguments]
    with redirect_stdout(StringIO()) as printed:
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0), printed.getvalue()
    return 0, printed.getvalue()


def parse(printed: str) -> Any:
    """One JSON document, a list of one a line, or None for nothing."""
    try:
        return json.loads(printed or "null")
    except json.JSONDecodeError:
        return [json.loads(line) for line in printed.splitlines()]


class Maker:
    """A new ledger, and the folder that its fixture is written to."""

    def __init__(self, dsn: str, folder: Path, home: Path) -> None:
        self.dsn, self.folder, self.home = dsn, folder, home
        self.name = f"upgrade_{folder.name}"
        os.environ["JOBLEDGER_HOME"] = str(home)

    def run(self, *arguments: str) -> str:
        """What the command line prints; raises CalledProcessError if it fails."""
        code, printed = run(self.dsn, self.name, *arguments)
        if code:
            raise subprocess.CalledProcessError(code, arguments, printed)
        return printed

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def make(self) -> None:
        self.folder.mkdir(parents=True)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS ledger_{self.name} CASCADE".encode())
        self.run("init", "--origin", ORIGIN)
        self._write()
        self._prove()
        self._answer()
        self._dump()

    def _write(self) -> None:
        with Ledger.open(self.dsn, self.name) as ledger:
            write_ended(ledger)
            time.sleep(0.01)
            old = datetime.now(UTC)
            time.sleep(0.01)
            write_rest(self.dsn, ledger)
        trace = self.home / "trace.csv"
        trace.write_text(TRACE)
        self.run("import", "google-cluster-trace", str(trace), "--kind", "job", "--project", "t")
        self.run("label", "answer", "projects/p/evaluationJobs/asking", "1=cat", "--as", "eve")
        for token in ("reader", "operator"):
            self.run("token", "create", f"{token}-1", "--role", token, "--project", "p")
        self.run("token", "revoke", "reader-1")
        Path(self.file("early.checkpoint")).write_text(self.run("log", "seal"))
        self.run("erase", "user:bob", "--yes")
        self.run("prune", "--before", old.isoformat(), "--to", self.file("pruned.jsonl"))

    def _prove(self) -> None:
        """The log's keys and checkpoint, a receipt, and exports."""
        job = "projects/p/jobs/misreported"
        Path(self.file("checkpoint")).write_text(self.run("log", "seal"))
        (private,) = (self.home / "keys").glob("*.key")
        Path(self.file("signing_key")).write_text(private.read_text())
        keys = json.loads(self.run("log", "show", "--json"))["keys"]
        Path(self.file("key")).write_text("\n".join(keys) + "\n")
        self.run("receipt", job, "--version", "4", "--to", self.file("event.tlog-proof"))
        self.run("export", job, "--to", self.file("job.jsonl"))
        self.run("export", "--to", self.file("all.jsonl"))

    def _answer(self) -> None:
        """What this version answers, for later ones to answer the same."""
        with (
            Ledger.open(self.dsn, self.name) as ledger,
            gzip.open(self.file("answers.json.gz"), "wt") as file,
        ):
            size = ledger.size()
            questions = self._questions(ledger, size)
            answers = [{"arguments": asked, **self._ask(asked)} for asked in questions]
            json.dump(answers, file, indent=0, ensure_ascii=False)

    def _questions(self, ledger: Ledger, size: int) -> list[list[str]]:
        with ledger.connection() as connection:
            middle = connection.execute(
                "SELECT min(recorded_time) FROM events WHERE position > %s", (size // 2,)
            ).fetchone()
        assert middle is not None
        moments = [["--as-of", f"@{size * n // 5}"] for n in range(1, 6)]
        moments += [["--as-of", at, "--clock", "occurred"] for at in TIMES]
        moments += [["--as-of", middle[0].isoformat(), "--clock", "recorded"]]
        every = [[command, *at] for command in ("list", "count") for at in ([], *moments)]
        every = [[*asked, "--json"] for asked in every if asked != ["count"]]
        every += [["show", job, *at, "--json"] for job in JOBS for at in ([], moments[6])]
        every += [["history", job, "--json"] for job in JOBS]
        every += [[asked, job, *moments[4], "--json"] for asked in ("blame", "why") for job in JOBS]
        span = ["--from", TIMES[0], "--to", TIMES[-1]]
        every += [["report", of, *span, "--json"] for of in REPORTS]
        every += [["diff", *span, "--json"], ["events"]]
        every += [["bisect", "--count", "running > 2", *span, "--json"]]
        every += [["evaluations", "projects/p/evaluationJobs/evaluated", "--json"]]
        every += [["label", "tasks", "projects/p/evaluationJobs/asking", "--json"]]
        return [*every, ["token", "list", "--json"], ["log", "show", "--json"]]

    def _ask(self, asked: list[str]) -> dict[str, Any]:
        code, printed = run(self.dsn, self.name, *asked)
        answer = parse(printed)
        if isinstance(answer, dict) and asked[0] == "report":
            del answer["asOf"]  # When it was asked.
        return {"exit": code, "answer": answer}

    def _dump(self) -> None:
        """The schema and its rows as SQL; lines that only psql understands are left out."""
        command = ["pg_dump", "--dbname", self.dsn, "--schema", f"ledger_{self.name}"]
        command += ["--no-owner", "--inserts", "--rows-per-insert=50"]
        dumped = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        with gzip.GzipFile(self.file("ledger.sql.gz"), "wb", mtime=0) as file:
            file.write(META_COMMAND.sub("", dumped).encode())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        Maker(os.environ["JOBLEDGER_TEST_DSN"], Path(sys.argv[1]), Path(temporary)).make()
