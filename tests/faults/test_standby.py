"""Reads on a hot standby of the replayed events, while the primary is written to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jobledger import Clock, Ledger, ReadOnlyServerError, StandbyBehindError
from jobledger.infra.history.counts.state_counts import Extent, extent, series
from jobledger.infra.postgres.connections import schema_of
from jobledger.infra.read import moments
from jobledger.infra.transfer.traces.simulation import simulate

from tests.clusters import Cluster, new_cluster, new_standby
from tests.command_line import Cli
from tests.schemas import make_ledger

pytestmark = pytest.mark.slow
NAME = "projects/p/jobs/one"


class Pair(NamedTuple):
    """One ledger on a primary and on its standby."""

    primary: Ledger
    standby: Ledger
    replica: Cluster

    def replay(self) -> None:
        """Waits until the standby has all that was written."""
        self.replica.wait_for(self.primary.size(), schema_of(self.primary.name))


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with new_cluster(wal_level="replica", max_wal_senders="4") as cluster:
        name = make_ledger(cluster.dsn)
        with (
            new_standby(cluster) as replica,
            Ledger.open(cluster.dsn, name, catch_up=False) as primary,
        ):
            primary.append_many(simulate(40, 3, "p"))
            primary.create(NAME)
            primary.started(NAME)
            primary.follow(primary.size())
            replica.wait_for(primary.size(), schema_of(name))
            with Ledger.open(replica.dsn, name) as standby:
                yield Pair(primary, standby, replica)


def answers(ledger: Ledger, position: int) -> dict[str, Any]:
    """Returns a ledger's answers about its past up to a position."""
    at = f"@{position}"
    return {
        "get": ledger.get(NAME, as_of=at),
        "list": ledger.list(as_of=at, limit=20),
        "count": ledger.count(as_of=at).counts,
        "labels": ledger.count("attempt", as_of=at).counts,
        "history": ledger.history(NAME),
    }


def test_all_reads_answer_as_the_primary_does(pair: Pair) -> None:
    pair.replay()
    size = pair.primary.size()
    assert answers(pair.standby, size) == answers(pair.primary, size)
    for clock in Clock:
        before, after = (
            ledger.moment("now", clock, NAME) for ledger in (pair.standby, pair.primary)
        )
        assert before.position == after.position == size
        assert pair.standby.get(NAME, as_of=before) == pair.primary.get(NAME, as_of=after)
        assert pair.standby.count(as_of=before).counts == pair.primary.count(as_of=after).counts
        whole = extent(pair.standby.reader, before)
        assert whole is not None
        window = Extent(whole.begin, whole.end)
        found = series(pair.standby.reader, before, window)
        assert found == series(pair.primary.reader, after, window)
    assert sum(1 for _ in pair.standby.events(follow=False)) == size
    assert pair.standby.analyze("throughput", bucket="1d").rows


def test_a_time_after_the_last_event_counts_as_that_event_and_the_answer_says_so(
    pair: Pair,
) -> None:
    pair.replay()
    moment = pair.standby.moment("now", "recorded")
    last = pair.primary.history(NAME)[-1]
    assert moment.position == pair.primary.size() >= last.position
    assert moment.time >= last.recorded_time
    # Asked again as of that moment, after more was replayed, the answer is the same.
    before = pair.standby.get(NAME, as_of=moment)
    pair.primary.progress_reported(NAME, {"n": pair.primary.get(NAME).version})
    pair.primary.follow(pair.primary.size())
    pair.replay()
    assert pair.standby.get(NAME, as_of=moment.time, clock="recorded") == before
    assert pair.standby.get(NAME).version == before.version + 1


def test_a_standby_whose_intervals_are_behind_counts_rows_or_says_so(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moments, "STANDBY_WAIT_SECONDS", 0.0)
    pair.primary.progress_reported(NAME, {"behind": True})
    pair.replay()
    now = pair.standby.moment()
    assert pair.standby.count().counts == pair.primary.count("state", 'state : "*"').counts
    with pytest.raises(StandbyBehindError, match=r"hot standby .* answer needs position"):
        pair.standby.follow(now.position)
    pair.primary.follow(now.position)
    monkeypatch.undo()
    assert pair.standby.follow(now.position) == now.position


def test_writes_are_refused_with_an_explanation(pair: Pair) -> None:
    for write in (
        lambda: pair.standby.create("projects/p/jobs/two"),
        lambda: pair.standby.append_many(simulate(1, 1, "q")),
        lambda: pair.standby.report_many([]) or pair.standby.cancel(NAME),
    ):
        with pytest.raises(ReadOnlyServerError, match="target_session_attrs=read-write"):
            write()


def test_the_command_line_reads_a_standby(pair: Pair, tmp_path: Path) -> None:
    pair.primary.follow(pair.primary.size())
    pair.replay()
    cli = Cli(pair.replica.dsn, pair.primary.name)
    for arguments in (
        ["list", "--limit", "2"], ["count"], ["count", "--as-of", "now"], ["show", NAME], ["verify"],
        ["log", "show"], ["report", "throughput", "--bucket", "1d"], ["export", NAME, "--to", str(tmp_path / "x")],
    ):  # fmt: skip
        cli(*arguments)


def test_a_reading_process_on_a_standby_ends_without_warnings(pair: Pair) -> None:
    """Its background workers leave a standby alone, signing or not."""
    code = "import sys; from jobledger import Ledger; Ledger.open(*sys.argv[1:]).checkpoint()"
    done = subprocess.run(
        [sys.executable, "-c", code, pair.replica.dsn, pair.primary.name],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
