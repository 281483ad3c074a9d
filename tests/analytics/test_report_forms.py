"""The output of reports: buckets, sparklines, pictures, tables, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra import Ledger
from jobledger.infra.analytics.analysis import Analysis, report
from jobledger.infra.analytics.buckets import length_text, parse_bucket
from jobledger.infra.analytics.charts import draw, lines_of, sparkline
from jobledger.infra.analytics.statistics import REPORTS

from tests.command_line import Cli

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("text", "length"),
    [("30s", timedelta(seconds=30)), ("15m", timedelta(minutes=15)), ("36h", timedelta(hours=36)),
     ("1d", DAY), ("2w", 14 * DAY)],
)  # fmt: skip
def test_buckets_are_read_as_they_are_written(text: str, length: timedelta) -> None:
    assert parse_bucket(text) == length
    assert length_text(length) == text


def test_the_blocks_of_a_sparkline_are_proportional_to_its_values() -> None:
    assert sparkline([]) == ""
    assert sparkline([0, 1, 4, 8]) == " ▂▅█"
    assert len(sparkline(range(1000))) <= 60


@pytest.mark.slow
@pytest.mark.one_server
@pytest.mark.parametrize("ending", ["svg", "png"])
@pytest.mark.parametrize("by", ["", "labels.team"])
def test_pictures_are_the_same_each_time(
    busy: Ledger, tmp_path: Path, ending: str, by: str
) -> None:
    pytest.importorskip("matplotlib")
    for name in REPORTS:
        answer = report(busy.reader, name, by=by)
        files = [tmp_path / f"{n}.{ending}" for n in (1, 2)]
        for file in files:
            draw(answer, file)
        assert files[0].read_bytes() == files[1].read_bytes()
        if ending == "svg":
            assert "<dc:date>" not in files[0].read_text()


@pytest.mark.slow
def test_a_picture_needs_a_file_extension_a_folder_and_matplotlib(
    busy: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = report(busy.reader, "throughput")
    for path, sentence in (
        (tmp_path / "x.gif", "end in .svg or .png"),
        (tmp_path / "no/x.svg", "No such file"),
    ):
        with pytest.raises(InvalidFieldError, match=sentence):
            draw(answer, path)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(InvalidFieldError, match=r"pip install 'jobledger\[plot\]'"):
        draw(answer, tmp_path / "x.svg")


def test_throughput_has_a_value_for_each_bucket(busy: Ledger) -> None:
    answer = report(busy.reader, "throughput", bucket="1h")
    for line in lines_of(answer).values():
        assert [time for time, _ in line] == [
            line[0][0] + n * timedelta(hours=1) for n in range(len(line))
        ]
    assert isinstance(answer, Analysis)


@pytest.fixture
def cli(dsn: str, busy: Ledger) -> Cli:
    return Cli(dsn, busy.name)


@pytest.mark.slow
def test_the_command_prints_tables_json_and_csv(cli: Cli, busy: Ledger, tmp_path: Path) -> None:
    arguments = (
        "report",
        "queue-time",
        "--bucket",
        "1d",
        "--by",
        "labels.team",
        "--from",
        "2026-06-02",
    )
    body = cli.json(*arguments, "--json")
    assert list(body) == [
        "report",
        "asOf",
        "clock",
        "position",
        "from",
        "to",
        "bucket",
        "by",
        "state",
        "rows",
    ]
    assert (body["report"], body["clock"], body["position"]) == (
        "queue-time",
        "occurred",
        busy.size(),
    )
    assert (body["from"], body["bucket"]) == ("2026-06-02T00:00:00.000000Z", "1d")
    assert list(body["rows"][0]) == [
        "time",
        "group",
        "count",
        "p50Seconds",
        "p90Seconds",
        "p99Seconds",
    ]
    table = cli.run(*arguments)
    assert "█" in table.stdout
    assert f"@{busy.size()}" in table.stderr
    rows = list(csv.DictReader(io.StringIO(cli(*arguments, "--format", "csv"))))
    assert [row["group"] for row in rows] == [row["group"] or "" for row in body["rows"]]
    assert json.loads(cli(*arguments, "--format", "json"))["rows"] == body["rows"]
    picture = tmp_path / "x.svg"
    pytest.importorskip("matplotlib")
    cli(*arguments, "--plot", str(picture))
    assert picture.read_text().startswith("<?xml")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nothing"], "unknown report 'nothing'"),
        (["throughput", "--bucket", "x"], "is not like 30s"),
        (["throughput", "--plot", "x.gif"], "does not end in .svg or .png"),
    ],
)
def test_the_command_refuses_in_one_sentence(cli: Cli, arguments: list[str], sentence: str) -> None:
    done = cli.run("report", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("jobledger: ")
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr
