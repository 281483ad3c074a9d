"""The ledger of a run that is reported through a server: `jobledger run --server URL`."""

from __future__ import annotations

from typing import Any, Final

from jobledger.domain.job import Job
from jobledger.infra.client.client import Client

RETRIES: Final = 1
ANSWER_SECONDS: Final = 5.0
"""Seconds that a finished run waits for its reports; unrecorded ones are spooled."""


class RemoteStore:
    """A store for a run, with a reader, a writer and leases, that uses a server."""

    def __init__(self, server: str, token: str | None) -> None:
        """`server` is the address of `jobledger serve`, and `token` one for an operator."""
        self._client = Client(server, token, retries=RETRIES, timeout_seconds=ANSWER_SECONDS)

    @property
    def reader(self) -> RemoteStore:
        """Reads through the server."""
        return self

    @property
    def writer(self) -> RemoteStore:
        """Writes through the server."""
        return self

    def get(self, name: str) -> Job:
        """Returns the job with its run ids, which are read from its history."""
        events = self._client.history(name)
        named = (event.json.get("runId") for event in events if event.stored)
        ids = dict.fromkeys(run_id for run_id in named if run_id and isinstance(run_id, str))
        return self._client.get(name).model_copy(update={"run_ids": tuple(ids)})

    def command(self, name: str, command: Any, **about: Any) -> Any:
        """Does the same as Ledger.command; the actor is the token's name."""
        return self._client.command(name, command, **_without_actor(about))

    def report(self, name: str, data: Any, **about: Any) -> Any:
        """Does the same as Ledger.report; the actor is the token's name."""
        return self._client.report(name, data, **_without_actor(about))

    def keep_lease(self, name: str, run_id: str, seconds: float) -> None:
        """Sends a heartbeat."""
        self._client.heartbeat(name, run_id, seconds)

    def end_lease(self, name: str, run_id: str) -> None:
        """Reports that no further heartbeat follows."""
        self.keep_lease(name, run_id, 0)

    def checkpoint(self) -> None:
        """Does nothing, because the server signs."""

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()


def _without_actor(about: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in about.items() if key != "actor"}
