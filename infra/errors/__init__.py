"""The errors of storage, servers, proofs and access: `server`, `stored`, `inputs`, `proof`, `requests`.

```
LedgerError (domain)
├── LedgerUnavailableError   the server cannot be reached: reason, written
│   ├── ClockError           the server's clock is far ahead of this machine's: reason
│   ├── LedgerClosedError    the ledger was closed
│   ├── QueryTimeoutError    the server ended the query, which took too long: reason
│   ├── StandbyBehindError   a hot standby has not replayed what the answer needs: position, reached
│   └── LoginRefusedError    the server refuses the login: reason
├── StorageFullError         the server's disk is full: reason
├── ServerInUseError         other processes use the embedded server: users
├── PoolerError              a connection pooler that does not keep a session for each client: why, advice
├── ReadOnlyServerError      the server accepts no writes: a hot standby, or set to be read only
├── LedgerBusyError          another session does this already, or holds a lock: what, why, holder
├── MissingGrantError        the database user lacks a privilege: reason
├── SchemaError              the ledger's schema is missing or of another version: ledger, why, command
│   └── LedgerNotFoundError  the database has no such ledger: ledger, others
├── BrokenLedgerError        stored data is damaged: name, position, why
├── OverloadedError          the server accepts no more requests now: why
├── DeadlineExceededError    the server did not answer in time: seconds
├── ProofError               a key, note, checkpoint or receipt is not valid: what, why
│   ├── FileAccessError      its file cannot be read or written
│   ├── LogFileNotFoundError  the log has no such tile or checkpoint: path
│   └── UnknownAlgorithmError  a public key is of an unknown type
├── ForkedError              the log is not the one that was signed before: kind, position, why
├── SubjectNotFoundError     the ledger has no personal data of the subject: subject
├── JobHeldError             a job that was to be pruned is held or pinned: name, how, others
├── OwnerNeededError         the owner of the ledger's tables must do this: what
├── AttachError              another system's database cannot be followed: what, why
│   └── SourceUnavailableError  its server cannot be reached
├── InputError               a file cannot be read: file, line, why
├── TokenExistsError         the token's name is taken: name
├── UnauthenticatedError     the request has no valid token: reason, name
├── PermissionDeniedError    the token does not permit the request: name, role, project
└── ForeignRequestError      a browser sent the request for another site: header, value
```
"""

from jobledger.infra.errors.inputs import (
    AttachError,
    InputError,
    SourceUnavailableError,
)
from jobledger.infra.errors.proof import (
    FileAccessError,
    ForkedError,
    LogFileNotFoundError,
    ProofError,
    UnknownAlgorithmError,
)
from jobledger.infra.errors.requests import (
    DeadlineExceededError,
    ForeignRequestError,
    OverloadedError,
    PermissionDeniedError,
    TokenExistsError,
    UnauthenticatedError,
)
from jobledger.infra.errors.server import (
    ClockError,
    LedgerClosedError,
    LedgerUnavailableError,
    LoginRefusedError,
    MissingGrantError,
    OwnerNeededError,
    PoolerError,
    QueryTimeoutError,
    ReadOnlyServerError,
    ServerInUseError,
    StandbyBehindError,
    StorageFullError,
)
from jobledger.infra.errors.stored import (
    BrokenLedgerError,
    JobHeldError,
    LedgerBusyError,
    LedgerNotFoundError,
    SchemaError,
    SubjectNotFoundError,
)

__all__ = [
    "AttachError",
    "BrokenLedgerError",
    "ClockError",
    "DeadlineExceededError",
    "FileAccessError",
    "ForeignRequestError",
    "ForkedError",
    "InputError",
    "JobHeldError",
    "LedgerBusyError",
    "LedgerClosedError",
    "LedgerNotFoundError",
    "LedgerUnavailableError",
    "LogFileNotFoundError",
    "LoginRefusedError",
    "MissingGrantError",
    "OverloadedError",
    "OwnerNeededError",
    "PermissionDeniedError",
    "PoolerError",
    "ProofError",
    "QueryTimeoutError",
    "ReadOnlyServerError",
    "SchemaError",
    "ServerInUseError",
    "SourceUnavailableError",
    "StandbyBehindError",
    "StorageFullError",
    "SubjectNotFoundError",
    "TokenExistsError",
    "UnauthenticatedError",
    "UnknownAlgorithmError",
]
