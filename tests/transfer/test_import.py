"""Google's cluster traces: every row accounted for, whatever it is."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from itertools import count
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobledger.domain.states import JobState
from jobledger.infra import Ledger
from jobledger.infra.errors import InputError
from jobledger.infra.transfer.traces import import_trace, trace_rows
from jobledger.infra.transfer.traces.google_cluster import Kind
from jobledger.infra.transfer.traces.import_trace import Importer, Summary
from jobledger.infra.upkeep.verify import verify

from tests.checkout import shared
from tests.desks import Desk
from tests.traces import Answer

TRACE = "traces/google-cluster-2011"


def row(time: int, job: int, type_: int, user: str = "u", missing: str = "") -> str:
    return f"{time},{missing},{job},{type_},{user},2,name,logical\n"


def load(ledger: Ledger, file: Path, kind: Kind = Kind.JOB) -> Summary:
    summary = Summary(str(file))
    Importer(ledger, "trace", kind).run(file, summary)
    return summary


def write(path: Path, text: str) -> Path:
    path.write_bytes(gzip.compress(text.encode()))
    return path


def what_happened(ledger: Ledger, job: int) -> list[tuple[str, str | None]]:
    history = ledger.history(f"projects/trace/jobs/job-{job}")
    return [(e.type, e.state.name if e.state else None) for e in history]


def sound(ledger: Ledger) -> bool:
    with ledger.connection() as connection:
        return verify(connection).ok


@pytest.mark.slow
def test_the_jobs_of_the_trace_come_out_as_counted(
    trace_and_answers: tuple[Ledger, list[Answer]],
) -> None:
    ledger, answers = trace_and_answers
    rows = 0
    for summary in (answer.summary for answer in answers):
        rows += summary.rows
        assert summary.rows == summary.imported == summary.events
        assert summary.contradicted == 0
    assert rows == ledger.size() == 196_884
    states = Counter(job.state and job.state.name for job in ledger.scan())
    assert states == {"SUCCEEDED": 37_326, "CANCELLED": 24_631, "RUNNING": 4_084, "FAILED": 937, "PAUSED": 10, "QUEUED": 1}  # fmt: skip
    assert sum(states.values()) == 66_989
    assert sound(ledger)


@pytest.mark.slow
@pytest.mark.one_server
def test_the_tasks_of_the_trace_come_out_as_counted(ledger: Ledger) -> None:
    summary = load(ledger, shared(f"{TRACE}/task_events/part-00001-of-00500.csv.gz"), Kind.TASK)
    assert (summary.rows, summary.imported, summary.events) == (77_776, 77_776, 85_357)
    assert summary.contradicted == 0
    states = Counter(job.state and job.state.name for job in ledger.scan())
    assert states == {"SUCCEEDED": 14_490, "RUNNING": 7_635, "CANCELLED": 2_805, "QUEUED": 45, "FAILED": 31}  # fmt: skip
    assert sound(ledger)


def test_each_row_becomes_the_mapped_event(ledger: Ledger, tmp_path: Path) -> None:
    types = [0, 1, 8, 2, 0, 1, 3, 0, 1, 6, 0, 5, 0, 4]
    load(ledger, write(tmp_path / "a.gz", "".join(row(n, 7, t) for n, t in enumerate(types))))

    assert what_happened(ledger, 7) == [
        ("Created", "QUEUED"), ("Started", "RUNNING"), ("Updating", "UPDATING"),
        ("Updated", "RUNNING"), ("Paused", "PAUSED"), ("Resumed", "QUEUED"), ("Started", "RUNNING"),
        ("Failed", "FAILED"), ("Retried", "QUEUED"), ("Started", "RUNNING"), ("Failed", "FAILED"),
        ("Retried", "QUEUED"), ("Cancelled", "CANCELLED"), ("Retried", "QUEUED"),
        ("Succeeded", "SUCCEEDED"),
    ]  # fmt: skip
    history = ledger.history("projects/trace/jobs/job-7")
    assert history[0].json["spec"] == {
        "jobId": "7", "user": "u", "schedulingClass": "2", "jobName": "name", "logicalJobName": "logical",
    }  # fmt: skip
    assert history[0].occurred_time.isoformat() == "2011-05-01T22:50:00+00:00"
    assert history[4].json == {"reason": "evicted"}
    assert history[7].json["error"]["code"] == 2
    assert history[10].json["error"]["code"] == 15
    assert ledger.get("projects/trace/jobs/job-7").attempt == 4
    assert sound(ledger)


def test_impossible_reports_are_kept_whole(ledger: Ledger, tmp_path: Path) -> None:
    reports = [(1, "1"), (1, ""), (7, ""), (0, ""), (4, ""), (5, ""), (2, "")]
    load(
        ledger,
        write(
            tmp_path / "a.gz", "".join(row(n, 7, t, missing=m) for n, (t, m) in enumerate(reports))
        ),
    )

    assert what_happened(ledger, 7) == [
        ("Created", "QUEUED"), ("Started", "RUNNING"), ("Contradicted", "RUNNING"),
        ("Contradicted", "RUNNING"), ("Contradicted", "RUNNING"), ("Succeeded", "SUCCEEDED"),
        ("Contradicted", "SUCCEEDED"), ("Contradicted", "SUCCEEDED"),
    ]  # fmt: skip
    history = ledger.history("projects/trace/jobs/job-7")
    assert history[0].json["inferred"] is True
    assert history[1].json == {"missingInfo": "1"}
    assert history[3].json["report"] == "UPDATE_PENDING"
    assert history[6].json == {
        "report": "KILL", "state": "SUCCEEDED",
        "data": {"jobId": "7", "user": "u", "schedulingClass": "2", "jobName": "name", "logicalJobName": "logical"},
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("type_", range(9))
def test_a_job_may_begin_in_the_middle(ledger: Ledger, tmp_path: Path, type_: int) -> None:
    summary = load(ledger, write(tmp_path / "a.gz", row(5, 7, type_)))
    assert summary.imported == 1
    assert what_happened(ledger, 7)[0] == ("Created", "QUEUED")
    assert ledger.history("projects/trace/jobs/job-7")[0].json.get("inferred", False) is (
        type_ != 0
    )
    assert sound(ledger)


@pytest.mark.slow
def test_a_job_of_thousands_of_reports_comes_in(ledger: Ledger, tmp_path: Path) -> None:
    text = row(0, 7, 0) + "".join(
        row(2 * n + 1, 7, 1) + row(2 * n + 2, 7, 3) + row(2 * n + 2, 7, 0) for n in range(2500)
    )
    assert load(ledger, write(tmp_path / "a.gz", text)).imported == 7501
    job = ledger.get("projects/trace/jobs/job-7")
    assert (job.version, job.attempt, job.state) == (7501, 2501, JobState.QUEUED)
    assert sound(ledger)


@pytest.mark.slow
def test_importing_again_or_more_adds_only_what_is_new(ledger: Ledger, tmp_path: Path) -> None:
    rows = [row(n, n // 2, n % 2) for n in range(9_000)]
    part, whole = (
        write(tmp_path / "part.gz", "".join(rows[:4_321])),
        write(tmp_path / "whole.gz", "".join(rows)),
    )

    assert load(ledger, part).imported == 4_321
    assert load(ledger, part).before == 4_321
    summary = load(ledger, whole)
    assert (summary.before, summary.imported, summary.rows) == (4_321, 4_679, 9_000)
    plain = tmp_path / "plain.csv"
    plain.write_text("".join(rows))
    assert load(ledger, plain).imported == 0
    assert ledger.size() == 9_000
    assert sound(ledger)


def test_rows_that_cannot_be_read_are_named_and_the_rest_comes_in(
    ledger: Ledger, tmp_path: Path
) -> None:
    lines = [row(1, 1, 0), "too,few\n", row(2, 1, 9), "x" + row(3, 1, 1), row(4, 2, 0), row(2**63 - 1, 3, 0),
             row(10**17, 4, 0), ",\xff\n", "\n", row(5, 2, 1, user="a\0b")]  # fmt: skip
    file = tmp_path / "a.csv"
    file.write_bytes("".join(lines).encode("latin-1"))

    summary = load(ledger, file)

    assert [error.line for error in summary.bad] == [2, 3, 4, 7, 8, 9, 10]
    assert "has 2 columns, not 8" in str(summary.bad[0])
    assert (summary.rows, summary.imported, summary.after_the_trace) == (10, 2, 1)
    assert ledger.size() == 2


@pytest.mark.slow
def test_a_truncated_gzip_imports_its_readable_rows(ledger: Ledger, tmp_path: Path) -> None:
    rows = [row(n, n, 0, user=f"user{n * 7919}") for n in range(20_000)]
    whole = write(tmp_path / "whole.gz", "".join(rows))
    cut = tmp_path / "cut.gz"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    summary = Summary(str(cut))

    with pytest.raises(InputError, match="broken off or damaged") as caught:
        Importer(ledger, "trace", Kind.JOB).run(cut, summary)

    assert caught.value.file == str(cut)
    assert 5_000 < summary.imported == ledger.size() < 15_000
    rest = load(ledger, whole)
    assert rest.before == summary.imported
    assert ledger.size() == 20_000


_projects = count()


def plain(summary: Summary) -> dict[str, object]:
    return vars(summary) | {"bad": [str(error) for error in summary.bad]}


REPORTED = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 4), st.integers(0, 8)), min_size=1, max_size=25
)


@pytest.mark.slow
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    REPORTED, st.lists(st.integers(0, 24), max_size=5), st.randoms(use_true_random=False), st.data()
)
def test_a_corrected_file_adds_what_was_corrected_and_nothing_else(
    ledger: Ledger,
    tmp_path: Path,
    reported: list[tuple[int, int, int]],
    bad: list[int],
    random: Random,
    data: st.DataObject,
) -> None:
    """Also if its rows are in another order, or in several files, or chunks end anywhere."""
    project = f"t{next(_projects)}"
    right = [row(*report) for report in reported]
    wrong = {n for n in bad if n < len(right)}
    first = [line if n not in wrong else f"not,a,row,{n}\n" for n, line in enumerate(right)]
    again = list(right)
    if data.draw(st.booleans()):
        random.shuffle(again)
    # The same row twice is told from one row in two files only within a file.
    cut = data.draw(st.integers(0, len(again))) if len({*right}) == len(right) else 0

    def load_all(*files: list[str], dry_run: bool = False) -> list[Summary]:
        importer, summaries = Importer(ledger, project, Kind.JOB, dry_run=dry_run), []
        for number, lines in enumerate(files):
            file = tmp_path / f"{project}-{number}.csv"
            file.write_text("".join(lines))
            summaries.append(Summary(str(file)))
            importer.run(file, summaries[-1])
        return summaries

    with pytest.MonkeyPatch.context() as patch:
        for module in (trace_rows, import_trace):
            patch.setattr(module, "CHUNK", data.draw(st.integers(1, 30)))
        for files, is_new in (
            ([first], len(right) - len(wrong)),
            ([first], 0),
            ([again[:cut], again[cut:]], len(wrong)),
            ([right], 0),
        ):
            size = ledger.size()
            planned = load_all(*files, dry_run=True)
            assert ledger.size() == size
            summaries = load_all(*files)
            assert [plain(s) for s in planned] == [plain(s) for s in summaries]
            assert sum(s.imported for s in summaries) == is_new
            assert ledger.size() - size == sum(s.events for s in summaries)
            assert sum(len(s.bad) for s in summaries) == (len(wrong) if files == [first] else 0)
            for s in summaries:
                assert s.rows == s.imported + s.before + s.after_the_trace + len(s.bad)
    assert sound(ledger)


@pytest.mark.slow
def test_a_file_of_the_other_kind_is_refused_at_its_first_row(
    dsn: str, ledger_name: str, tmp_path: Path
) -> None:
    task = "0,,7,1,,0,u,2,0,,,,\n"
    file = write(tmp_path / "a.gz", task * 30_000)
    # Nothing reads what a background worker would fold of a job of 30,000 contradicted reports.
    with Ledger.open(dsn, ledger_name, catch_up=False) as ledger:
        with pytest.raises(InputError, match="--kind task") as caught:
            load(ledger, file)
        assert caught.value.line == 1
        with pytest.raises(InputError, match="--kind job"):
            load(ledger, write(tmp_path / "b.gz", row(0, 7, 0)), Kind.TASK)
        with pytest.raises(InputError, match="neither are the next 99 rows"):
            load(ledger, write(tmp_path / "c.gz", "{}\n" * 100))
        assert ledger.size() == 0
        assert load(ledger, file, Kind.TASK).imported == 30_000


@pytest.mark.slow
def test_a_dry_run_reports_what_an_import_would_do(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.csv"
    file.write_text(row(0, 7, 0) + "bad\n" + row(1, 7, 1))
    importing = ("import", "google-cluster-trace", "--kind", "job", str(file))
    assert desk.run(*importing, "--dry-run", "--json") == 1
    planned = json.loads(capsys.readouterr().out)
    assert desk.ledger.size() == 0
    assert desk.run(*importing, "--json") == 1
    assert planned == json.loads(capsys.readouterr().out) | {"dryRun": True}
    assert desk.ledger.size() == 2
    assert desk.run(*importing) == 1
    body = capsys.readouterr()
    assert "0 imported as 0 events (0 contradicted), 2 imported before" in body.out
    assert f"{file}, line 2: has 1 columns, not 8" in body.err


def test_a_missing_file_is_one_sentence(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load(ledger, tmp_path / "nothing.gz")
