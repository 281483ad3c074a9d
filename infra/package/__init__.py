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
    from jobledger.domain.errors import BeyondEndError as BeyondEndError
    from jobledger.domain.errors import DataTooLargeError as DataTooLargeError
    from jobledger.domain.errors import EtagMismatchError as EtagMismatchError
    from jobledger.domain.errors import IllegalTransitionError as IllegalTransitionError
    from jobledger.domain.errors import InvalidFieldError as InvalidFieldError
    from jobledger.domain.errors import JobExistsError as JobExistsError
    from jobledger.domain.errors import JobNotFoundError as JobNotFoundError
    from jobledger.domain.errors import LedgerError as LedgerError
    from jobledger.domain.errors import NotSamplingError as NotSamplingError
    from jobledger.domain.errors import RequestReusedError as RequestReusedError
    from jobledger.domain.errors import UnknownEventTypeError as UnknownEventTypeError
    from jobledger.domain.errors import VersionConflictError as VersionConflictError
    from jobledger.domain.events import Event as Event
    from jobledger.domain.job import Job as Job
    from jobledger.domain.states import JobState as JobState
    from jobledger.domain.values.moments import Clock as Clock
    from jobledger.domain.values.moments import Moment as Moment
    from jobledger.infra.analytics.analysis import Analysis as Analysis
    from jobledger.infra.async_ledger import AsyncLedger as AsyncLedger
    from jobledger.infra.errors import AttachError as AttachError
    from jobledger.infra.errors import BrokenLedgerError as BrokenLedgerError
    from jobledger.infra.errors import ClockError as ClockError
    from jobledger.infra.errors import DeadlineExceededError as DeadlineExceededError
    from jobledger.infra.errors import FileAccessError as FileAccessError
    from jobledger.infra.errors import ForeignRequestError as ForeignRequestError
    from jobledger.infra.errors import ForkedError as ForkedError
    from jobledger.infra.errors import InputError as InputError
    from jobledger.infra.errors import JobHeldError as JobHeldError
    from jobledger.infra.errors import LedgerBusyError as LedgerBusyError
    from jobledger.infra.errors import LedgerClosedError as LedgerClosedError
    from jobledger.infra.errors import LedgerNotFoundError as LedgerNotFoundError
    from jobledger.infra.errors import LedgerUnavailableError as LedgerUnavailableError
    from jobledger.infra.errors import LogFileNotFoundError as LogFileNotFoundError
    from jobledger.infra.errors import LoginRefusedError as LoginRefusedError
    from jobledger.infra.errors import MissingGrantError as MissingGrantError
    from jobledger.infra.errors import OverloadedError as OverloadedError
    from jobledger.infra.errors import OwnerNeededError as OwnerNeededError
    from jobledger.infra.errors import PermissionDeniedError as PermissionDeniedError
    from jobledger.infra.errors import PoolerError as PoolerError
    from jobledger.infra.errors import ProofError as ProofError
    from jobledger.infra.errors import QueryTimeoutError as QueryTimeoutError
    from jobledger.infra.errors import ReadOnlyServerError as ReadOnlyServerError
    from jobledger.infra.errors import SchemaError as SchemaError
    from jobledger.infra.errors import ServerInUseError as ServerInUseError
    from jobledger.infra.errors import SourceUnavailableError as SourceUnavailableError
    from jobledger.infra.errors import StandbyBehindError as StandbyBehindError
    from jobledger.infra.errors import StorageFullError as StorageFullError
    from jobledger.infra.errors import SubjectNotFoundError as SubjectNotFoundError
    from jobledger.infra.errors import TokenExistsError as TokenExistsError
    from jobledger.infra.errors import UnauthenticatedError as UnauthenticatedError
    from jobledger.infra.errors import UnknownAlgorithmError as UnknownAlgorithmError
    from jobledger.infra.evaluation.errors import AnsweredTwiceError as AnsweredTwiceError
    from jobledger.infra.evaluation.errors import EnoughAnswersError as EnoughAnswersError
    from jobledger.infra.evaluation.errors import TaskClosedError as TaskClosedError
    from jobledger.infra.evaluation.errors import TaskNotFoundError as TaskNotFoundError
    from jobledger.infra.evaluation.samples.outcomes import Prediction as Prediction
    from jobledger.infra.evaluation.samples.outcomes import Sampled as Sampled
    from jobledger.infra.evaluation.samples.outcomes import TruthOutcome as TruthOutcome
    from jobledger.infra.eventstore.stored_event import RecordedEvent as RecordedEvent
    from jobledger.infra.eventstore.write_path import ObservedEvent as ObservedEvent
    from jobledger.infra.eventstore.write_path import Recorded as Recorded
    from jobledger.infra.eventstore.write_path import ReportedEvent as ReportedEvent
    from jobledger.infra.history.bisect import Found as Found
    from jobledger.infra.history.blame import Blamed as Blamed
    from jobledger.infra.history.diff import Change as Change
    from jobledger.infra.history.diff import FleetDiff as FleetDiff
    from jobledger.infra.history.explain import Reason as Reason
    from jobledger.infra.history.explain import Why as Why
    from jobledger.infra.history.replay import Replay as Replay
    from jobledger.infra.history.replay import Replayed as Replayed
    from jobledger.infra.history.tree import Tree as Tree
    from jobledger.infra.ledger import Ledger as Ledger
    from jobledger.infra.privacy.envelope import NotEncryptedError as NotEncryptedError
    from jobledger.infra.programs.run_block import Run as Run
    from jobledger.infra.proof.receipts import Receipt as Receipt
    from jobledger.infra.proof.resume import LogResumption as LogResumption
    from jobledger.infra.proof.signing.checkpoints import Checkpoint as Checkpoint
    from jobledger.infra.proof.signing.notes import Note as Note
    from jobledger.infra.proof.signing.notes import SigningKey as SigningKey
    from jobledger.infra.proof.signing.notes import VerifierKey as VerifierKey
    from jobledger.infra.read.answers import Counts as Counts
    from jobledger.infra.read.answers import Page as Page
    from jobledger.infra.retention.apply import RetentionRun as RetentionRun
    from jobledger.infra.retention.apply import RuleOutcome as RuleOutcome
    from jobledger.infra.retention.archive import Export as Export
    from jobledger.infra.retention.compact import Compaction as Compaction
    from jobledger.infra.retention.erase import Erasure as Erasure
    from jobledger.infra.retention.holds import Hold as Hold
    from jobledger.infra.retention.prune import Pruning as Pruning
    from jobledger.infra.retention.rules import RetentionRule as RetentionRule
    from jobledger.infra.transfer.exports.export import Format as Format
    from jobledger.infra.transfer.exports.partitions import Partition as Partition
    from jobledger.infra.transfer.exports.selection import Selection as Selection
    from jobledger.infra.transfer.imports.import_history import HistoryImport as HistoryImport
    from jobledger.infra.transfer.imports.origins import EventOrigin as EventOrigin

_MODULES = {
    "jobledger.domain.errors": "BeyondEndError DataTooLargeError EtagMismatchError IllegalTransitionError InvalidFieldError JobExistsError JobNotFoundError LedgerError NotSamplingError RequestReusedError UnknownEventTypeError VersionConflictError",
    "jobledger.domain.events": "Event",
    "jobledger.domain.job": "Job",
    "jobledger.domain.values.moments": "Clock Moment",
    "jobledger.domain.states": "JobState",
    "jobledger.infra.analytics.analysis": "Analysis",
    "jobledger.infra.async_ledger": "AsyncLedger",
    "jobledger.infra.errors": "AttachError BrokenLedgerError ClockError DeadlineExceededError FileAccessError ForeignRequestError ForkedError InputError JobHeldError LedgerBusyError LedgerClosedError LedgerNotFoundError LedgerUnavailableError LogFileNotFoundError LoginRefusedError MissingGrantError OverloadedError OwnerNeededError PermissionDeniedError PoolerError ProofError QueryTimeoutError ReadOnlyServerError SchemaError ServerInUseError SourceUnavailableError StandbyBehindError StorageFullError SubjectNotFoundError TokenExistsError UnauthenticatedError UnknownAlgorithmError",
    "jobledger.infra.evaluation.errors": "AnsweredTwiceError EnoughAnswersError TaskClosedError TaskNotFoundError",
    "jobledger.infra.evaluation.samples.outcomes": "Prediction Sampled TruthOutcome",
    "jobledger.infra.eventstore.stored_event": "RecordedEvent",
    "jobledger.infra.eventstore.write_path": "ObservedEvent Recorded ReportedEvent",
    "jobledger.infra.history.bisect": "Found",
    "jobledger.infra.history.blame": "Blamed",
    "jobledger.infra.history.diff": "Change FleetDiff",
    "jobledger.infra.history.explain": "Reason Why",
    "jobledger.infra.history.replay": "Replay Replayed",
    "jobledger.infra.history.tree": "Tree",
    "jobledger.infra.ledger": "Ledger",
    "jobledger.infra.privacy.envelope": "NotEncryptedError",
    "jobledger.infra.programs.run_block": "Run",
    "jobledger.infra.proof.receipts": "Receipt",
    "jobledger.infra.proof.signing.checkpoints": "Checkpoint",
    "jobledger.infra.proof.signing.notes": "Note SigningKey VerifierKey",
    "jobledger.infra.read.answers": "Counts Page",
    "jobledger.infra.retention.archive": "Export",
    "jobledger.infra.retention.apply": "RetentionRun RuleOutcome",
    "jobledger.infra.retention.compact": "Compaction",
    "jobledger.infra.retention.holds": "Hold",
    "jobledger.infra.retention.erase": "Erasure",
    "jobledger.infra.proof.resume": "LogResumption",
    "jobledger.infra.retention.prune": "Pruning",
    "jobledger.infra.retention.rules": "RetentionRule",
    "jobledger.infra.transfer.exports.export": "Format",
    "jobledger.infra.transfer.imports.import_history": "HistoryImport",
    "jobledger.infra.transfer.imports.origins": "EventOrigin",
    "jobledger.infra.transfer.exports.partitions": "Partition",
    "jobledger.infra.transfer.exports.selection": "Selection",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}
__all__ = list(_MODULE_OF)

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
