"""Checks of this machine: spooled runs, disk space, and the ports that the servers listen on."""

import os
import shutil
import socket
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from jobledger.infra.cli.diagnosis.check import Check, ok, problem
from jobledger.infra.programs.spool import RunFile
from jobledger.infra.settings import Settings, spool_folder

MIN_FREE_BYTES: Final = 1024**3
PORTS: Final = {8080: "serve", 8081: "serve-grpc"}
"""The default port of each server command."""
ANSWER_TIMEOUT_SECONDS: Final = 2.0
HTTP2_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""The first bytes of an HTTP/2 client: the preface and empty SETTINGS."""
SETTINGS_FRAME: Final = 4


def check_spool() -> Check:
    """Checks whether finished runs wait in the spool; running ones are recorded while they run."""
    folder = spool_folder()
    try:
        waiting = sum(1 for file in folder.rglob("*") if _is_run(file)) if folder.is_dir() else 0
    except OSError as error:
        return problem("spool", f"{folder} cannot be read: {error.strerror}", "make it readable")
    if not _can_write(folder):
        return problem(
            "spool", f"{folder} cannot be written to", "set JOBLEDGER_SPOOL to a folder of yours"
        )
    if waiting:
        runs = "run waits" if waiting == 1 else "runs wait"
        return problem("spool", f"{waiting} {runs} in {folder}", "jobledger spool send")
    return ok("spool", f"nothing waits in {folder}")


def _can_write(folder: Path) -> bool:
    """Whether files can be created in a folder, or the folder itself if it does not exist."""
    return os.access(_nearest(folder), os.W_OK | os.X_OK)


def _nearest(folder: Path) -> Path:
    """Returns the folder, or its nearest existing parent."""
    return next(each for each in (folder, *folder.absolute().parents) if os.path.exists(each))  # noqa: PTH110 - Path.exists raises if a folder above cannot be entered


def _is_run(file: Path) -> bool:
    """Whether no process writes or sends the run of a file in the spool."""
    is_record = not file.name.startswith(".") and file.suffix != ".lock"
    return is_record and file.is_file() and RunFile.is_left_behind(file)


def check_disk(settings: Settings) -> Check:
    """Checks that the folder of keys and of the embedded server is writable and has free space."""
    home = settings.home.expanduser()
    there = _nearest(home)
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return problem("disk", f"{there}: {error.strerror}", "set JOBLEDGER_HOME to another folder")
    detail = f"{free / 1024**3:.1f} GiB free for {home}"
    if not _can_write(home):
        return problem(
            "disk", f"{there} cannot be written to", "set JOBLEDGER_HOME to a folder of yours"
        )
    if free < MIN_FREE_BYTES:
        return problem("disk", detail, "free 1 GiB, or set JOBLEDGER_HOME to another file system")
    return ok("disk", detail)


def check_port(port: int, command: str) -> Check:
    """Checks that a command's port is free, or that such a server listens there."""
    name = f"port {port}"
    try:
        with socket.create_server(("127.0.0.1", port)):
            return ok(name, f"free for jobledger {command}")
    except OSError as error:
        reason = error.strerror
    if _answers_http(port) if command == "serve" else _answers_http2(port):
        return ok(name, f"jobledger {command}, or a server like it, listens there")
    return problem(name, f"another program has it ({reason})", f"jobledger {command} --port 0")


def _answers_http(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _answers_http2(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), ANSWER_TIMEOUT_SECONDS) as connection:
            connection.sendall(HTTP2_PREFACE)
            return connection.recv(9)[3:4] == bytes((SETTINGS_FRAME,))
    except OSError:
        return False
