"""The embedded server, begun by several processes at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "not-for-any-log"
BEGIN = """
import logging
import sys
from pathlib import Path
from jobledger.infra.postgres.embedded import server_dsn
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
    told = {process.stdout.readline() for process in processes if process.stdout is not None}
    said = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert len(told) == 1
    assert not [errors for _, errors in said if SECRET in errors]
