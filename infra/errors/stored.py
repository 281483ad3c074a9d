"""The errors of what a ledger stores: its schema, its events and its personal data."""

from collections.abc import Sequence

from jobledger.domain.errors import LedgerError


class LedgerBusyError(LedgerError):
    """Another session does this already, or holds a lock that it needs; nothing was changed.

    `what` was asked for, `why` it was refused, and `holder` is the other session, in words.
    """

    def __init__(self, what: str, why: str, holder: str = "") -> None:
        self.what = what
        self.why = why
        self.holder = holder
        by = f": {holder}" if holder else ""
        super().__init__(f"{what}: {why}{by}; try again when that has ended")


class SchemaError(LedgerError):
    """The ledger's schema is missing, older, newer, or not what its migrations made.

    Attributes:
        ledger: The ledger's name; empty for the ledger that is open.
        why: What is wrong with the schema, and what to do.
        command: The command or statement that mends it; empty if there is none.
    """

    def __init__(self, ledger: str, why: str, command: str = "") -> None:
        self.ledger = ledger
        self.why = why
        self.command = command
        super().__init__(f"ledger {ledger!r} {why}" if ledger else f"the ledger {why}")


class LedgerNotFoundError(SchemaError):
    """The database has no ledger of that name.

    Attributes:
        others: The names of the ledgers that it has.
    """

    def __init__(self, ledger: str, others: Sequence[str] = ()) -> None:
        self.others = tuple(others)
        there_are = f"; there are: {', '.join(others)}" if others else ""
        command = f"jobledger --ledger {ledger} init"
        super().__init__(ledger, f"does not exist; make it with: {command}{there_are}", command)


class BrokenLedgerError(LedgerError):
    """Stored data is damaged or was changed (google.rpc DATA_LOSS).

    Attributes:
        name: The stream, table or file with the damage.
        position: The position of the damaged event; 0 if it is not about one event.
        why: What is wrong.
    """

    def __init__(self, name: str, position: int, why: str) -> None:
        self.name = name
        self.position = position
        self.why = why
        super().__init__(f"{name} at position {position}: {why}" if position else f"{name}: {why}")


class SubjectNotFoundError(LedgerError):
    """The ledger has no personal data of the subject, perhaps because it was erased.

    An erasure leaves no trace of the subject's name, so the two cases cannot be distinguished.

    Attributes:
        subject: The subject.
    """

    def __init__(self, subject: str) -> None:
        self.subject = subject
        super().__init__(
            f"the ledger has no personal data of {subject!r}: it never had any, or it was erased"
        )


class JobHeldError(LedgerError):
    """A job that was to be pruned is under a legal hold or pinned; nothing was pruned.

    Attributes:
        name: The job's resource name.
        how: Its hold in words: since when, by whom, and why.
        others: How many other jobs among those to be pruned are held or pinned, too.
    """

    def __init__(self, name: str, how: str, others: int = 0) -> None:
        self.name = name
        self.how = how
        self.others = others
        more = f", and {others} more jobs are held" if others else ""
        super().__init__(
            f"{name} has been {how}{more}; nothing was pruned: release it, or leave held jobs out (--skip-held)"
        )
