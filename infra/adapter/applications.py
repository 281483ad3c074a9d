"""Which eventsourcing application uses each ledger in this process."""

from collections import Counter
from threading import Lock
from typing import Final

from eventsourcing import postgres
from jobledger.infra.adapter.datastore import ledger_of

APPLICATION: Final = "{application}"
"""A placeholder in POSTGRES_SCHEMA for the application's name in lower case."""


class Applications:
    """Which application uses each ledger in this process: a ledger is the log of one.

    The stock recorder keeps the events of each application in tables of its own. A ledger has one log:
    of two applications on it each would be notified of its own events as of the other's, in an endless loop.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._names: dict[str, Counter[str]] = {}

    def enter(self, ledger: str, name: str, schema: str) -> None:
        """Notes one more recorder of that application; raises OSError where another one's is open."""
        with self._lock:
            names = self._names.setdefault(ledger, Counter())
            other = next((each for each in names if each != name), None)
            if other is not None:
                raise OSError(_refusal(name, other, schema))
            names[name] += 1

    def leave(self, ledger: str, name: str) -> None:
        """Forgets one recorder."""
        with self._lock:
            names = self._names[ledger]
            names[name] -= 1
            if names[name] == 0:
                del names[name]


def _refusal(name: str, other: str, schema: str) -> str:
    names, key = sorted((name, other)), postgres.PostgresFactory.POSTGRES_SCHEMA
    settings = " and ".join(f"{each.upper()}_{key}={each.lower()}" for each in names)
    return (
        f"the applications {names[0]!r} and {names[1]!r} are both configured to use the ledger"
        f" {ledger_of(schema)!r}, and would take each other's events for their own: name a ledger"
        f" for each, such as {settings}, or {key}={APPLICATION} for all of them"
    )


APPLICATIONS: Final = Applications()
