"""The embedded server accepts only its own user, wherever its data is stored."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from jobledger.infra.postgres.embedded_server.starting import server_dsn
from psycopg.conninfo import conninfo_to_dict

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else"),
]
PLACES = ["short", "d" * 60 + "/" + "e" * 60, "with space", "it's, odd"]
ASK = """
import os, sys, psycopg
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(psycopg.connect(sys.argv[1]).execute("SELECT current_user").fetchone()[0])
"""


def asked_by_nobody(dsn: str) -> str:
    """Returns the error that another user of the machine gets."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, dsn], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("place", PLACES)
def test_the_socket_is_in_a_folder_that_nobody_else_enters(tmp_path: Path, place: str) -> None:
    home = tmp_path / place
    dsn = server_dsn(home)
    folder = Path(str(conninfo_to_dict(dsn)["host"]))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "postgres").stat().st_mode) == 0o700
    assert "Permission denied" in asked_by_nobody(dsn)
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_another_user_on_the_socket_is_refused_by_name(tmp_path: Path) -> None:
    dsn = server_dsn(tmp_path / "d")
    folder = Path(str(conninfo_to_dict(dsn)["host"]))
    socket = folder / ".s.PGSQL.5432"
    for opened in (folder, socket):
        opened.chmod(0o777)
    for above in tmp_path.parents:
        above.chmod(above.stat().st_mode | 0o011)
    tmp_path.chmod(0o711)
    (tmp_path / "d").chmod(0o711)
    assert "eer authentication failed" in asked_by_nobody(dsn)


def test_a_folder_of_an_earlier_version_opens_and_is_its_users_from_then_on(tmp_path: Path) -> None:
    start = "import sys; from pathlib import Path; from jobledger.infra.postgres.embedded_server.starting import server_dsn"
    words = [sys.executable, "-c", f"{start}; server_dsn(Path(sys.argv[1]))", str(tmp_path)]
    subprocess.run(words, check=True)  # It stops with this process.
    rules = tmp_path / "postgres" / "pg_hba.conf"
    rules.write_text("local all all trust\nhost all all 127.0.0.1/32 trust\n")
    with psycopg.connect(server_dsn(tmp_path)) as connection:
        found = connection.execute("SELECT type, auth_method FROM pg_hba_file_rules").fetchall()
    assert found == [("local", "peer")]
