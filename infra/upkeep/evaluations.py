"""Compares datasets, answers, evaluations and annotation spec sets with the digests in their jobs' events."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any, Final

import orjson
from jobledger.domain import run_events as r
from jobledger.domain.errors import LedgerError
from jobledger.domain.metrics.run_digests import (
    digest_of_answers,
    digest_of_evaluations,
    digest_of_samples,
)
from jobledger.domain.values.times import utc_text
from jobledger.infra.eventstore.stored_event import RecordedEvent
from jobledger.infra.postgres import sql
from jobledger.infra.postgres.connections import Connection
from jobledger.infra.upkeep.findings import Finding

VERIFY_RUN_EVENTS: Final = sql.load(__package__, "verify_run_events")
TYPES: Final = tuple(
    each.__name__
    for each in (r.RunStarted, r.DatasetCreated, r.LabelingCompleted, r.EvaluationCreated)
)
"""Types of events that contain digests of other rows."""
VERIFY_SAMPLES: Final = sql.load(__package__, "verify_samples")
VERIFY_ANSWERS: Final = sql.load(__package__, "verify_answers")
VERIFY_FOUND: Final = sql.load(__package__, "verify_found")
VERIFY_SPEC_SETS: Final = sql.load(__package__, "verify_spec_sets")
VERIFY_SAMPLING: Final = sql.load(__package__, "verify_sampling")


def check_evaluations(connection: Connection) -> list[Finding]:
    """Compares what evaluation runs stored with the digests in their events, and finds rows that no event names.

    Samples that no run has taken have no digest. A job without any rows was imported: its events
    were imported without them.

    Args:
        connection: A connection to the ledger's schema.

    Returns:
        The differences.
    """
    rows = connection.execute(VERIFY_RUN_EVENTS, (list(TYPES),)).fetchall()
    events = [RecordedEvent(*row[1:]) for row in rows if row[0]]
    findings = [Finding(*row) for row in connection.execute(VERIFY_SAMPLING)]
    findings += [Finding(*row) for row in connection.execute(VERIFY_SPEC_SETS)]
    for name, history in groupby(events, key=lambda event: event.name):
        findings += _Runs(connection, name).check(history)
    return findings


class _Runs:
    """The runs of one job, in the order of their events."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name
        self._cuts = {0: 0}
        self._datasets: dict[int, str] = {}

    def check(self, history: Iterator[RecordedEvent]) -> Iterator[Finding]:
        """Returns the differences from these events."""
        for event in history:
            try:
                why = self._wrong(event.event.data)
            except LedgerError:
                continue  # The replay of the job reports it.
            if why is not None:
                yield Finding("differs", event.position, self._name, why)

    def _wrong(self, data: Any) -> str | None:
        match data:
            case r.RunStarted(run=run, cut=cut):
                self._cuts[run] = cut
            case r.DatasetCreated(run=run, dataset=dataset, digest=digest):
                self._datasets[run] = dataset
                between = self._name, self._cuts.get(run - 1, 0) + 1, self._cuts.get(run, 0)
                rows = self._connection.execute(VERIFY_SAMPLES, between)
                if digest not in {None, digest_of_samples(rows).hex}:
                    return f"the samples of run {run} are not those of its dataset"
            case r.LabelingCompleted(run=run, digest=digest):
                answers = self._connection.execute(VERIFY_ANSWERS, (self._name, run))
                if digest not in {None, digest_of_answers(answers).hex}:
                    return (
                        f"the answers to the questions of run {run} are not those that were given"
                    )
            case r.EvaluationCreated(run=run, digest=digest):
                return self._wrong_evaluations(run, digest)
        return None

    def _wrong_evaluations(self, run: int, digest: str | None) -> str | None:
        row = self._connection.execute(VERIFY_FOUND, (self._name, run)).fetchone()
        if row is None:
            return None if digest is None else f"the evaluations of run {run} are not there"
        dataset, create_time, text = row
        if digest not in {None, digest_of_evaluations(text.encode())}:
            return f"the evaluations of run {run} are not those that were found"
        if dataset != self._datasets.get(run, dataset):
            return f"the evaluations of run {run} are shown of the dataset {dataset}"
        found = orjson.loads(text)
        if found and found[0].get("createTime", utc_text(create_time)) != utc_text(create_time):
            return f"the evaluations of run {run} are shown as of {utc_text(create_time)}"
        return None
