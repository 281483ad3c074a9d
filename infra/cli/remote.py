"""The ledger of `--server`: a client with the parts of a ledger that commands use."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn, TypeVar

from jobledger.domain.commands import JobCommand
from jobledger.domain.data import Data
from jobledger.domain.errors import BeyondEndError, InvalidFieldError
from jobledger.domain.job import Job
from jobledger.domain.values.moments import Clock, Moment
from jobledger.infra.client import exchanges, parsing
from jobledger.infra.client.client import EVENTS_PAGE, Client
from jobledger.infra.client.exchanges import Exchange, Given
from jobledger.infra.eventstore.feed import Ranges
from jobledger.infra.eventstore.verbs import About
from jobledger.infra.eventstore.write_path import Recorded
from jobledger.infra.programs.users import user_name
from jobledger.infra.retention.rules import RetentionRule

Shown = TypeVar("Shown")


class RemoteLedger(Client):
    """A ledger that is used through a server; raises InvalidFieldError for actions that need the database."""

    def __getattr__(self, name: str) -> NoReturn:
        raise database_needed() if not name.startswith("_") else AttributeError(name)

    def report(
        self,
        name: str,
        data: Data,
        *,
        occurred_time: datetime | None = None,
        actor: str | None = None,
        request_id: str | None = None,
        trace_parent: str | None = None,
        attempt: int | None = None,
        run_id: str | None = None,
    ) -> Recorded:
        """Does the same as Client.report; the token determines the actor."""
        _without_user({"actor": actor})
        return super().report(
            name,
            data,
            occurred_time=occurred_time,
            request_id=request_id,
            trace_parent=trace_parent,
            attempt=attempt,
            run_id=run_id,
        )

    def _ask(self, name: str, make: Callable[[], JobCommand | Data], about: About) -> Job:
        return super()._ask(name, make, _without_user(about))

    def hold(
        self,
        name: str,
        reason: str,
        *,
        pin: bool = False,
        actor: str | None = None,
        request_id: str | None = None,
    ) -> int:
        """Does the same as Client.hold; the token determines the actor."""
        _without_user({"actor": actor})
        return super().hold(name, reason, pin=pin, request_id=request_id)

    def release(
        self,
        name: str,
        reason: str = "",
        *,
        pin: bool = False,
        actor: str | None = None,
        request_id: str | None = None,
    ) -> int:
        """Does the same as Client.release; the token determines the actor."""
        _without_user({"actor": actor})
        return super().release(name, reason, pin=pin, request_id=request_id)

    def set_retention_rule(
        self, rule: RetentionRule, actor: str | None = None, *, request_id: str | None = None
    ) -> int:
        """Does the same as Client.set_retention_rule; the token determines the actor."""
        _without_user({"actor": actor})
        return super().set_retention_rule(rule, request_id=request_id)

    def drop_retention_rule(
        self, name: str, actor: str | None = None, *, request_id: str | None = None
    ) -> int:
        """Does the same as Client.drop_retention_rule; the token determines the actor."""
        _without_user({"actor": actor})
        return super().drop_retention_rule(name, request_id=request_id)

    def decrypted(self, shown: Shown) -> Shown:
        """Returns the value unchanged, because the server has decrypted it already."""
        return shown

    opened = decrypted

    def moment(
        self, as_of: Given = None, clock: Clock | str | None = None, name: str | None = None
    ) -> Moment:
        """Resolves a moment; a version refers to the job of that name."""
        if name is None or as_of is None:  # The answer about a job as it is now has no moment.
            return super().moment(as_of, clock)
        asked = exchanges.job(name, as_of, clock)
        return self._exchange(Exchange("GET", asked.path, parsing.moment_of, asked.query))

    def size(self) -> int:
        """Returns the last position."""
        return super().moment().position

    def check_reached(self, position: int, field: str = "after") -> None:
        """Raises BeyondEndError for a position after the last."""
        if position > (size := self.size()):
            raise BeyondEndError(field, position, size)

    def pruned(self, after: int, until: int) -> Ranges:
        """Returns the ranges of pruned positions between two positions."""
        found: Ranges = []
        while after < until:
            query = {"after": str(after), "pageSize": str(EVENTS_PAGE)}
            page: Any = self._exchange(Exchange("GET", f"{exchanges.ROOT}/events", dict, query))
            found += [(first, last) for first, last in page.get("prunedPositions", ())]
            if page["lastPosition"] == after:
                break
            after = page["lastPosition"]
        return found


def database_needed() -> InvalidFieldError:
    """Returns the error for a command that is not possible through a server."""
    return InvalidFieldError("server", "this command needs the database itself: leave out --server")


def _without_user(about: Any) -> Any:
    """Removes the user's name as actor; raises InvalidFieldError for another actor."""
    actor = about.get("actor")
    if actor not in {None, user_name()}:
        raise InvalidFieldError(
            "actor", "is the token's name where a server is asked: leave it out"
        )
    return {key: value for key, value in about.items() if key != "actor"}
