"""Follows a cluster: records the existing objects, then each change, until it is stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from operator import itemgetter
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import Final

import orjson
from jobledger.domain.errors import InvalidFieldError, LedgerError
from jobledger.domain.events import Created
from jobledger.infra.errors import LedgerUnavailableError, SourceUnavailableError
from jobledger.infra.eventstore.observing import observe_many
from jobledger.infra.eventstore.write_path import ObservedEvent
from jobledger.infra.read.store import Store
from jobledger.infra.sources.kubernetes.histories import Objects, has_ended
from jobledger.infra.sources.kubernetes.watch import GoneError, Resource, Seen
from jobledger.infra.sources.mapping.importing import ImportSummary, refusal

LOG: Final = logging.getLogger("jobledger.kubernetes")
RETRY_SECONDS: Final = 5.0
CLOSE_TIMEOUT_SECONDS: Final = 5.0


class ClusterFollower:
    """Records objects of a cluster, and stores in a file up to which version they were read."""

    def __init__(
        self, store: Store, objects: Objects, name: str, memory: Path | None = None
    ) -> None:
        """`memory` is the file of resource versions; without it everything is listed again."""
        self._store = store
        self._objects = objects
        self._memory = memory
        self.summary = ImportSummary(name)

    def record(self, seen: Iterable[Seen]) -> None:
        """Records changed objects in batches, each in one transaction."""
        self._write(event for each in seen for event in self._observed(each))

    def record_all(self, seen: Iterable[Seen]) -> None:
        """Records objects that are listed kind by kind, all that happened to them in the order of time.

        A list has the end of a Job before the Pods that led to it.
        """
        found = [(_when(event, each), event) for each in seen for event in self._observed(each)]
        self._write(event for _, event in sorted(found, key=itemgetter(0)))

    def read_all(self, resources: Sequence[Resource]) -> None:
        """Lists the kinds without a known version, and records them."""
        known = self._load()
        # The lists show which Pod belongs to which Job, even if a watch continues.
        listed = [
            each for each in resources if each.kind in ("Job", "Pod") or each.kind not in known
        ]
        self.record_all(chain.from_iterable(each.list() for each in listed))
        for resource in resources:
            resource.version = known.get(resource.kind, resource.version)
        self._save(resources)
        if not known:
            self._note_lost()

    def _note_lost(self) -> None:
        """Records live jobs that are missing as ended, although their end was not seen."""
        at = datetime.now(UTC)
        self._write([self._objects.lost_event(name, at) for name in self._unseen()])

    def _unseen(self) -> list[str]:
        asked = self._objects.live_filter
        return [
            job.name
            for job in self._store.reader.scan(asked)
            if not self._objects.has_seen(job.name)
        ]

    def follow(self, resources: Sequence[Resource], stop: Signal) -> None:
        """Lists and watches until `stop` is set; raises errors that a later try cannot fix."""
        failed: list[LedgerError] = []

        def work(resource: Resource) -> None:
            try:
                self._follow(resource, resources, stop)
            except LedgerError as error:
                failed.append(error)
                stop.set()

        self._until_reached(lambda: self.read_all(resources), stop)
        threads = [Thread(target=work, args=(each,), daemon=True) for each in resources]
        for thread in threads:
            thread.start()
        stop.wait()
        for resource in resources:
            resource.close()
        for thread in threads:
            thread.join(CLOSE_TIMEOUT_SECONDS)
        self._save(resources)
        if failed:
            raise failed[0]

    def _follow(self, resource: Resource, all_: Sequence[Resource], stop: Signal) -> None:
        def read() -> None:
            try:
                if resource.version is None:
                    self.record_all(resource.list())
                for seen in resource.watch() if resource.version else ():
                    self._record_pods_of(seen, all_)
                    self.record([seen])
                    if stop.is_set():
                        return
            except GoneError:
                LOG.warning("%s: changes are gone (410), listing again", resource.kind)
                resource.version = None
            self._save(all_)
            if resource.version is None:
                stop.wait(RETRY_SECONDS / 10)

        while not stop.is_set():
            self._until_reached(read, stop)

    def _record_pods_of(self, seen: Seen, resources: Sequence[Resource]) -> None:
        """Records the Pods of an ended Job before its end, because another watch reports them."""
        if not has_ended(seen.object):
            return
        pods = next(each for each in resources if each.kind == "Pod")
        self.record_all(pods.list(f"job-name={seen.object['metadata']['name']}"))

    def _until_reached(self, work: Callable[[], None], stop: Signal) -> None:
        """Runs a function; while the cluster or the ledger cannot be reached, tries again."""
        while not stop.is_set():
            try:
                work()
            except (SourceUnavailableError, LedgerUnavailableError) as error:
                if stop.is_set():
                    return
                LOG.warning("%s; trying again in %s s", error, RETRY_SECONDS)
                stop.wait(RETRY_SECONDS)
            else:
                return

    def _observed(self, seen: Seen) -> list[ObservedEvent]:
        self.summary.records += 1
        try:
            return self._objects.observed(seen.object, deleted=seen.deleted)
        except (InvalidFieldError, KeyError, TypeError, AttributeError) as wrong:
            meta = seen.object.get("metadata")
            name = meta.get("name") if isinstance(meta, dict) else None
            self.summary.miss(f"{seen.object.get('kind')} {name}", wrong)
            return []

    def _write(self, events: Iterable[ObservedEvent]) -> None:
        for event, outcome in observe_many(self._store.writer, events):
            if outcome.error is not None:
                self.summary.miss(event.name, refusal(outcome.error))
            else:
                self.summary.events += len(outcome.types)

    def _load(self) -> dict[str, str]:
        with suppress(OSError, orjson.JSONDecodeError):
            if self._memory is not None:
                return dict(orjson.loads(self._memory.read_bytes()))
        return {}

    def _save(self, resources: Sequence[Resource]) -> None:
        if self._memory is not None:
            known = {each.kind: each.version for each in resources if each.version}
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            self._memory.write_bytes(orjson.dumps(known))


def _when(event: ObservedEvent, seen: Seen) -> tuple[datetime, bool, str]:
    """When an event happened, with what decides within a second: the older Pod is first, and a Job ends last."""
    is_end = seen.object["kind"] == "Job" and not isinstance(event.data, Created)
    created = str(seen.object["metadata"].get("creationTimestamp"))
    return event.about["occurred_time"], is_end, created
