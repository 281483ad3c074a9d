"""The job: its events are folded into it, and commands and reports are decided on it.

`job` has the fields, `folding` applies events, `deciding` grants or refuses commands, `judging`
records reports, and `following` has what both of these need.
"""

from jobledger.domain.job.deciding import decide
from jobledger.domain.job.folding import evolve, fold, project_job, recorded, replay
from jobledger.domain.job.job import TIMES, Job, absent, job_with
from jobledger.domain.job.judging import judge

__all__ = [
    "TIMES",
    "Job",
    "absent",
    "decide",
    "evolve",
    "fold",
    "job_with",
    "judge",
    "project_job",
    "recorded",
    "replay",
]
