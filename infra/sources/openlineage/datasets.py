"""DatasetEvents of OpenLineage: facts about a dataset, stored in its own stream.

A stream is `datasets/PROJECT/ID`, of which ID is made of namespace and name as a job's is. Its events
are of schema 0, so of no job; they are in the log, and can be searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from jobledger.domain.job import Job
from jobledger.domain.values import canonical
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.eventstore.commit.appender import READ_VERSIONS, Appender
from jobledger.infra.eventstore.json_view import required_time
from jobledger.infra.eventstore.stored_event import Placed, foreign_row
from jobledger.infra.eventstore.writes.pending import Pending
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import translated
from jobledger.infra.read.reader import Reader
from jobledger.infra.sources.openlineage.event import JobKey, LineageEvent
from jobledger.infra.sources.openlineage.history import ledger_id

REPORTED: Final = "DatasetReported"
MAX_DATASETS: Final = 1_000
"""The most datasets that one search returns."""
FIND_FACTS: Final = sql.load(__package__, "find_dataset_facts")
READ_DATASETS: Final = sql.load(__package__, "read_datasets")


class DatasetFact(NamedTuple):
    """A fact about a dataset, from a DatasetEvent, for the dataset's stream."""

    stream: str
    data: bytes

    @classmethod
    def of(cls, event: LineageEvent, project: str) -> DatasetFact:
        """Returns the fact of an event; raises InvalidFieldError for JSON that cannot be stored."""
        assert event.dataset is not None
        value = {
            "dataset": event.dataset._asdict(),
            "eventTime": required_time(event.time),
            "event": event.given,
        }
        return cls(stream_of(event.dataset, project), canonical.encode(value))


def stream_of(dataset: JobKey, project: str) -> str:
    """Returns the stream of a dataset."""
    return f"datasets/{project}/{ledger_id(dataset)}"


class DatasetWrite(Pending):
    """Writes facts of datasets that are not stored yet; `written` is their number."""

    alone = True

    def __init__(self, facts: Sequence[DatasetFact], actor: str | None) -> None:
        super().__init__()
        self._facts = list(dict.fromkeys(facts))
        self._actor = actor
        self.written: set[DatasetFact] = set()

    def decide(self, jobs: dict[str, Job]) -> None:
        """Changes no job."""

    def write(self, appender: Appender, jobs: dict[str, Job]) -> Placed | None:
        """Writes the facts that are not stored yet; None if there are none."""
        self.decide(jobs)
        streams, data = [each.stream for each in self._facts], [each.data for each in self._facts]
        connection = appender.connection
        known = {
            DatasetFact(stream, bytes(stored))
            for stream, stored in connection.execute(FIND_FACTS, (streams, data))
        }
        versions: dict[str, int] = dict(
            connection.execute(READ_VERSIONS, (list(dict.fromkeys(streams)),)).fetchall()
        )
        self.rows, self.written = [], set()
        for fact in self._facts:
            if fact not in known:
                versions[fact.stream] = version = versions.get(fact.stream, 0) + 1
                row = foreign_row(fact.stream, version, REPORTED, fact.data, self._actor)
                self.rows.append(row)
                self.written.add(fact)
        return appender.append(self.rows, [], []) if self.rows else None


def read_datasets(reader: Reader, project: str, text: str = "") -> list[JsonObject]:
    """Returns the last fact of each dataset of a project whose namespace or name contains a text."""
    prefix = f"datasets/{project}/"
    asked = {"first": prefix, "last": prefix[:-1] + "0", "text": text, "most": MAX_DATASETS}
    with translated(), reader.connection() as connection:
        rows = connection.execute(READ_DATASETS, asked).fetchall()
    return [
        {
            **fact["dataset"],
            "eventTime": fact["eventTime"],
            "facets": fact["event"]["dataset"].get("facets") or {},
            "position": position,
            "version": version,
            "recordedTime": required_time(recorded),
        }
        for position, version, recorded, fact in rows
    ]
