"""What the triggers noted of Airflow's rows, as the events that a ledger must have recorded of them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

EVENTS = {
    "scheduled": "Queued", "queued": "Queued", "running": "Started", "success": "Succeeded", "failed": "Failed",
    "up_for_retry": "Failed", "up_for_reschedule": "Paused", "deferred": "Paused",
    "skipped": "Cancelled", "upstream_failed": "Cancelled", "removed": "Cancelled",
}  # fmt: skip
"""The event that each of Airflow's states is recorded as."""
PAUSED = frozenset({"up_for_reschedule", "deferred"})
ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


PROCESSES = frozenset({"extract", "flaky", "fails", "choose"})
"""Tasks that run in a process of their own, and once for each try."""


class Compared(NamedTuple):
    """How a ledger's histories differ from what was noted."""

    missing: int
    doubled: int
    differing: list[str]
    """Each history that differs: its key, what was noted, and what was recorded."""


def wanted(noted: Iterable[Sequence[str | None]]) -> dict[str, list[str]]:
    """The types of the events that each history must have, in order.

    A mark by hand of what had ended is a new attempt and its end; what goes on after a pause is resumed.
    """
    found = defaultdict[str, list[str]](list)
    for key, op, old, state in noted:
        assert key is not None
        if op == "DELETE":
            found[key].append("Commented")
        elif op == "MAPPED":
            found[key].append("Cancelled")
        elif state:
            if old in ENDED and state in ENDED:
                found[key].append("Retried")
            if old in PAUSED and state in {"scheduled", "queued", "running", "success"}:
                found[key].append("Resumed")
            if old not in PAUSED or state != "scheduled":
                found[key].append(EVENTS[state])
    return dict(found)


def ends_of_processes(noted: Iterable[Sequence[str | None]]) -> dict[str, Counter[str]]:
    """How often each task ended while it ran in a process: those send OpenLineage events."""
    found = defaultdict[str, Counter[str]](Counter)
    for key, _, old, state in noted:
        assert key is not None
        parts = key.split("/")
        if (
            len(parts) > 2
            and parts[2] in PROCESSES
            and old == "running"
            and state in ("success", "failed", "up_for_retry")
        ):
            found[parts[2]][EVENTS[state]] += 1
    return dict(found)


def compare_lineage(
    ledger: Any, noted: Iterable[Sequence[str | None]]
) -> dict[str, tuple[Counter[str], Counter[str]]]:
    """By task, the ends that were noted and those that OpenLineage told, where they differ."""
    from jobledger.domain.values.job_ids import job_id

    differing = {}
    for task, ends in ends_of_processes(noted).items():
        history = ledger.history(f"projects/lineage/jobs/{job_id(f'airflow|etl.{task}')}")
        # Of runs that overlap, the end of one that another overtook is kept as Contradicted.
        types = (event.data.json_object().get("report", event.type) for event in history)
        told = Counter(type_ for type_ in types if type_ in ends)
        if told != ends:
            differing[task] = (ends, told)
    return differing


def compare(ledger: Any, noted: Iterable[Sequence[str | None]]) -> Compared:
    """Compares each history of the ledger's project `p` with what was noted."""
    from jobledger.domain.values.job_ids import job_id

    missing, doubled, differing = 0, 0, list[str]()
    for key, types in wanted(noted).items():
        history = ledger.history(f"projects/p/jobs/{job_id(key)}")
        found = [event.type for event in history[1:]]
        missing += (Counter(types) - Counter(found)).total()
        doubled += (Counter(found) - Counter(types)).total()
        if found != types:
            differing.append(f"{key}\n  noted:    {types}\n  recorded: {found}")
    return Compared(missing, doubled, differing)
