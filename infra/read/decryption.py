"""Decrypts personal values in the results of reads."""

from typing import Any, TypeVar

import orjson
from jobledger.domain.job import Job
from jobledger.domain.values import canonical
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.privacy.envelope import MARKER
from jobledger.infra.privacy.subject_keys import SubjectKeys

Shown = TypeVar("Shown", Job, RecordedEvent)


class Decryption:
    """Decrypts personal values (`@personal`) with the keys of a ledger."""

    def __init__(self, keys: SubjectKeys) -> None:
        self._keys = keys

    def decrypt(self, value: Any) -> Any:
        """Decrypts the personal values (`@personal`) of stored JSON.

        Jobs and events are otherwise returned as they are stored. A value whose subject was erased
        becomes `{"@erased": …}`, a few seconds after the erasure at the latest.

        Args:
            value: JSON, such as `Job.spec` or `RecordedEvent.json`.

        Returns:
            The same JSON with decrypted values.

        Raises:
            BrokenLedgerError: An encrypted value was changed after it was written.

        Examples:
            >>> spec = {"owner": {"@personal": {"subject": "ada", "value": "Ada L."}}}
            >>> job = ledger.create("projects/demo/jobs/a", spec=spec)
            >>> ledger.decrypt(job.spec)
            {'owner': 'Ada L.'}
        """
        return self._keys.decrypt(value)

    def decrypt_json(self, encoded: bytes) -> bytes:
        """Decrypts the personal values of encoded JSON.

        Args:
            encoded: JSON as bytes.

        Returns:
            The decrypted JSON; `encoded` itself if nothing in it is encrypted.

        Raises:
            BrokenLedgerError: An encrypted value was changed after it was written.

        Examples:
            >>> ledger.decrypt_json(b'{"gpus":8}')
            b'{"gpus":8}'
        """
        return self._keys.decrypt_json(encoded)

    def decrypted(self, shown: Shown) -> Shown:
        """Returns a copy of a job or event with decrypted personal values, for display only.

        Args:
            shown: A job or an event of this ledger.

        Returns:
            The copy; `shown` itself if nothing in it is encrypted.

        Raises:
            BrokenLedgerError: An encrypted value was changed after it was written.

        Examples:
            >>> job = ledger.create("projects/demo/jobs/a")
            >>> ledger.decrypted(job) is job
            True
        """
        if not holds_encrypted(shown):
            return shown
        if isinstance(shown, RecordedEvent):
            return shown._replace(stored=canonical.encode(self.decrypt(shown.json)))
        return shown.model_copy(update=self.decrypt(_parts(shown)))


def holds_encrypted(shown: Job | RecordedEvent) -> bool:
    """Whether the value contains encrypted personal values."""
    if isinstance(shown, RecordedEvent):
        return MARKER in shown.stored and shown.schema > 0
    return MARKER in orjson.dumps(_parts(shown))


def _parts(job: Job) -> dict[str, Any]:
    return {"spec": job.spec, "output": job.output, "error": job.error}
