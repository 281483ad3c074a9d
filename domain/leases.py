"""The end of a job whose heartbeats stopped."""

from __future__ import annotations

from datetime import datetime

from jobledger.domain.data import Data
from jobledger.domain.events import parse_data
from jobledger.domain.job import Job
from jobledger.domain.running import no_heartbeat_since
from jobledger.domain.states import LIVE, JobState


def lost(job: Job, run_id: str, heartbeat_time: datetime) -> Data | None:
    """Returns the report that a run was lost: CANCELLED if its cancellation was requested, else EXPIRED.

    None if the run has ended, or the job is in another attempt.
    """
    is_current = job.run_ids[-1:] == (run_id,)
    if job.delete_time is not None or job.state not in LIVE or not is_current:
        return None
    fields = {"reason": no_heartbeat_since(heartbeat_time), "runId": run_id}
    if job.state is JobState.CANCELLING:
        return parse_data("Cancelled", fields)
    return parse_data("Expired", fields | {"lost": True})


def lost_time(job: Job, heartbeat_time: datetime) -> datetime:
    """Returns when a lost job counts as ended (UTC): at its last heartbeat or event."""
    return max(heartbeat_time, job.last_effect or heartbeat_time)
