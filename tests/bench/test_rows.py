"""Each row of the benchmark can be measured, on tiny histories; figures are not judged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from jobledger.infra.bench.arena import Arena
from jobledger.infra.bench.catalogue import select
from jobledger.infra.bench.peers.load import SHARED_JOBS, shared
from jobledger.infra.bench.rows.writing import with_shared_jobs
from jobledger.infra.bench.run import measure_row
from jobledger.infra.bench.sizes import Sizes

TINY = Sizes(
    history=4_000,
    events=600,
    long_job=40,
    page_job=40,
    jobs=200,
    predictions=10,
    examples=50,
    log=30,
    grown=4_000,
    young=1_000,
    source=1_000,
    page=5,
)
SECONDS = 0.02
IN_PROCESS = [
    "import",
    "rebuild_fold",
    "verify",
    "verify_proof",
    "get",
    "feed",
    "bytes_per_event",
    "count_as_of",
    "count_scale",
    "list_as_of",
    "version_as_of",
    "queue_time",
    "inclusion",
    "receipt_size",
    "import_mapping",
    "growth_append",
    "growth_get",
    "growth_history",
    "growth_count",
    "growth_list",
    "growth_inclusion",
    "growth_feed",
]
SLOW = [
    "append_async64",
    "append1_stock",
    "append_sealed",
    "rebuild",
    "lineage",
    "attach",
    "growth_upgrade",
    "growth_disk",
    "recording",
    "evaluating",
    "first_load",
]


@pytest.fixture(scope="module")
def arena(dsn: str) -> Iterator[Arena]:
    with closing(Arena(dsn, SECONDS, sizes=TINY)) as made:
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("id_", IN_PROCESS)
def test_a_row_is_measured_in_this_process(arena: Arena, id_: str) -> None:
    check(arena, id_)


@pytest.mark.slow
@pytest.mark.parametrize("id_", SLOW)
def test_a_row_is_measured_that_takes_longer(arena: Arena, id_: str) -> None:
    check(arena, id_)


@pytest.mark.slow
def test_writers_of_shared_jobs_cause_no_contradictions(arena: Arena) -> None:
    with with_shared_jobs(arena) as name:
        with shared(arena.dsn, name, "2") as work:
            written = work(SECONDS)
        with arena.open(name) as ledger:
            assert written + 2 * SHARED_JOBS == ledger.size()
            assert all(event.type != "Contradicted" for event in ledger.events(follow=False))


def check(arena: Arena, id_: str) -> None:
    [measure] = select([id_])
    row = measure_row(measure, arena, 1)
    assert "error" not in row, row["error"]
    assert row["value"] > 0
    assert ("ratio" in row) == bool(measure.beside)
    assert "{" not in row["measure"] + row["beside"]
