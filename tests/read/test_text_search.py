"""A search through signatures of blocks finds what looking at all jobs finds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event as Signal

import pytest
from jobledger.domain.data import Status
from jobledger.domain.events import (
    Cancelled,
    ConfigChanged,
    Created,
    Event,
    Failed,
    Queued,
    Retried,
    Started,
)
from jobledger.domain.values.filters import parse_filter
from jobledger.infra import Ledger
from jobledger.infra.errors import QueryTimeoutError
from jobledger.infra.read import moments
from jobledger.infra.read.answers import Counts
from jobledger.infra.read.lists import first_jobs, text_search
from jobledger.infra.read.lists.job_lists import JobLists
from jobledger.infra.read.lists.text_search import find_names, find_names_within, texts_of
from jobledger.infra.read.many_jobs import EVERYTHING
from jobledger.infra.retention.archive import Export
from jobledger.infra.upkeep.rebuild import rebuild
from jobledger.infra.upkeep.verify import verify
from jobledger.infra.web.fleet_page.search import filter_of
from jobledger.projections.catalogue import SEARCH
from jobledger.projections.search import trigram_hashes

SLOW = """
CREATE OR REPLACE FUNCTION has_trigram(signature bytea, hash integer) RETURNS boolean
LANGUAGE sql AS 'SELECT pg_sleep(9) IS NULL'
"""
BEGIN = datetime(2026, 11, 2, tzinfo=UTC)
JOBS = 700
SEARCHES = (
    "crawl", "crawl-0000", "042", "0420", "00420", "p1/jobs/crawl", "jobs/tune-00420", "p1", "memory", "mémoire", "oryx",
    "größe", "gpu-00", "refused", "quota", "Nightly", "Nightly-3", "renamed", "renamed-42", "zzz", "zzzz", "q", "e-0", "a", "7 memory",
    "crawl memory", "12,", "100%", "a_b", "b-x", "*", 'name = "projects/p1/jobs/tune-00420"', 'id = "tune-00420"',
    'error_message : "*quota 42" AND state = FAILED', 'NOT name = "*crawl*" AND name = "*042*"',
    'spec.displayName = "42"', 'spec.displayName = "42.0"', 'displayName = "Nightly-3"', 'error_message != "out of memory"',
    'name = "*042*" OR state = CANCELLED', 'ever(error_message = "*quota*")', r'error_message = "*\"mémoire*"',
)  # fmt: skip


def story(n: int) -> list[Event]:
    """The events of one job: one in seven fails, one in eleven is renamed, one in thirteen is cancelled."""
    kind = ("crawl", "tune", "eval.gpu", "a_b-x")[n % 4]
    name, at = f"projects/p{n % 3}/jobs/{kind}-{n:05}", BEGIN + timedelta(minutes=n)
    shown = (n, f"Nightly-{n % 9}", "100% of it", None)[n % 4]
    facts = [Created(spec={} if shown is None else {"displayName": shown}), Started()]
    if n % 7 == 0:
        message = ("out of memory", f"quota {n}", 'no "mémoire" left')[n % 3]
        facts += [Failed(error=Status(code=8, message=message)), Retried(), Queued()]
    if n % 11 == 0:
        facts += [ConfigChanged(spec={"displayName": f"renamed-{n}"})]
    if n % 13 == 0:
        facts += [Cancelled(reason=f"{n}, the oryx of größe was refused")]
    return [Event(name, v, fact, at + timedelta(seconds=v * 40)) for v, fact in enumerate(facts, 1)]


@pytest.fixture
def many(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A ledger of some blocks, of which the last events are in no signature yet."""
    monkeypatch.setattr(text_search, "MIN_EVENTS", 1)
    monkeypatch.setattr(moments, "SEARCH_STEP", 1)
    events = [event for n in range(JOBS) for event in story(n)]
    ledger.append_many(sorted(events[:-300], key=lambda event: event.occurred_time))
    ledger.reader.catch_up(Signal())
    ledger.append_many(sorted(events[-300:], key=lambda event: event.occurred_time))
    return ledger


@pytest.mark.slow
def test_a_search_finds_what_looking_at_all_jobs_finds(
    many: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments_ = many.moment(), many.moment("@1700"), many.moment(BEGIN + timedelta(minutes=300))
    asked = [(filter_of(text), moment) for text in SEARCHES for moment in moments_]

    def answers() -> list[tuple[list[str], dict[str | None, int]]]:
        found = []
        for filter_, moment in asked:
            page = many.page(filter_, page_size=400, as_of=moment)
            counts = many.count("state", filter_, as_of=moment).counts
            found.append(([job.name for job in page.jobs], dict(counts)))
        return found

    searched = answers()
    monkeypatch.setattr(text_search, "MAX_NAMES", 5)
    few = answers()
    monkeypatch.setattr(text_search, "MIN_EVENTS", many.size() + 1)
    for asked_, one, two, three in zip(asked, searched, few, answers(), strict=True):
        assert one == two == three, asked_
    assert sum(bool(names) for names, _ in searched) > len(asked) / 2


def test_a_rare_text_is_looked_up_and_a_frequent_one_is_not(
    many: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_search, "MAX_NAMES", 20)
    with many.connection() as connection:

        def found(text: str) -> tuple[str, ...] | None:
            return find_names(connection, parse_filter(filter_of(text)))

        assert found("tune-00421") == ("projects/p1/jobs/tune-00421",)
        assert found("crawl tune-00421") == ("projects/p1/jobs/tune-00421",)
        assert found("tune-00698") == ()
        assert found("nothing-of-it") == ()
        assert found("crawl") is None


@pytest.mark.slow
def test_the_first_jobs_are_those_of_the_whole_list_or_it_says_how_many_were_looked_at(
    many: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_jobs, "FIRST_STEP", 40)
    for moment in (
        many.moment(),
        many.moment("@1700"),
        many.moment(BEGIN + timedelta(minutes=300)),
    ):
        for text in SEARCHES:
            filter_ = filter_of(text)
            whole = [job.name for job in many.page(filter_, page_size=400, as_of=moment).jobs]
            for seconds in (60, 0):
                first = many.reader.first_page(filter_, moment, page_size=9, seconds=seconds)
                names = [job.name for job in first.jobs]
                if first.looked_at is None:
                    assert (names, first.more) == (whole[:9], len(whole) > 9), text
                else:
                    assert seconds == 0
                    assert first.looked_at == 40
                    assert names == whole[: len(names)]


def test_looking_a_text_up_ends_in_time(many: Ledger) -> None:
    with many.connection() as connection:
        found = parse_filter(filter_of("tune-00421"))
        assert find_names_within(connection, found, 60) == find_names(connection, found)
        assert find_names_within(connection, parse_filter(filter_of("zz")), 60) is None
        connection.execute(SLOW)
        assert find_names_within(connection, found, 0.05) is None


def test_what_takes_too_long_to_count_is_counted_up_to_a_number(
    many: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    filter_, moment = parse_filter(filter_of("crawl")), many.moment()
    count = partial(many.reader.count_within, filter_, moment, seconds=60)
    counted = count(up_to=50)
    assert isinstance(counted, Counts)
    assert counted == many.count("state", filter_, as_of=moment)

    def takes_too_long(*_: object) -> None:
        raise QueryTimeoutError("too long")

    monkeypatch.setattr(JobLists, "count", takes_too_long)
    # All jobs are counted without looking at each.
    everything = many.reader.count_within(EVERYTHING, moment, up_to=50, seconds=60)
    assert everything == many.count(as_of=moment)
    assert (count(up_to=50), count(up_to=1_000)) == (50, sum(counted.counts.values()))
    monkeypatch.setattr(JobLists, "count_up_to", takes_too_long)
    assert count(up_to=50) is None


@pytest.mark.slow
def test_signatures_are_verified_rebuilt_and_outlast_pruning(many: Ledger, tmp_path: Path) -> None:
    many.reader.catch_up(Signal())
    with many.connection() as connection:

        def blocks() -> list[tuple[int, bytes]]:
            return connection.execute("SELECT * FROM search_blocks ORDER BY block").fetchall()

        before = blocks()
        assert len(before) == (many.size() + 1023) // 1024
        assert verify(connection).findings == []
        rebuild(connection, SEARCH)
        assert blocks() == before
        for change in (
            "UPDATE search_blocks SET signature = set_bit(signature, 5, 1 - get_bit(signature, 5)) WHERE block = 1",
            "DELETE FROM search_blocks WHERE block = 1",
            "INSERT INTO search_blocks VALUES (70, '\\x00')",
        ):
            connection.execute(change)
            (finding,) = verify(connection).findings
            assert (finding.kind, "signature" in finding.detail) == ("differs", True)
            rebuild(connection, SEARCH)
        assert blocks() == before
        many.prune(datetime.now(UTC), Export(tmp_path / "old.jsonl", is_there=False))
        assert verify(connection).findings == []
        assert find_names(connection, parse_filter(filter_of("refused"))) == ()
        rebuild(connection, SEARCH)
        assert verify(connection).findings == []


def test_texts_that_a_filter_needs() -> None:
    for filter_, texts in {
        'name = "*train*" AND error_message = "*memory"': ["memory", "train"],
        'name = "*a*" OR error_message = "*a*"': ["a"],
        'name = "*a*" OR error_message = "*b*"': [],
        'name = "*a*" OR state = FAILED': [],
        'NOT name = "*a*"': [],
        'name != "*a*"': [],
        'name > "a"': [],
        "name = *": [],
        'spec.displayName = "12"': [],
        'spec.displayName = "*12"': ["12"],
        'labels.team = "train"': [],
        'ever(error_message = "*memory*")': [],
        r'error_message = "a\"b"': [],
    }.items():
        assert texts_of(parse_filter(filter_)) == texts, filter_


def test_hashes_are_those_of_the_database(ledger: Ledger) -> None:
    text = "größe-01a2 ½ oryx9"
    with ledger.connection() as connection:
        for begin in (0, 1):
            asked = {"text": text, "begin": begin, "end": len(text.encode()) - 4}
            rows = connection.execute(
                "SELECT trigram_hash(convert_to(%(text)s, 'UTF8'), place)"
                " FROM generate_series(%(begin)s, %(end)s, 2) AS place",
                asked,
            ).fetchall()
            known = trigram_hashes(text, begin)
            assert set(known) <= {hash_ for (hash_,) in rows} | {known[-1]}
            assert len(known) >= len(rows)
