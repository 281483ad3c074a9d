"""The line that `jobledger run` prints if a run was not recorded, or only in part."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobledger.infra.programs.reporter import Reporter


def summary(reporter: Reporter, name: str) -> str:
    """Returns a line about recorded reports, unrecorded ones with the reason, and where the rest is spooled."""
    if reporter.failure is None:
        how, why = "not known to be recorded", "the ledger has not answered yet"
    else:
        how, why = "not recorded", failure_text(reporter.failure)
    if reporter.recorded:
        recorded, missing = (" ".join(types) for types in (reporter.recorded, reporter.missing))
        has = f"of {name} was recorded: {recorded}; {how}: {missing}"
    else:
        has = f"{name} {'was' if reporter.failure else 'is'} {how}"
    return f"{has}: {why}; {_kept(reporter)}"


def failure_text(error: Exception) -> str:
    """Returns an error as one line."""
    psycopg = sys.modules.get("psycopg")
    if psycopg is not None and isinstance(error, psycopg.Error):
        return f"PostgreSQL: {error.diag.message_primary or ' '.join(str(error).split())}"
    text = " ".join(str(error).split())
    if type(error).__module__.startswith("jobledger."):
        return text
    return f"{type(error).__name__}: {text}"


def _kept(reporter: Reporter) -> str:
    if reporter.spool_failure is not None:
        return f"it is lost, because it could not be spooled ({failure_text(reporter.spool_failure)}); set JOBLEDGER_SPOOL to a folder of yours"
    if reporter.refused is not None:
        return f"it is kept in {reporter.refused}"
    where = "" if reporter.file is None else f" in {reporter.file.path.parent}"
    return f"it is spooled{where}, and sent by the next run or by: jobledger spool send"
