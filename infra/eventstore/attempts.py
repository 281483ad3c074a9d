"""Puts the attempt that a caller names into the report's data."""

from jobledger.domain.data import Data
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import MAX_ATTEMPT
from jobledger.domain.reports import with_fields
from jobledger.domain.values.names import parse_text
from jobledger.infra.eventstore.verbs import About


def with_attempt(data: Data, about: About) -> tuple[Data, About]:
    """Moves `attempt` and `runId` from what is known about an event to its data.

    Args:
        data: The data.
        about: The caller's other arguments.

    Returns:
        The data with both fields, where given, and the rest of `about`.

    Raises:
        InvalidFieldError: The number or the id of the attempt is not valid.
    """
    if "attempt" not in about and "run_id" not in about:
        return data, about
    rest: dict[str, object] = {**about}
    attempt, run_id = rest.pop("attempt", None), rest.pop("run_id", None)
    named = {
        "attempt": None if attempt is None else parse_attempt(attempt),
        "runId": parse_text("run_id", run_id),  # type: ignore[arg-type]  # It is checked there.
    }
    given = {field: value for field, value in named.items() if value is not None}
    return with_fields(data, given) if given else data, rest  # type: ignore[return-value]  # What is left of it is an About.


def parse_attempt(attempt: object) -> int:
    """Checks the number of an attempt, and returns it; raises InvalidFieldError."""
    if isinstance(attempt, int) and not isinstance(attempt, bool) and 1 <= attempt <= MAX_ATTEMPT:
        return attempt
    why = f"{attempt!r} is not the number of an attempt, from 1 to {MAX_ATTEMPT}; give other ids as run_id"
    raise InvalidFieldError("attempt", why)
