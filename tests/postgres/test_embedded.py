"""The embedded server, begun by several processes at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from jobledger.infra.errors import LedgerUnavailableError
from jobledger.infra.postgres.embedded_server import private_server
from jobledger.infra.postgres.embedded_server.starting import server_dsn

SECRET = "not-for-any-log"
BEGIN = """
import logging
import sys
from pathlib import Path
from jobledger.infra.postgres.embedded_server.starting import server_dsn
logging.basicConfig(level=logging.INFO)
sys.stdin.read(1)
print(server_dsn(Path(sys.argv[1])), flush=True)
sys.stdin.read()  # The server stops with its last user, so that none ends before all know it.
"""


@pytest.mark.slow
def test_processes_that_begin_at_once_find_one_server(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OTHERS_PASSWORD": SECRET},
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    output = {process.stdout.readline() for process in processes if process.stdout is not None}
    message = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, message
    assert len(output) == 1
    assert not [errors for _, errors in message if SECRET in errors]


def test_a_server_that_did_not_start_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def fails(*_: object, **__: object) -> None:
        tries.append(1)
        raise subprocess.CalledProcessError(-11, ["pg_ctl"])

    monkeypatch.setattr(private_server, "pg_ctl", fails)
    monkeypatch.setattr(private_server.PrivateServer, "ensure_pgdata_inited", lambda _: None)
    monkeypatch.setattr(private_server.PrivateServer, "_write_rules", lambda _: False)
    for _ in range(2):
        with pytest.raises(LedgerUnavailableError, match="did not start"):
            server_dsn(tmp_path)
    assert len(tries) == 2
