"""The view google_ml_jobs shows each job as the ml v1 API does, field by field, over generated jobs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any, Final

import pytest
from jobledger.domain.job import Job
from jobledger.infra import Ledger
from jobledger.infra.google.ml.job_fields import API, COLUMNS, OUTPUTS, resource, view_query
from jobledger.infra.google.wire.queue import Queue
from jobledger.infra.google.wire.resources import time_text
from jobledger.infra.postgres.connections import connect, schema_of
from jobledger.infra.transfer.traces.simulation import BEGIN, simulate

from tests.ledgers import odd_jobs

TIMES: Final = {"createTime", "startTime", "endTime"}
JOBS: Final = 120
LABELS: Final = [
    {}, {"team": "a"}, {"app.kubernetes.io/Name": "V1.2", "app_kubernetes_io_name": "x"}, {"a.io/9x": "A.b", "b": "c"},
    {"x.y": "1", "x/y": "2", "größe": "ä"}, {f"{'p' * 60}.io/name": "long"},
]  # fmt: skip
SPECS: Final[list[dict[str, Any]]] = [
    {}, {"trainingInput": {}}, {"trainingInput": None}, {"note": "not Google's"}, {"jobId": "another"},
    {"trainingInput": {"region": "r", "args": ["--x"], "scheduling": {"priority": 3, "maxWaitTime": "60s"}}},
    {"trainingInput": {"scheduling": {"priority": -1}}, "other": 1},
    {"predictionInput": {"modelName": "m", "batchSize": "64", "dataFormat": "JSON"}},
    {"predictionInput": {"inputPaths": ["gs://a"]}, "trainingInput": {"region": "r"}},
]  # fmt: skip
OUTPUTS_TOLD: Final[list[dict[str, Any] | None]] = [
    None, {}, {"loss": 0.25}, {"trainingOutput": {"completedTrialCount": "3", "consumedMLUnits": 1.5}},
    {"predictionOutput": {"outputPath": "gs://out", "predictionCount": "7"}}, {"trainingOutput": {}},
    {"trainingOutput": None, "consumedMLUnits": 2.5}, {"consumedMLUnits": 0.5, "loss": 3, "trials": []},
    {"outputPath": "gs://b", "errorCount": "2", "nodeHours": 1.25, "webAccessUris": {"a": "b"}},
    {"predictionOutput": {"nodeHours": 0.5}, "trainingOutput": {"isBuiltInAlgorithmJob": True}},
    {"completedTrialCount": None},
]  # fmt: skip
REPORTS: Final[list[Callable[[Ledger, str, Random], object]]] = [
    lambda ledger, name, random: ledger.queued(name, random.choice([None, 0, 4])),
    lambda ledger, name, random: ledger.preparing(name),
    lambda ledger, name, random: ledger.started(name),
    lambda ledger, name, random: ledger.paused(name),
    lambda ledger, name, random: ledger.resumed(name),
    lambda ledger, name, random: ledger.updating(name),
    lambda ledger, name, random: ledger.updated(name, random.choice(SPECS)),
    lambda ledger, name, random: ledger.cancelling(name, random.choice([None, "asked"])),
    lambda ledger, name, random: ledger.cancelled(name, random.choice([None, "", "stop"])),
    lambda ledger, name, random: ledger.succeeded(name, random.choice(OUTPUTS_TOLD)),
    lambda ledger, name, random: ledger.partially_succeeded(name, random.choice(OUTPUTS_TOLD)),
    lambda ledger, name, random: ledger.failed(name, random.choice([None, "boom", {"code": 8}])),
    lambda ledger, name, random: ledger.expired(name, random.choice([None, "late"])),
    lambda ledger, name, random: ledger.retried(name),
    lambda ledger, name, random: ledger.progress_reported(name, random.choice(OUTPUTS_TOLD)),
    lambda ledger, name, random: ledger.labels_changed(name, random.choice(LABELS)),
    lambda ledger, name, random: ledger.config_changed(name, random.choice(SPECS)),
    lambda ledger, name, random: ledger.deleted(name),
]  # fmt: skip


def generate(ledger: Ledger, random: Random) -> None:
    """Jobs of two projects, to each of which something else happened."""
    for number in range(JOBS):
        project, collection = random.choice("pq"), random.choice(["jobs"] * 5 + ["customJobs"])
        middle = random.choice(["", "", "/locations/l"])
        name = f"projects/{project}{middle}/{collection}/j{number}"
        at = BEGIN + timedelta(minutes=random.randrange(5))
        ledger.create(name, random.choice(LABELS), random.choice(SPECS), occurred_time=at)
        for _ in range(random.randrange(7)):
            random.choice(REPORTS)(ledger, name, random)


def shown_by_view(ledger: Ledger) -> dict[tuple[str, str], dict[str, Any]]:
    """The view's rows as JSON, in a session whose search_path names no ledger."""
    with connect(ledger.conninfo) as connection:
        connection.execute("SET search_path = public")
        cursor = connection.execute(
            f"SELECT * FROM {schema_of(ledger.name)}.google_ml_jobs".encode()
        )
        assert cursor.description is not None
        names = [column.name for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return {(row.pop("projectsId"), row["jobId"]): row for row in rows}


def shown_by_api(ledger: Ledger) -> dict[tuple[str, str], dict[str, Any]]:
    """What the API answers for every job that it lists."""
    jobs = [job for job in ledger.scan() if _is_ml(job)]
    places = Queue(ledger.reader).places([job.name for job in jobs])
    return {
        (job.project, job.name.rpartition("/")[2]): resource(job, places.get(job.name))
        for job in jobs
    }


def _is_ml(job: Job) -> bool:
    return job.name.split("/")[2] == "jobs"


def as_api(row: dict[str, Any]) -> dict[str, Any]:
    """The row as proto3 JSON: without fields that hold nothing, times and int64 as text."""
    shown = {field: value for field, value in row.items() if value is not None}
    for field in TIMES & shown.keys():
        shown[field] = time_text(shown[field])
    if "jobPosition" in shown:
        shown["jobPosition"] = str(shown["jobPosition"])
    return shown


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_view_shows_what_the_api_answers(ledger: Ledger, seed: int) -> None:
    generate(ledger, Random(seed))
    api, view = shown_by_api(ledger), shown_by_view(ledger)
    assert view.keys() == api.keys()
    for key, resource_ in api.items():
        assert as_api(view[key]) == resource_, key
    fields = {field for resource_ in api.values() for field in resource_}
    assert fields == API.fields("Job").keys()


def test_the_view_shows_simulated_jobs_as_the_api_does(ledger: Ledger) -> None:
    ledger.append_many(simulate(150, 7, "p"))
    ledger.append_many(odd_jobs())
    api, view = shown_by_api(ledger), shown_by_view(ledger)
    assert {key: as_api(row) for key, row in view.items()} == api


def test_the_newest_migration_has_the_view_that_the_table_of_fields_makes(ledger: Ledger) -> None:
    """Both are made from one table: after a change of it, a new migration must replace the function."""
    with connect(ledger.conninfo) as connection:
        row = connection.execute(
            "SELECT prosrc, pg_get_function_result(oid) FROM pg_proc WHERE oid = 'google_ml_job_rows'::regproc"
        ).fetchone()
        made = view_query(schema_of(ledger.name)).as_string(connection)
    assert row is not None
    stored, columns = row
    query = "\n".join(line for line in made.splitlines() if not line.startswith("--"))
    assert plain(stored) == plain(query)
    of_table = [(column.name, column.type) for column in COLUMNS]
    long_names = columns.replace("timestamp with time zone", "timestamptz")
    assert re.findall(r'"?(\w+)"? (\w+)[,)]', long_names) == of_table


def plain(query: str) -> str:
    """A query without what only its layout is made of, and without needless quotes."""
    return " ".join(re.sub(r"([(),])", r" \1 ", query.replace('"', "")).split())


@pytest.mark.parametrize(("input_", "output"), OUTPUTS.items())
def test_the_view_knows_the_fields_of_an_output(ledger: Ledger, input_: str, output: str) -> None:
    """Each field of the message that is reported beside the output is put into it."""
    values = {"int64": "1", "double": 0.5, "string": "s", "bool": True, "map<string>": {"a": "b"}}
    known = API.fields(API.fields("Job")[output])
    report = {
        field: values.get(type_, {} if type_[0].isupper() else []) for field, type_ in known.items()
    }
    ledger.create("projects/p/jobs/a", spec={input_: {"region": "r"}})
    ledger.succeeded("projects/p/jobs/a", {**report, "unknown": 1})
    [row] = shown_by_view(ledger).values()
    assert row[output] == report


@pytest.mark.slow
def test_personal_values_are_objects_that_the_ledger_decrypts(dsn: str, ledger: Ledger) -> None:
    alice = {"@personal": {"subject": "user:alice", "value": "Alice"}}
    ledger.create("projects/p/jobs/a", spec={"trainingInput": {"region": alice}})
    schema = schema_of(ledger.name)
    selects = {
        "job_events": "SELECT data -> 'spec' FROM {}.job_events",
        "jobs": "SELECT spec FROM {}.jobs",
        "jobs_as_of": "SELECT spec FROM {}.jobs_as_of(now() + interval '1 hour')",
        "google_ml_jobs": "SELECT json_build_object('trainingInput', \"trainingInput\") FROM {}.google_ml_jobs",
    }

    def read(view: str) -> Any:
        with ledger.connection() as connection:
            row = connection.execute(selects[view].format(schema).encode()).fetchone()
        assert row is not None
        return row[0]

    for view in selects:
        shown = read(view)
        assert "Alice" not in json.dumps(shown)
        assert shown["trainingInput"]["region"].keys() == {"@personal"}
        assert shown["trainingInput"]["region"]["@personal"].keys() == {"key", "sealed"}
        assert ledger.decrypt(shown) == {"trainingInput": {"region": "Alice"}}
    ledger.erase("user:alice")
    with Ledger.open(dsn, ledger.name) as later:
        for view in selects:
            erased = later.decrypt(read(view))["trainingInput"]["region"]
            assert erased.keys() == {"@erased"}
