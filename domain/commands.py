"""Commands: what can be asked of a job. A command may be refused; a report (an event's data) may not."""

from jobledger.domain.data import Data, Labels
from jobledger.domain.values.canonical import JsonObject
from pydantic import BaseModel, ConfigDict, Field


class Command(BaseModel):
    """A request to change one job.

    Attributes:
        etag: The etag that the job must still have (AIP-154); None skips the check.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    etag: str | None = None


class CreateJob(Command):
    """Create a job in the state QUEUED, or PENDING if `preparing` is true (AIP-133)."""

    labels: Labels = Field(default_factory=dict)
    spec: JsonObject = Field(default_factory=dict)
    preparing: bool = False


class CancelJob(Command):
    """End a job; nothing happens if it is CANCELLING, or with `unless_ended` if it has ended."""

    reason: str | None = None
    unless_ended: bool = False


class PauseJob(Command):
    """Pause a job, so that it can be resumed; a PAUSED job stays as it is."""

    reason: str | None = None


class ResumeJob(Command):
    """Resume a paused job: it is QUEUED, or RUNNING if `running` is true."""

    running: bool = False


class UpdateJob(Command):
    """Begin a change of a running job's configuration; a worker reports the outcome (AIP-134).

    New labels apply when the update has succeeded; an update that fails changes nothing.
    """

    spec: JsonObject = Field(default_factory=dict)
    labels: Labels | None = None


class ChangeConfig(Command):
    """Replace a live job's configuration at once; nothing is written if it is the same."""

    spec: JsonObject


class RetryJob(Command):
    """Begin a new attempt at a job that has ended."""

    reason: str | None = None


class ChangeLabels(Command):
    """Replace all labels of a job; nothing is written if they are the same."""

    labels: Labels


class ChangePolicy(Command):
    """Record a job's IAM policy (google.iam.v1.Policy); the ledger does not enforce it."""

    policy: JsonObject


class DeleteJob(Command):
    """Delete a job that has ended, or with `stop` a live one (AIP-135); its history is kept."""

    stop: bool = False


class StepRun(Command):
    """Record a step of an evaluation job's run; `facts` are data of RUN_EVENTS.

    Unlike a report, it is refused if it cannot be true: then another process was faster.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    facts: tuple[Data, ...]


JobCommand = (
    CreateJob
    | CancelJob
    | PauseJob
    | ResumeJob
    | UpdateJob
    | ChangeConfig
    | RetryJob
    | ChangeLabels
    | ChangePolicy
    | DeleteJob
    | StepRun
)
