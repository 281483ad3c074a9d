"""Failures of the scheduler, recorded and counted on the job."""

import logging
from typing import Any, Final

from jobledger.domain.errors import LedgerError
from jobledger.domain.events import parse_data
from jobledger.domain.runs import OWN
from jobledger.infra.read.store import Store

LOG: Final = logging.getLogger("jobledger.scheduler")
FIELD: Final = "schedulerFailures"
"""The field of the job's output with the number of failures, and the last reason."""
MAX_MESSAGE: Final = 500


def record_failure(store: Store, name: str, error: Exception, actor: str) -> None:
    """Reports the failure as the job's progress, unless the last recorded failure is the same.

    A job that keeps failing gets one event, and the next one only after another event of the job.
    """
    job = store.reader.get(name)
    output = job.output or {}
    before: Any = output.get(FIELD)
    count = before.get("count") if isinstance(before, dict) else 0
    message = f"{type(error).__name__}: {error}"[:MAX_MESSAGE].replace("\0", "")
    (last,) = store.reader.history(name, job.version - 1)
    repeated = last.actor == actor and last.type == "ProgressReported"
    if repeated and isinstance(before, dict) and before.get("message") == message:
        return
    known = isinstance(error, LedgerError)
    LOG.error("failed: %s", message, exc_info=None if known else error, extra={"job": name})
    failures = {"count": count + 1 if type(count) is int and count > 0 else 1, "message": message}
    rest = {field: value for field, value in output.items() if field not in OWN}
    given = parse_data("ProgressReported", {"output": rest | {FIELD: failures}})
    store.writer.report(name, given, actor=actor)
