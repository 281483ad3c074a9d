"""The methods of a ledger that write one event: one for each command, and one for each report."""

from typing import Generic

from jobledger.infra.eventstore.methods.change_commands import ChangeCommands
from jobledger.infra.eventstore.methods.commands import Commands
from jobledger.infra.eventstore.methods.detail_reports import DetailReports
from jobledger.infra.eventstore.methods.end_reports import EndReports
from jobledger.infra.eventstore.methods.request import About, AboutReport, Answer, Fields
from jobledger.infra.eventstore.methods.state_reports import StateReports

__all__ = ["About", "AboutReport", "Answer", "Fields", "Verbs"]


class Verbs(
    Commands[Answer],
    ChangeCommands[Answer],
    StateReports[Answer],
    EndReports[Answer],
    DetailReports[Answer],
    Generic[Answer],
):
    """Commands and reports on one job.

    Each method takes the job's name first, and by keyword the metadata of the event: when it
    occurred, who did it, a request id and a trace. A command is refused if the job's state does
    not allow it. A report is never refused for that reason: one that cannot be true is recorded
    as `Contradicted`. A report that names an attempt (`attempt` or `run_id`) before the current
    one changes nothing else; domain/attempts.py defines when an attempt begins.
    """
