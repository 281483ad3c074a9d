"""Retention rules: which jobs are pruned, and how long after their end.

Each change of a rule is an event in the stream `ledger/retention`; the last event of a name counts.
"""

import math
import re
from typing import Final, NamedTuple

from jobledger.domain.errors import InvalidFieldError, shown
from jobledger.domain.states import TERMINAL, JobState
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.filters import parse_filter
from jobledger.domain.values.names import parse_text
from jobledger.infra.eventstore.ledger_events import LedgerEventWrite, check_owner
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection, translated
from jobledger.infra.read.lists.filter_sql import render
from jobledger.infra.read.reader import Reader
from jobledger.infra.read.store import Store

STREAM: Final = "ledger/retention"
SET: Final = "RetentionRuleSet"
DROPPED: Final = "RetentionRuleDropped"
READ_RULES: Final = sql.load(__package__, "read_rules")
MAX_KEEP_SECONDS: Final = 100 * 366 * 86_400.0
ENDED: Final = tuple(sorted(state.name for state in TERMINAL))
_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class RetentionRule(NamedTuple):
    """A rule: jobs that match all of it are pruned.

    Attributes:
        name: Lowercase letters, digits, _ and -, at most 63, beginning with a letter.
        keep_seconds: How long a job is kept after it ended, or was deleted if that was later.
        states: The outcomes, such as SUCCEEDED; none means all.
        kind: The kind of the jobs, such as jobs or customJobs; "" means all.
        filter: An AIP-160 filter that a job must match, as in lists; "" matches all jobs.
    """

    name: str
    keep_seconds: float
    states: tuple[str, ...] = ()
    kind: str = ""
    filter: str = ""

    def check(self) -> None:
        """Raises InvalidFieldError unless the rule can be applied."""
        if not _NAME.fullmatch(self.name):
            why = f"{self.name!r} is not a lowercase letter, then up to 62 of a-z, 0-9, _ and -"
            raise InvalidFieldError("name", why)
        keep = self.keep_seconds
        if not math.isfinite(keep) or not 0 <= keep <= MAX_KEEP_SECONDS:
            raise InvalidFieldError("keep", f"{keep} seconds are not 0 to 100 years")
        for state in self.states:
            if state not in ENDED:
                known = "no outcome" if state in JobState.__members__ else "no state"
                raise InvalidFieldError("states", f"{state!r} is {known}; use {', '.join(ENDED)}")
        parse_text("kind", self.kind or None)
        if self.filter.strip():
            render(parse_filter(self.filter))

    def json(self) -> JsonObject:
        """Returns the rule as JSON."""
        return {
            "name": self.name,
            "keepSeconds": self.keep_seconds,
            "states": list(self.states),
            "kind": self.kind,
            "filter": self.filter,
        }


class StoredRule(NamedTuple):
    """A rule that is in force, and the position of the event that set it."""

    rule: RetentionRule
    position: int


def retention_rules(reader: Reader) -> list[RetentionRule]:
    """Returns the retention rules that are in force, by name.

    Args:
        reader: The ledger to read.

    Returns:
        The rules.

    Raises:
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> from jobledger import RetentionRule
        >>> _ = ledger.set_retention_rule(RetentionRule("old", 90 * 86_400.0))
        >>> [rule.name for rule in ledger.retention_rules()]
        ['old']
    """
    return [each.rule for each in stored_rules(reader)]


def set_retention_rule(
    store: Store, rule: RetentionRule, actor: str | None = None, *, request_id: str | None = None
) -> int:
    """Makes a retention rule, or replaces the one of the same name.

    Args:
        store: The ledger.
        rule: The rule.
        actor: The user who asks for it: 1 to 256 printable characters.
        request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
            returns the first call's answer and writes nothing. 1 to 256 printable characters.

    Returns:
        The position of the event that records it.

    Raises:
        InvalidFieldError: A part of the rule is not valid.
        RequestReusedError: The request id was used for another rule, or to drop one.
        OwnerNeededError: The database user does not own the ledger's tables.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> from jobledger import RetentionRule
        >>> rule = RetentionRule("failed", 7 * 86_400.0, ("FAILED",), filter='labels.team = "a"')
        >>> ledger.set_retention_rule(rule)
        1
    """
    if not isinstance(rule, RetentionRule):
        raise InvalidFieldError("rule", f"must be a RetentionRule, not {shown(rule)}")
    rule.check()
    return _record(store, _RuleWrite(SET, rule.name, rule.json(), actor, request_id))


def drop_retention_rule(
    store: Store, name: str, actor: str | None = None, *, request_id: str | None = None
) -> int:
    """Drops a retention rule: it is not applied any more.

    Args:
        store: The ledger.
        name: The rule's name.
        actor: The user who asks for it: 1 to 256 printable characters.
        request_id: Makes the call idempotent (AIP-155): a repeated call with the same id
            returns the first call's answer and writes nothing. 1 to 256 printable characters.

    Returns:
        The position of the event that records it.

    Raises:
        InvalidFieldError: There is no such rule.
        RequestReusedError: The request id was used for another rule, or to set one.
        OwnerNeededError: The database user does not own the ledger's tables.
        LedgerUnavailableError: The server cannot be reached.

    Examples:
        >>> from jobledger import RetentionRule
        >>> _ = ledger.set_retention_rule(RetentionRule("old", 90 * 86_400.0))
        >>> ledger.drop_retention_rule("old")
        2
    """
    return _record(store, _RuleWrite(DROPPED, name, {"name": name}, actor, request_id))


def stored_rules(reader: Reader) -> list[StoredRule]:
    """Returns the rules in force with the positions of their events, by name."""
    with translated(), reader.pool.connection() as connection:
        return _stored(connection)


def _stored(connection: Connection) -> list[StoredRule]:
    found = []
    for position, type_, data, *_ in connection.execute(READ_RULES):
        if type_ == SET:
            found.append(StoredRule(rule_of(canonical.decode(data)), position))
    return found


def rule_of(data: JsonObject) -> RetentionRule:
    """Parses a rule's JSON, as `RetentionRule.json` makes it; `check` finds what is not valid."""
    states = tuple(map(str, data.get("states") or ()))
    texts = {key: str(data.get(key) or "") for key in ("kind", "filter")}
    # A rule whose event has no number here is invalid, and is not applied.
    keep = data.get("keepSeconds")
    seconds = float(keep) if isinstance(keep, int | float) else math.nan
    return RetentionRule(str(data.get("name")), seconds, states, **texts)


def _record(store: Store, write: "_RuleWrite") -> int:
    check_owner(store.reader.pool, "to change retention rules")
    store.writer.submit(write)
    return write.position()


class _RuleWrite(LedgerEventWrite):
    stream = STREAM

    def __init__(
        self, type_: str, name: str, data: JsonObject, actor: str | None, request_id: str | None
    ) -> None:
        super().__init__(parse_text("actor", actor), parse_text("requestId", request_id), data)
        self.type = type_
        self._name = name
        self._data = data

    def do(self, connection: Connection) -> JsonObject:
        """Checks that a rule that is dropped is in force."""
        if self.type == DROPPED:
            names = [each.rule.name for each in _stored(connection)]
            if self._name not in names:
                known = ", ".join(names) or "there are none"
                raise InvalidFieldError("name", f"there is no rule {self._name!r}; rules: {known}")
        return self._data
