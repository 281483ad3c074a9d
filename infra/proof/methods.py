"""The method of a ledger that resumes its log after events were lost."""

from jobledger.infra.proof.logged_store import LoggedStore
from jobledger.infra.proof.resume import LogResumption, resume
from jobledger.infra.settings import Settings


def resume_log(
    ledger: LoggedStore, actor: str | None = None, *, new_key: bool = False
) -> LogResumption:
    """Accepts that events were lost that a checkpoint covered, so that the log is signed again.

    After a failover to an asynchronous replica, or a restored backup. A statement that the
    log's keys sign names the lost positions; it is recorded as an event.

    Args:
        ledger: The ledger.
        actor: The user who accepts the loss: 1 to 256 printable characters.
        new_key: Whether to make a new key first; all keys sign from then on.

    Returns:
        What was lost, and the position of the `Resumed` event.

    Raises:
        ProofError: Nothing is lost, or no key of the log is on this machine.
        ForkedError: The log does not extend the last checkpoint in the database either.
        MissingGrantError: The database user may not write the ledger's own events.

    Examples:
        >>> ledger.resume_log()
        Traceback (most recent call last):
        jobledger.infra.errors.proof.ProofError: key: no key of jobledger/... is on this machine, so nothing can be signed
    """
    resumption = resume(ledger, Settings(), actor, new_key=new_key)
    ledger.log.checkpoint_if_possible()
    return resumption
