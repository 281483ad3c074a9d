"""What somebody can ask of a job. A command may be refused; a report (an event's data) may not."""

from jobledger.domain.data import Data, Labels
from jobledger.domain.values.canonical import JsonObject
from pydantic import BaseModel, ConfigDict


class Command(BaseModel):
    """Something asked of one job; with an `etag`, only if the job's is still that one (AIP-154)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    etag: str | None = None


class CreateJob(Command):
    """Make a job, waiting to run; or, if it is `preparing`, made ready for that at once."""

    labels: Labels = {}
    spec: JsonObject = {}
    preparing: bool = False


class CancelJob(Command):
    """End it. Nothing happens to a job that is being cancelled already, or has ended (`unless_ended`)."""

    reason: str | None = None
    unless_ended: bool = False


class PauseJob(Command):
    """Stop it so that it can be resumed. Nothing happens to a paused job."""

    reason: str | None = None


class ResumeJob(Command):
    """Let a paused job wait to run again; or, if it is `running`, run again at once."""

    running: bool = False


class UpdateJob(Command):
    """Begin to change the configuration of a running job; a worker reports the outcome.

    New labels hold once the update has succeeded; an update that fails changes nothing.
    """

    spec: JsonObject = {}
    labels: Labels | None = None


class ChangeConfig(Command):
    """Replace the configuration of a live job at once. Nothing happens if it is that already."""

    spec: JsonObject


class RetryJob(Command):
    """Begin a new attempt at a job that has ended."""

    reason: str | None = None


class ChangeLabels(Command):
    """Replace all its labels. Nothing happens if they are these already."""

    labels: Labels


class ChangePolicy(Command):
    """Say who may do what with it (google.iam.v1.Policy); the ledger keeps it."""

    policy: JsonObject


class DeleteJob(Command):
    """Take a job out of lists; its history is kept.

    It has ended; or, if it is to be stopped (`stop`), is cancelled first.
    """

    stop: bool = False


class StepRun(Command):
    """What whoever carries out an evaluation job's runs has done of one: `facts` are RUN_EVENTS.

    Unlike a report of the same it is refused where it cannot be true: somebody else did it.
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
