"""The events of a Pod, which is an attempt: scheduled, started, ended, restarted, evicted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from jobledger.domain.data import UNKNOWN
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.times import parse_iso

ENDED: Final = frozenset({"Succeeded", "Failed"})
DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
"""The annotation of a Pod that names its main container."""


class Fact(NamedTuple):
    """An event of a job: its type, when, and its data."""

    type: str
    time: datetime
    data: JsonObject


def time_of(text: Any) -> datetime | None:
    """Parses a Kubernetes time; returns None for anything else."""
    try:
        return parse_iso(text)
    except (TypeError, ValueError):
        return None


def condition(found: JsonObject, type_: str, status: str = "True") -> JsonObject:
    """Returns the condition with that type and status in an object's status; empty if there is none."""
    for each in found.get("status", {}).get("conditions") or ():
        if each.get("type") == type_ and each.get("status") == status:
            return dict(each)
    return {}


def reason_of(found: JsonObject) -> str:
    """Returns `REASON: MESSAGE`, with the parts that the object has."""
    return ": ".join(part for part in (found.get("reason"), found.get("message")) if part)


def pod_facts(pod: JsonObject, *, deleted: bool = False) -> Iterator[Fact]:
    """Returns the events of a Pod, oldest first; each restart of its main container is an attempt, too."""
    uid, status = pod["metadata"]["uid"], pod.get("status", {})
    first = _main_container(pod)
    restarts = first.get("restartCount", 0)
    run_id = _run_id(uid, restarts)
    if (scheduled := time_of(condition(pod, "PodScheduled").get("lastTransitionTime"))) is not None:
        yield Fact("Preparing", scheduled, {"runId": _run_id(uid, 0)})
    if before := first.get("lastState", {}).get("terminated"):
        yield from _ran(before, pod, _run_id(uid, restarts - 1))
    state = first.get("state", {})
    if running := state.get("running"):
        yield from _started(running, pod, run_id)
    elif (terminated := state.get("terminated")) and status.get("phase") not in ENDED:
        yield from _ran(terminated, pod, run_id)
    if status.get("phase") in ENDED or deleted:
        yield from _ended(pod, state.get("terminated") or {}, run_id)


def _main_container(pod: JsonObject) -> JsonObject:
    """Returns the status of the default container, else of the first in the Pod's specification.

    Kubernetes sorts the statuses by name.
    """
    found = pod.get("status", {}).get("containerStatuses") or ()
    statuses: dict[str, JsonObject] = {each.get("name"): each for each in found}
    default = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER)
    specified = [each.get("name") for each in pod.get("spec", {}).get("containers") or ()]
    names = (default, *specified, *statuses)
    return next((statuses[name] for name in names if name in statuses), {})


def _terminations(pod: JsonObject) -> list[JsonObject]:
    """Returns how each container ended, in the order of their ends; those without a time are last."""
    status = pod.get("status", {})
    kinds = (status.get(key) or () for key in ("initContainerStatuses", "containerStatuses"))
    states = (each.get("state", {}).get("terminated") for found in kinds for each in found)
    return sorted(filter(None, states), key=lambda each: str(each.get("finishedAt") or "~"))


def _run_id(uid: str, restarts: int) -> str:
    return uid if restarts <= 0 else f"{uid}/{restarts}"


def _started(state: JsonObject, pod: JsonObject, run_id: str) -> Iterator[Fact]:
    if (time := time_of(state.get("startedAt"))) is not None:
        data = {"runId": run_id, "pod": pod["metadata"]["name"]}
        if node := pod.get("spec", {}).get("nodeName"):
            data["worker"] = node
        yield Fact("Started", time, data)


def _ran(terminated: JsonObject, pod: JsonObject, run_id: str) -> Iterator[Fact]:
    """Returns the events of a container that ended while its Pod is still running."""
    yield from _started(terminated, pod, run_id)
    if (time := time_of(terminated.get("finishedAt"))) is not None and terminated.get("exitCode"):
        yield Fact("Failed", time, {"runId": run_id} | _error(pod, terminated))


def _ended(pod: JsonObject, terminated: JsonObject, run_id: str) -> Iterator[Fact]:
    yield from _started(terminated, pod, run_id)
    ends = _terminations(pod)
    times = [time for each in ends if (time := time_of(each.get("finishedAt"))) is not None]
    time = (
        max(times, default=None)
        or time_of(condition(pod, "DisruptionTarget").get("lastTransitionTime"))
        or time_of(pod["metadata"].get("deletionTimestamp"))
        or time_of(condition(pod, "Ready", "False").get("lastTransitionTime"))
        or time_of(pod.get("status", {}).get("startTime"))
    )
    if time is None:
        return
    if pod.get("status", {}).get("phase") == "Succeeded":
        yield Fact("Succeeded", time, {"runId": run_id})
    else:
        cause = next((each for each in ends if each.get("exitCode")), terminated)
        yield Fact("Failed", time, {"runId": run_id} | _error(pod, cause))


def _error(pod: JsonObject, terminated: JsonObject) -> JsonObject:
    """Returns why a Pod failed: an eviction or preemption, else its container's reason, else that it is gone."""
    status = pod.get("status", {})
    disrupted = condition(pod, "DisruptionTarget")
    evicted = status if status.get("reason") else disrupted
    why = reason_of(evicted) or reason_of(terminated) or "the Pod was deleted"
    data: JsonObject = {"error": {"code": UNKNOWN, "message": why}}
    if reason := evicted.get("reason") or terminated.get("reason"):
        data["reason"] = reason
    if (code := terminated.get("exitCode")) is not None:
        data["exitCode"] = code
    return data
