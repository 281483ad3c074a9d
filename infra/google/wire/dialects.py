"""The names of states in the three APIs, and the translation of their filters.

A state that a dialect lacks is shown as the nearest one. If a filter names that one,
it matches both.
"""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import JobState as S
from jobledger.domain.values.filters import All, Ever, Filter, Not, Restriction, Some, parse_filter

ML_RENAMED: Final = {
    S.PENDING: "PREPARING",
    S.PAUSED: "QUEUED",
    S.UPDATING: "RUNNING",
    S.PARTIALLY_SUCCEEDED: "SUCCEEDED",
    S.EXPIRED: "CANCELLED",
}
"""The states that ml v1 lacks, and the nearest that it has."""
ML_STATES: Final = {state: ML_RENAMED.get(state, state.name) for state in S}
JOB_STATES: Final = {state: f"JOB_STATE_{state.name}" for state in S}
PIPELINE_STATES: Final = {
    **{state: f"PIPELINE_STATE_{state.name}" for state in S},
    S.EXPIRED: "PIPELINE_STATE_CANCELLED",
    S.UPDATING: "PIPELINE_STATE_RUNNING",
    S.PARTIALLY_SUCCEEDED: "PIPELINE_STATE_SUCCEEDED",
}
EVALUATION_STATES: Final = {
    **dict.fromkeys(S, "STOPPED"),
    S.QUEUED: "SCHEDULED",
    S.PENDING: "SCHEDULED",
    S.RUNNING: "RUNNING",
    S.UPDATING: "RUNNING",
    S.PAUSED: "PAUSED",
}

States = Mapping[S, str]
Translation = Callable[[Restriction], Filter]


def read_filter(text: str, scope: Filter, translate: Translation) -> Filter:
    """Translates a dialect's filter into the ledger's, within a scope; raises InvalidFieldError."""
    return All((scope, _translated(parse_filter(text), translate)))


def collection_of(parent: str, collection: str) -> Filter:
    """Returns a filter for the jobs of one collection in any state; the location `-` means all."""
    project, _, location = parent.removeprefix("projects/").partition("/locations/")
    prefix = f"projects/{project}/locations/" if location == "-" else f"{parent}/{collection}/"
    return All(
        (
            Restriction(("project",), "=", project),
            Restriction(("kind",), "=", collection),
            Restriction(("name",), ":", f"{prefix}*"),
            Restriction(("state",), ":", "*"),
        )
    )


def in_states(restriction: Restriction, states: States) -> Filter:
    """Translates a comparison with a dialect's name of a state; `*` at an end is a wildcard."""
    comparator, value = restriction.comparator, restriction.value
    if comparator not in {"=", "!=", ":"}:
        raise InvalidFieldError(
            "filter", f"states cannot be compared with {comparator}; use = or !="
        )
    pattern = value.replace("[", "[[]").replace("?", "[?]")  # Only `*` is a wildcard.
    meant = [state for state in S if fnmatchcase(states[state], pattern)]
    if not meant and value not in set(states.values()) and "*" not in value:
        raise InvalidFieldError(
            "filter",
            f"state is never {value!r}; it is one of {', '.join(dict.fromkeys(states.values()))}",
        )
    one_of = Some(tuple(Restriction(("state",), "=", state.name) for state in meant))
    if not meant:
        # Matches no job, because no job has version 0.
        one_of = Some((Restriction(("version",), "=", "0"),))
    return Not(one_of) if comparator == "!=" else one_of


def _translated(tree: Filter, translate: Translation) -> Filter:
    match tree:
        case Restriction():
            return translate(tree)
        case Not(term=term):
            return Not(_translated(term, translate))
        case Ever(term=term):
            return Ever(_translated(term, translate))
        case All(terms=terms):
            return All(tuple(_translated(term, translate) for term in terms))
        case Some(terms=terms):
            return Some(tuple(_translated(term, translate) for term in terms))
