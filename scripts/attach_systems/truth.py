"""What triggers note of a system's rows, and the events that a ledger must have recorded of them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from scripts.attach_airflow.truth import Compared

EVENTS = {
    "dbos": {
        "ENQUEUED": ["Queued"], "PENDING": ["Started"], "SUCCESS": ["Succeeded"], "ERROR": ["Failed"],
        "CANCELLED": ["Cancelled"],
    },
    "prefect": {
        "SCHEDULED": ["Queued"], "PENDING": ["Preparing"], "RUNNING": ["Started"], "Retrying": ["Retried", "Started"],
        "COMPLETED": ["Succeeded"], "FAILED": ["Failed"], "CANCELLED": ["Cancelled"], "CANCELLING": ["Cancelling"],
        "PAUSED": ["Paused"],
    },
    "dagster": {
        "NOT_STARTED": [], "QUEUED": ["Queued"], "STARTING": ["Preparing"], "STARTED": ["Started"],
        "SUCCESS": ["Succeeded"], "FAILURE": ["Failed"], "CANCELING": ["Cancelling"], "CANCELED": ["Cancelled"],
        "STEP_START": ["Started"], "STEP_RESTARTED": ["Started"], "STEP_SUCCESS": ["Succeeded"],
        "STEP_FAILURE": ["Failed"], "STEP_UP_FOR_RETRY": ["Failed"], "STEP_SKIPPED": ["Cancelled"],
    },
    "river": {
        "pending": [], "scheduled": [], "available": [], "running": ["Started"], "cancelling": ["Cancelling"],
        "retryable": ["Failed", "Retried"], "completed": ["Succeeded"], "cancelled": ["Cancelled"], "discarded": ["Failed"],
    },
}  # fmt: skip
"""By system, the events that each state is recorded as."""
AGAIN = " was reported again"


def triggers(noted: Iterable[Any]) -> str:
    """SQL that makes triggers which note each state of these tables in a table `truth`."""
    statements = [
        "CREATE TABLE public.truth (id bigserial, key text, state text, time timestamptz)"
    ]
    for number, (table, key, state, time, deleted) in enumerate(noted):
        statements.append(f"""
CREATE FUNCTION public.note_{number}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE before text;
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO public.truth (key, state, time)
        SELECT {key}, 'deleted', clock_timestamp() FROM (SELECT OLD.*) AS r WHERE {deleted} AND {key} IS NOT NULL;
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        SELECT {state} INTO before FROM (SELECT OLD.*) AS r;
    END IF;
    INSERT INTO public.truth (key, state, time)
    SELECT {key}, {state}, {time} FROM (SELECT NEW.*) AS r
    WHERE {key} IS NOT NULL AND {state} IS DISTINCT FROM before;
    RETURN NULL;
END $$;
CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION public.note_{number}()""")
    return ";\n".join(statements)


def wanted(system: str, noted: Iterable[Sequence[str | None]]) -> dict[str, list[str]]:
    """The types of the events that each history must have."""
    found, before = defaultdict[str, list[str]](list), dict[str, str]()
    for key, state in noted:
        assert key is not None
        assert state is not None
        if state == "deleted":
            found[key].append("Commented")
        elif system == "river":
            found[key] += _of_river(before.get(key), state)
        else:
            found[key] += EVENTS[system].get(state, [])
        before[key] = state
    return {key: types for key, types in found.items() if types}


def _of_river(before: str | None, noted: str) -> list[str]:
    """The events of a state of River's, which is noted with the number of its attempt."""
    state, attempt = noted.split()
    was, attempt_before = (before or "new 0").split()
    ran = was in ("running", "cancelling")
    if state == "cancelling" and not ran:
        return ["Started"]  # The mark of a cancellation stays if the job is retried by hand.
    if state not in ("available", "scheduled"):
        return EVENTS["river"][state]
    if ran:
        # A job that is put off is not at its attempt any more; one that failed can be tried again at once.
        return ["Failed", "Retried"] if attempt == attempt_before else ["Paused"]
    if was in ("completed", "cancelled", "discarded"):
        return ["Retried"]
    return ["Queued"] if state == "available" and was != "new" else []


def compare(ledger: Any, system: str, noted: Iterable[Sequence[str | None]]) -> Compared:
    """Compares each history of the ledger's project `p` with what was noted, as states can come in any order."""
    from jobledger.domain.values.job_ids import job_id

    missing, doubled, differing = 0, 0, list[str]()
    for key, types in wanted(system, noted).items():
        found = [
            type_
            for event in ledger.history(f"projects/p/jobs/{job_id(key)}")[1:]
            if (type_ := _reported(event))
        ]
        missing += (Counter(types) - Counter(found)).total()
        doubled += (Counter(found) - Counter(types)).total()
        if Counter(found) != Counter(types):
            differing.append(f"{key}\n  noted:    {types}\n  recorded: {found}")
    return Compared(missing, doubled, differing)


def _reported(event: Any) -> str | None:
    """The type of what the source reported; None if the event follows from another, or is a note on an error."""
    data = event.data.json_object()
    note = data.get("note", "")
    if note.endswith(AGAIN):
        return str(note.removesuffix(AGAIN))
    if data.get("inferred") or event.type == "Resumed" or "serialized" in data:
        return None
    return str(event.type)
