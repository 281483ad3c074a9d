"""Converts objects of Kubernetes into histories: a job for each Job, an attempt for each Pod and restart.

| Kubernetes | the ledger |
| --- | --- |
| Job | a job `NAMESPACE/NAME`; its controller, such as a CronJob, is its parent |
| Pod of a Job with one completion | an attempt, by the Pod's uid |
| Pod of a Job with several | a job `NAMESPACE/JOB/POD`, a child of the Job's |
| restart of the main container | an attempt |
| Suspended, Complete, Failed | Paused and Resumed, Succeeded, Failed |
| a Warning event, a condition of Kueue's Workload | Commented, with its reason |
| deletion of what had not ended | Cancelled; of a Pod: Failed |

An object has its state, not what changed; what is recorded already adds nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from jobledger.domain.data import UNKNOWN
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.observing import end_unless_ended, introduce, observe
from jobledger.domain.reports import parse_report
from jobledger.domain.states import TERMINAL, JobState
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.job_ids import job_id
from jobledger.domain.values.labels import MAX_LABELS, nearest
from jobledger.domain.values.names import parse_time
from jobledger.infra.eventstore.methods.request import AboutReport
from jobledger.infra.eventstore.write_path import ObservedEvent
from jobledger.infra.eventstore.writes.judge import Judge
from jobledger.infra.sources.kubernetes.deciding import (
    catch_up_job,
    catch_up_pod,
    introduce_object,
)
from jobledger.infra.sources.kubernetes.pods import Fact, condition, pod_facts, reason_of, time_of

INDEX: Final = "batch.kubernetes.io/job-completion-index"
_WORKLOAD: Final = (("QuotaReserved", "False"), ("Admitted", "True"), ("Evicted", "True"))
"""Conditions of a Workload that show why it waits, or that it no longer waits."""


class Objects:
    """Converts objects into events of one project; caches which Pod belongs to which Job."""

    def __init__(self, project: str, actor: str, namespace: str | None = None) -> None:
        """`actor` is the actor of all events; `namespace` limits the objects, None is all namespaces."""
        self._seen: set[str] = set()
        within = f' AND labels.namespace = "{namespace}"' if namespace else ""
        live = " OR ".join(f"state = {each.name}" for each in JobState if each not in TERMINAL)
        self.live_filter = (
            f'project = "{project}" AND labels.source = "kubernetes" AND ({live}){within}'
        )
        """A filter for the jobs that a full list has to have objects of."""
        self._project = project
        self._actor = actor
        self._parallel: set[str] = set()
        """The Jobs, as NAMESPACE/NAME, that have several completions."""
        self._of_pod: dict[str, str] = {}
        """The ledger's job of each Pod, by NAMESPACE/NAME."""

    def observed(self, given: JsonObject, *, deleted: bool = False) -> list[ObservedEvent]:
        """Decides what to record of an object.

        Args:
            given: The object, as Kubernetes' API writes it.
            deleted: Whether the cluster deleted it.

        Returns:
            The events, in the order in which they are recorded; none if it belongs to no Job.

        Raises:
            InvalidFieldError: The object has no kind, name or namespace.
        """
        read = {
            "Job": self._job,
            "Pod": self._pod,
            "Event": self._event,
            "Workload": self._workload,
        }
        kind = given.get("kind")
        meta = given.get("metadata")
        if not isinstance(kind, str) or not isinstance(meta, dict) or "name" not in meta:
            raise InvalidFieldError(
                "object", "is not a Kubernetes object: it has no kind or no name"
            )
        if kind not in read:
            return []
        return list(read[kind](given, deleted))

    def has_seen(self, name: str) -> bool:
        """Whether an object of a job, given by its name in the ledger, was seen."""
        return name in self._seen

    def lost_event(self, name: str, at: datetime) -> ObservedEvent:
        """Returns the end of a job whose object is gone; how it ended was not seen."""
        data = {
            "lost": True,
            "reason": "its object is not in Kubernetes any more, and its end was not seen",
        }
        fact = Fact("Expired", at, data)
        about = self._about(name, fact)
        return ObservedEvent(name, parse_report("Expired", data), about, end_unless_ended)

    def _job(self, job: JsonObject, deleted: bool) -> Iterator[ObservedEvent]:
        meta, spec = job["metadata"], job.get("spec", {})
        name = _key(meta)
        if max(spec.get("parallelism") or 1, spec.get("completions") or 1) > 1:
            self._parallel.add(name)
        created = time_of(meta.get("creationTimestamp"))
        if created is None:
            raise InvalidFieldError(
                "metadata.creationTimestamp",
                f"{meta.get('creationTimestamp')!r:.80} is not a time in RFC 3339",
            )
        kept = ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "suspend")
        about = {"uid": meta.get("uid"), **{key: spec.get(key) for key in kept}}
        owner = _owner(meta)
        parents = [f"{meta['namespace']}/{owner['name']}"] if owner else []
        yield self._created(name, meta, created, about, parents)._replace(judge=introduce_object)
        for fact in _job_facts(job, deleted=deleted):
            yield self._report(name, fact, catch_up_job)

    def _pod(self, pod: JsonObject, deleted: bool) -> Iterator[ObservedEvent]:
        meta = pod["metadata"]
        owner = _owner(meta)
        if owner.get("kind") != "Job":
            return
        job = f"{meta['namespace']}/{owner['name']}"
        is_child = job in self._parallel or INDEX in (meta.get("annotations") or {})
        name = f"{job}/{meta['name']}" if is_child else job
        self._of_pod[_key(meta)] = name
        created = time_of(meta.get("creationTimestamp"))
        if created is None:
            raise InvalidFieldError(
                "metadata.creationTimestamp",
                f"{meta.get('creationTimestamp')!r:.80} is not a time in RFC 3339",
            )
        if is_child:
            yield self._created(name, meta, created, {"uid": meta["uid"]}, [job])
        else:
            # The Job may be gone, or not seen yet.
            uid = {"uid": owner.get("uid")}
            yield self._created(name, {**meta, "name": owner["name"]}, created, uid, [])
        waits = condition(pod, "PodScheduled", "False")
        if (time := time_of(waits.get("lastTransitionTime"))) is not None:
            yield self._comment(name, time, waits, "waiting")
        for fact in pod_facts(pod, deleted=deleted):
            yield self._report(name, fact, catch_up_pod)
            if fact.type == "Started" and job in self._parallel:
                yield self._report(job, Fact("Started", fact.time, {}), catch_up_pod)

    def _event(self, event: JsonObject, deleted: bool) -> Iterator[ObservedEvent]:
        of = event.get("involvedObject") or event.get("regarding") or {}
        if deleted or event.get("type") != "Warning" or of.get("kind") not in ("Job", "Pod"):
            return
        key = f"{of.get('namespace')}/{of.get('name')}"
        name = key if of["kind"] == "Job" else self._of_pod.get(key)
        times = (event.get(each) for each in ("lastTimestamp", "eventTime", "firstTimestamp"))
        time = next((found for each in times if (found := time_of(each)) is not None), None)
        if name is not None and time is not None:
            detail = event | {"message": event.get("message") or event.get("note")}
            yield self._comment(name, time, detail, "event")

    def _workload(self, workload: JsonObject, deleted: bool) -> Iterator[ObservedEvent]:
        meta = workload["metadata"]
        owner = _owner(meta)
        if deleted or owner.get("kind") != "Job":
            return
        for type_, status in _WORKLOAD:
            found = condition(workload, type_, status)
            if (time := time_of(found.get("lastTransitionTime"))) is not None:
                kind = "waiting" if status == "False" else type_.lower()
                yield self._comment(f"{meta['namespace']}/{owner['name']}", time, found, kind)

    def _created(
        self, name: str, meta: JsonObject, time: datetime, about: JsonObject, parents: list[str]
    ) -> ObservedEvent:
        spec: JsonObject = {key: value for key, value in about.items() if value is not None}
        spec["displayName"] = meta["name"]
        labels = {"source": "kubernetes", "namespace": nearest("namespace", meta["namespace"])[1]}
        for key, value in (meta.get("labels") or {}).items():
            labels.setdefault(*nearest(key, value))
        data: JsonObject = {"labels": dict(list(labels.items())[:MAX_LABELS]), "spec": spec}
        if parents:
            data["parents"] = [self._name(each) for each in parents]
        about_ = self._about(name, Fact("Created", time, data))
        self._seen.add(self._name(name))
        return ObservedEvent(self._name(name), parse_report("Created", data), about_, introduce)

    def _comment(self, name: str, time: datetime, detail: JsonObject, kind: str) -> ObservedEvent:
        note = {
            "note": f"{kind}: {reason_of(detail)}",
            "kubernetes": kind,
            "reason": detail.get("reason"),
        }
        fact = Fact("Commented", time, {key: value for key, value in note.items() if value})
        data = parse_report("Commented", fact.data)
        return ObservedEvent(self._name(name), data, self._about(name, fact), observe)

    def _report(self, name: str, fact: Fact, catch_up: Judge) -> ObservedEvent:
        data = parse_report(fact.type, fact.data)
        judge = observe if fact.type == "Commented" else catch_up
        return ObservedEvent(self._name(name), data, self._about(name, fact), judge)

    def _about(self, name: str, fact: Fact) -> AboutReport:
        """Returns the metadata. The request id is derived from the content, so that a repeated event is recorded once."""
        content = json.dumps([name, fact.type, fact.time.isoformat(), fact.data], sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()[:32]
        time = parse_time(fact.time, datetime.now(UTC), "time")
        return AboutReport(occurred_time=time, request_id=f"kubernetes:{digest}", actor=self._actor)

    def _name(self, key: str) -> str:
        return f"projects/{self._project}/jobs/{job_id(key)}"


def has_ended(given: JsonObject) -> bool:
    """Whether an object is a Job that has ended."""
    ends = (condition(given, type_) for type_ in ("Complete", "Failed"))
    return given.get("kind") == "Job" and any(ends)


def _key(meta: JsonObject) -> str:
    namespace = meta.get("namespace")
    if not isinstance(namespace, str) or not namespace:
        raise InvalidFieldError("metadata.namespace", f"{namespace!r} is no namespace")
    return f"{namespace}/{meta['name']}"


def _owner(meta: JsonObject) -> dict[str, Any]:
    """Returns the controller of an object; empty if it has none."""
    owners = meta.get("ownerReferences") or ()
    return next((dict(each) for each in owners if each.get("controller")), {})


def _job_facts(job: JsonObject, *, deleted: bool) -> Iterator[Fact]:
    found: list[Fact] = []
    for type_, status, event in (
        ("Suspended", "True", "Paused"), ("Suspended", "False", "Resumed"),
        # A Job that exceeds its deadline is to fail, then its Pods are deleted, and then it fails.
        ("Complete", "True", "Succeeded"), ("FailureTarget", "True", "Failed"), ("Failed", "True", "Failed"),
    ):  # fmt: skip
        found_condition = condition(job, type_, status)
        if (time := time_of(found_condition.get("lastTransitionTime"))) is None:
            continue
        data: JsonObject = {}
        if event == "Failed":
            data = {"error": {"code": UNKNOWN, "message": reason_of(found_condition)}}
        if type_ == "Failed":
            found.append(
                Fact("Commented", time, {"note": f"the Job failed: {reason_of(found_condition)}"})
            )
        elif event == "Paused":
            data = {"reason": reason_of(found_condition)}
        found.append(Fact(event, time, data))
    gone = time_of(job["metadata"].get("deletionTimestamp")) or datetime.now(UTC)
    if deleted and not any(fact.type in ("Succeeded", "Failed") for fact in found):
        found.append(Fact("Cancelled", gone, {"reason": "deleted in Kubernetes"}))
    yield from sorted(found, key=lambda fact: fact.time)
