"""Names of jobs, and the encoding of other systems' ids in them (see job_id)."""

from __future__ import annotations

from jobledger.domain.values.job_ids import MAX_ID, display_name, job_id, original_id
from jobledger.domain.values.names import job_name, kind_of, parse_name, project_of

__all__ = [
    "MAX_ID",
    "display_name",
    "job_id",
    "job_name",
    "kind_of",
    "original_id",
    "parse_name",
    "project_of",
]
