"""Job Ledger: a bitemporal, event-sourced ledger of jobs on PostgreSQL.

`Ledger` is for threads and `AsyncLedger` for asyncio. The rule: whatever reads or writes one ledger
is a method of them; all other public names are types: what methods take, return, or raise.

Public names are imported when they are first used, so that a command imports only what it needs.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jobledger.moved import MovedModules

if TYPE_CHECKING:
    from jobledger.domain.errors import (
        DataTooLargeError,
        EtagMismatchError,
        IllegalTransitionError,
        InvalidFieldError,
        JobExistsError,
        JobNotFoundError,
        LedgerError,
        NotSamplingError,
        RequestReusedError,
        UnknownEventTypeError,
        VersionConflictError,
    )
    from jobledger.domain.events import Event
    from jobledger.domain.job import Job
    from jobledger.domain.moments import Clock, Moment
    from jobledger.domain.states import JobState
    from jobledger.infra.analytics.analysis import Analysis
    from jobledger.infra.async_ledger import AsyncLedger
    from jobledger.infra.errors import (
        BrokenLedgerError,
        DeadlineExceededError,
        ForkedError,
        InputError,
        LedgerUnavailableError,
        OverloadedError,
        OwnerNeededError,
        PermissionDeniedError,
        ProofError,
        SchemaError,
        StorageFullError,
        SubjectNotFoundError,
        TokenExistsError,
        UnauthenticatedError,
    )
    from jobledger.infra.evaluation.errors import (
        AnsweredTwiceError,
        EnoughAnswersError,
        TaskClosedError,
        TaskNotFoundError,
    )
    from jobledger.infra.evaluation.samples.recording import Prediction, Sampled, TruthOutcome
    from jobledger.infra.eventstore.stored_event import RecordedEvent
    from jobledger.infra.eventstore.write_path import Recorded, ReportedEvent
    from jobledger.infra.history.bisect import Found
    from jobledger.infra.history.blame import Blamed
    from jobledger.infra.history.diff import Change, FleetDiff
    from jobledger.infra.history.explain import Reason, Why
    from jobledger.infra.history.replay import Replay, Replayed
    from jobledger.infra.ledger import Ledger
    from jobledger.infra.privacy.envelope import NotEncryptedError
    from jobledger.infra.proof.receipts import Receipt
    from jobledger.infra.proof.signing.notes import Checkpoint, Note, SigningKey, VerifierKey
    from jobledger.infra.read.reader import Counts, Page
    from jobledger.infra.retention.archive import Export
    from jobledger.infra.retention.erase import Erasure
    from jobledger.infra.retention.prune import Pruning
    from jobledger.infra.transfer.export import Format
    from jobledger.infra.transfer.selection import Selection

__all__ = [
    "Analysis",
    "AnsweredTwiceError",
    "AsyncLedger",
    "Blamed",
    "BrokenLedgerError",
    "Change",
    "Checkpoint",
    "Clock",
    "Counts",
    "DataTooLargeError",
    "DeadlineExceededError",
    "EnoughAnswersError",
    "Erasure",
    "EtagMismatchError",
    "Event",
    "Export",
    "FleetDiff",
    "ForkedError",
    "Format",
    "Found",
    "IllegalTransitionError",
    "InputError",
    "InvalidFieldError",
    "Job",
    "JobExistsError",
    "JobNotFoundError",
    "JobState",
    "Ledger",
    "LedgerError",
    "LedgerUnavailableError",
    "Moment",
    "NotEncryptedError",
    "NotSamplingError",
    "Note",
    "OverloadedError",
    "OwnerNeededError",
    "Page",
    "PermissionDeniedError",
    "Prediction",
    "ProofError",
    "Pruning",
    "Reason",
    "Receipt",
    "Recorded",
    "RecordedEvent",
    "Replay",
    "Replayed",
    "ReportedEvent",
    "RequestReusedError",
    "Sampled",
    "SchemaError",
    "Selection",
    "SigningKey",
    "StorageFullError",
    "SubjectNotFoundError",
    "TaskClosedError",
    "TaskNotFoundError",
    "TokenExistsError",
    "TruthOutcome",
    "UnauthenticatedError",
    "UnknownEventTypeError",
    "VerifierKey",
    "VersionConflictError",
    "Why",
]

_MODULES = {
    "jobledger.domain.errors": "DataTooLargeError EtagMismatchError IllegalTransitionError InvalidFieldError JobExistsError JobNotFoundError LedgerError NotSamplingError RequestReusedError UnknownEventTypeError VersionConflictError",
    "jobledger.domain.events": "Event",
    "jobledger.domain.job": "Job",
    "jobledger.domain.moments": "Clock Moment",
    "jobledger.domain.states": "JobState",
    "jobledger.infra.analytics.analysis": "Analysis",
    "jobledger.infra.async_ledger": "AsyncLedger",
    "jobledger.infra.errors": "BrokenLedgerError DeadlineExceededError ForkedError InputError LedgerUnavailableError OverloadedError OwnerNeededError PermissionDeniedError ProofError SchemaError StorageFullError SubjectNotFoundError TokenExistsError UnauthenticatedError",
    "jobledger.infra.evaluation.errors": "AnsweredTwiceError EnoughAnswersError TaskClosedError TaskNotFoundError",
    "jobledger.infra.evaluation.samples.recording": "Prediction Sampled TruthOutcome",
    "jobledger.infra.eventstore.stored_event": "RecordedEvent",
    "jobledger.infra.eventstore.write_path": "Recorded ReportedEvent",
    "jobledger.infra.history.bisect": "Found",
    "jobledger.infra.history.blame": "Blamed",
    "jobledger.infra.history.diff": "Change FleetDiff",
    "jobledger.infra.history.explain": "Reason Why",
    "jobledger.infra.history.replay": "Replay Replayed",
    "jobledger.infra.ledger": "Ledger",
    "jobledger.infra.privacy.envelope": "NotEncryptedError",
    "jobledger.infra.proof.receipts": "Receipt",
    "jobledger.infra.proof.signing.notes": "Checkpoint Note SigningKey VerifierKey",
    "jobledger.infra.read.reader": "Counts Page",
    "jobledger.infra.retention.archive": "Export",
    "jobledger.infra.retention.erase": "Erasure",
    "jobledger.infra.retention.prune": "Pruning",
    "jobledger.infra.transfer.export": "Format",
    "jobledger.infra.transfer.selection": "Selection",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

sys.meta_path.insert(0, MovedModules())


def __getattr__(name: str) -> Any:
    """A public name."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
    return value


def __dir__() -> list[str]:
    """All public names, also those that were not used yet."""
    return __all__
