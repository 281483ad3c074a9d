"""What somebody can ask of a job. A command may be refused; a report (an event's data) may not."""

from __future__ import annotations

from jobledger.domain.canonical import JsonObject
from jobledger.domain.events import Labels
from pydantic import BaseModel, ConfigDict


class Command(BaseModel):
    """Something asked of one job."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CreateJob(Command):
    """Make a job, waiting to run."""

    labels: Labels = {}
    spec: JsonObject = {}


class CancelJob(Command):
    """End it. Nothing happens to a job that is being cancelled already."""

    reason: str | None = None


class PauseJob(Command):
    """Stop it so that it can be resumed. Nothing happens to a paused job."""

    reason: str | None = None


class ResumeJob(Command):
    """Let a paused job wait to run again."""


class UpdateJob(Command):
    """Begin to change the configuration of a running job; a worker reports the outcome."""

    spec: JsonObject = {}


class RetryJob(Command):
    """Begin a new attempt at a job that has ended."""

    reason: str | None = None


class ChangeLabels(Command):
    """Replace all its labels. Nothing happens if they are these already."""

    labels: Labels


class DeleteJob(Command):
    """Take a job that has ended out of lists; its history is kept."""


JobCommand = (
    CreateJob | CancelJob | PauseJob | ResumeJob | UpdateJob | RetryJob | ChangeLabels | DeleteJob
)
