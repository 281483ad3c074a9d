"""The exit code of each kind of error; an error that is in no table has the code of its base class."""

from __future__ import annotations

from typing import Final

from jobledger.domain import errors as domain
from jobledger.domain.errors import LedgerError
from jobledger.infra import errors as infra
from jobledger.infra.evaluation import errors as labeling

OK: Final = 0
NO: Final = 1
"""The answer is no, or an unexpected error occurred."""
USAGE: Final = 2
NOT_FOUND: Final = 3
REFUSED: Final = 4
UNREACHABLE: Final = 5
INTERRUPTED: Final = 130

EXIT_CODES: Final[dict[type[LedgerError], int]] = {
    domain.InvalidFieldError: USAGE,
    domain.JobNotFoundError: NOT_FOUND,
    domain.JobExistsError: REFUSED,
    domain.IllegalTransitionError: REFUSED,
    domain.NotSamplingError: REFUSED,
    domain.EtagMismatchError: REFUSED,
    domain.VersionConflictError: REFUSED,
    domain.PastNeededError: REFUSED,
    domain.RequestReusedError: REFUSED,
    infra.LedgerUnavailableError: UNREACHABLE,
    infra.LoginRefusedError: REFUSED,
    infra.MissingGrantError: REFUSED,
    infra.ServerInUseError: REFUSED,
    infra.StorageFullError: REFUSED,
    infra.LedgerBusyError: REFUSED,
    infra.ReadOnlyServerError: REFUSED,
    infra.PoolerError: REFUSED,
    infra.SchemaError: REFUSED,
    infra.LedgerNotFoundError: NOT_FOUND,
    infra.BrokenLedgerError: NO,
    infra.SubjectNotFoundError: NOT_FOUND,
    infra.OwnerNeededError: REFUSED,
    infra.JobHeldError: REFUSED,
    infra.AttachError: REFUSED,
    infra.SourceUnavailableError: UNREACHABLE,
    infra.InputError: USAGE,
    infra.FileAccessError: USAGE,
    infra.LogFileNotFoundError: NOT_FOUND,
    infra.ProofError: NO,
    infra.ForkedError: NO,
    infra.OverloadedError: UNREACHABLE,
    infra.DeadlineExceededError: UNREACHABLE,
    infra.TokenExistsError: REFUSED,
    infra.UnauthenticatedError: REFUSED,
    infra.PermissionDeniedError: REFUSED,
    infra.ForeignRequestError: REFUSED,
    labeling.TaskNotFoundError: NOT_FOUND,
    labeling.TaskClosedError: REFUSED,
    labeling.AnsweredTwiceError: REFUSED,
    labeling.EnoughAnswersError: REFUSED,
}
"""The exit codes by the type of error."""


def exit_code(error: LedgerError) -> int:
    """Returns the exit code of an error: that of its nearest base class in the table."""
    for cls in type(error).__mro__:
        if cls in EXIT_CODES:
            return EXIT_CODES[cls]
    return NO
