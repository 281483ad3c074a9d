"""Requests cosignatures of a checkpoint from witnesses: the log's side of C2SP tlog-witness.

A witness that fails does not stop the log: the failure is logged, and the others count.
"""

import logging
import time
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Final

from jobledger.infra.errors import ProofError
from jobledger.infra.proof.http_post import is_address, send
from jobledger.infra.proof.signing import notes
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.policy import Policy
from jobledger.infra.proof.witness.witness import Submission

Prove = Callable[[int], list[bytes]]
"""The proof that the checkpoint's tree grew from one of that many leaves."""
LOG: Final = logging.getLogger("jobledger.proof")
REQUEST_TIMEOUT_SECONDS: Final = 5.0
ASKED_AGAIN: Final = 2
TOTAL_TIMEOUT_SECONDS: Final = 20.0
"""Seconds after which a witness that has not cosigned is left out."""


class Witnesses:
    """The witnesses of a policy that have an address, and the size that each cosigned last."""

    def __init__(self, policy: Policy) -> None:
        self._asked = [
            _Asked(witness.key, witness.url)
            for witness in policy.witnesses.values()
            if witness.url is not None
        ]

    def cosign(self, note: notes.Note, prove: Prove) -> list[notes.Signature]:
        """Asks all witnesses at once.

        Args:
            note: The checkpoint.
            prove: Makes a consistency proof from an earlier size; called by one thread at a time.

        Returns:
            The valid cosignatures.
        """
        proving, over, found = Lock(), Event(), list[notes.Signature]()

        def prove_alone(old: int) -> list[bytes]:
            with proving:
                if over.is_set():
                    raise ProofError("checkpoint", "the proof came too late; try again")
                return prove(old)

        threads = [
            # Daemons, so that a witness that never answers does not keep the process running.
            Thread(target=lambda each=each: found.extend(each.ask(note, prove_alone)), daemon=True)
            for each in self._asked
        ]
        until = time.monotonic() + TOTAL_TIMEOUT_SECONDS
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        with proving:
            over.set()
        return list(found)


class _Asked:
    """One witness; one thread at a time asks it."""

    def __init__(self, key: notes.VerifierKey, url: str) -> None:
        self._key = key
        self._url = f"{url.rstrip('/')}/add-checkpoint"
        self._seen = 0
        self._busy = Lock()

    def ask(self, note: notes.Note, prove: Prove) -> list[notes.Signature]:
        """Returns its cosignature; None if it gives none."""
        if not self._busy.acquire(blocking=False):
            LOG.warning("witness %s has not answered yet, and is left out", self._key.name)
            return []
        try:
            return [self._cosignature(note, prove)]
        except ProofError as error:
            LOG.warning("witness %s: %s", self._key.name, error)
        except Exception:
            LOG.exception("witness %s was not asked", self._key.name)
        finally:
            self._busy.release()
        return []

    def _cosignature(self, note: notes.Note, prove: Prove) -> notes.Signature:
        if not is_address(self._url):
            raise ProofError(
                self._url, "is not an http or https address: it must begin with http:// or https://"
            )
        size = Checkpoint.parse(note.text).size
        for _ in range(1 + ASKED_AGAIN):
            if self._seen > size:
                why = f"has seen {self._seen} events of the log, and this one has {size}"
                raise ProofError(self._url, why)
            proof = prove(self._seen) if self._seen else []
            text = str(Submission(self._seen, tuple(proof), note))
            status, body = send("POST", self._url, text, REQUEST_TIMEOUT_SECONDS)
            if status != 409:
                cosignature = self._opened(status, body, note)
                self._seen = size
                return cosignature
            self._seen = self._last_size(body)
        raise ProofError(self._url, "answered with a different size each time; try again later")

    def _last_size(self, body: bytes) -> int:
        """Returns the size that the witness last cosigned, from its answer."""
        return notes.parse_number(_text(body).removesuffix("\n"), self._url)

    def _opened(self, status: int, body: bytes, note: notes.Note) -> notes.Signature:
        text = _text(body)
        if status != 200:
            message = f": {text.strip()[:200]}" if text.strip() else ""
            raise ProofError(self._url, f"refused with {status}{message}")
        lines = text.removesuffix("\n").split("\n")
        for _, signature in note._replace(signatures=notes.parse_signatures(lines)).signed_by(
            [self._key]
        ):
            if 0 < signature.time < 2**63:
                return signature
        raise ProofError(
            self._url, "answered without a cosignature; check the witness's key in the policy"
        )


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")
