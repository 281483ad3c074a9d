"""Certified statistics: they name the checkpoint of their events, and can be recomputed from them.

To certify and to verify, jobs and intervals are folded again from the events under the checkpoint,
by the present code: the stored rows of projections are not used.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from jobledger.domain.data import parse
from jobledger.domain.errors import LedgerError
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.analytics.analysis import Analysis, Question, answer
from jobledger.infra.errors import ProofError
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.proof.audit.audit import require_intact
from jobledger.infra.proof.signing.checkpoints import Checkpoint, open_checkpoint
from jobledger.infra.proof.signing.notes import Note, VerifierKey
from jobledger.infra.proof.signing.signer import require_kept
from jobledger.infra.proof.transparency_log import TransparencyLog
from jobledger.infra.read.reader import Reader
from jobledger.infra.upkeep.rehearse import Progress, folded
from jobledger.projections.catalogue import PROJECTIONS
from pydantic import AwareDatetime, BaseModel, ConfigDict

KIND: Final = "certified-report"
VERSION: Final = 1
Shape = Callable[[Analysis], JsonObject]


class Certified(NamedTuple):
    """A statistic, its question, and the signed checkpoint of the events it was computed from."""

    question: Question
    time: datetime
    """The time that "now" stood for (UTC)."""
    note: Note
    report: JsonObject

    def json(self) -> JsonObject:
        """Returns the content of the file."""
        return {
            "jobledger": KIND,
            "version": VERSION,
            "asked": {
                key: value for key, value in self.question._asdict().items() if value is not None
            },
            "time": time_text(self.time),
            "report": self.report,
            "checkpoint": str(self.note),
        }


def certify(
    reader: Reader,
    log: TransparencyLog,
    question: Question,
    shape: Shape,
    progress: Progress = lambda done, size: None,
) -> Certified:
    """Signs a checkpoint of the log, and computes the statistic from exactly its events.

    Args:
        reader: The ledger.
        log: Its log.
        question: What to compute.
        shape: Gives the statistic the form that is certified.
        progress: Called with the number of events verified and their total.

    Returns:
        The statistic with its checkpoint.

    Raises:
        InvalidFieldError: The question is not accepted.
        ProofError: No checkpoint can be signed here.
    """
    question.parsed()
    log.checkpoint()
    with reader.connection() as connection:
        note = require_kept(connection)
    now = datetime.now(UTC)
    made = _compute(reader, question, Checkpoint.parse(note.text).size, now, shape, progress)
    return Certified(question, now, note, made)


def verify_certified(
    reader: Reader,
    file: bytes,
    keys: Sequence[VerifierKey],
    shape: Shape,
    progress: Progress = lambda done, size: None,
) -> Checkpoint:
    """Verifies a certified statistic.

    Args:
        reader: The ledger that it is of.
        file: The certified statistic as it was written.
        keys: The public keys to trust.
        shape: As in `certify`.
        progress: Called with the number of events verified and their total.

    Returns:
        Its checkpoint.

    Raises:
        ProofError: No trusted key signed the checkpoint, the log no longer has its events, or the
            statistic computed from them differs.
    """
    certified = _read(file)
    checkpoint = open_checkpoint(certified.note, keys)
    with reader.connection() as connection:
        require_intact(connection, checkpoint, "the report's checkpoint", progress)
    size = checkpoint.size
    again = _compute(reader, certified.question, size, certified.time, shape, progress)
    if canonical.encode(again) != canonical.encode(certified.report):
        raise ProofError("report", f"differs from the {size} events under its checkpoint")
    return checkpoint


def _compute(
    reader: Reader, question: Question, size: int, now: datetime, shape: Shape, progress: Progress
) -> JsonObject:
    asked = question.parsed()
    with reader.connection() as connection, folded(connection, PROJECTIONS, size, progress):
        report = answer(connection, question, asked, Moment(size, now, Clock.OCCURRED))
    # The value in the form that a file has.
    read: JsonObject = canonical.decode(canonical.encode(shape(report)))
    return read


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    jobledger: Literal["certified-report"]
    version: Literal[1]
    asked: dict[str, Any]
    time: AwareDatetime
    report: JsonObject
    checkpoint: str


def _read(file: bytes) -> Certified:
    try:
        read = parse(_File, canonical.decode(file))
        question = Question(**read.asked)
        question.parsed()
    except (LedgerError, TypeError) as error:
        raise ProofError("report", f"it is not a certified report: {error}") from None
    return Certified(question, read.time.astimezone(UTC), Note.parse(read.checkpoint), read.report)
