"""Ids of other systems as the ledger's: any text can be encoded and decoded."""

from __future__ import annotations

import hashlib

import jobledger.names
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra import Ledger
from jobledger.names import MAX_ID, display_name, job_id, job_name, original_id, parse_name

OTHERS = (
    "123456_[9201-10000%500]",  # Slurm: an array job
    "123456.batch",
    "1234[].pbs-server",  # PBS
    "default/etl-28391040-x7k2p",  # Kubernetes
    "order:4711/retry=2",  # Temporal
    "bquxjob_1234abcd_5678",  # BigQuery
    "my-project:US.bquxjob_5f1",
    "s3://bucket/db.table#2024-01-01",  # OpenLineage
    "scheduled__2023-01-12T02:00:00+00:00",  # Airflow
    "_hidden",
    "-1",
    ".x",
    " ",
    "ünïcode ジョブ 😀",
    "caf\udce9",
    "a\0b",
)


@pytest.mark.parametrize("original", OTHERS)
def test_an_id_of_another_system_becomes_one_of_the_ledgers_and_comes_back(original: str) -> None:
    encoded = job_id(original)
    assert original_id(encoded) == original
    assert parse_name(f"projects/p/jobs/{encoded}") == job_name("p", original)


@given(st.text(st.characters(), min_size=1, max_size=200) | st.text("_x5BF[.", min_size=1))
@example("_x5B_x5D_")
@example("_x[")
@example("x_x_")
@example("x_x_a")
@example("_x_")
@example("_x5B")
def test_the_encoding_is_reversible_and_always_a_name(original: str) -> None:
    encoded = job_id(original)
    assert original_id(encoded) == original
    parse_name(f"projects/p/jobs/{encoded}")


@pytest.mark.slow
@given(st.lists(st.text("_x5F[a", min_size=1, max_size=8), min_size=2, unique=True))
def test_two_ids_never_become_one(originals: list[str]) -> None:
    assert len({job_id(original) for original in originals}) == len(originals)


@pytest.mark.slow
@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.-]{0,100}", fullmatch=True))
def test_an_id_that_is_one_of_the_ledgers_stays_as_it_is(plain: str) -> None:
    assert job_id(plain) == plain
    assert display_name(plain) == {}


def test_the_documented_example() -> None:
    assert (
        jobledger.names.job_id("123456_[9201-10000%500]") == "123456__x5B_9201-10000_x25_500_x5D_"
    )


def test_an_id_that_is_too_long_keeps_its_beginning_and_a_digest() -> None:
    longest = "a" * MAX_ID
    assert job_id(longest) == longest
    one, other = job_id("a" * 5_000), job_id("a" * 5_001)
    assert len(one) == len(other) == MAX_ID
    assert one != other
    assert one.startswith("aaaa")
    parse_name(f"projects/p/jobs/{one}")


@pytest.mark.parametrize("empty", ["", None, 7])
def test_an_invalid_id_is_refused(empty: str) -> None:
    with pytest.raises(InvalidFieldError, match="must be a text"):
        job_id(empty)


def test_jobs_are_recorded_under_such_names_and_found_by_their_display_name(ledger: Ledger) -> None:
    for original in (*OTHERS, "t" * 1_000, "order/" * 150):
        if "\0" in original or "\udce9" in original:
            continue  # No spec can hold that: the name does, encoded.
        ledger.create(job_name("p", original), spec=display_name(original))
        [job] = ledger.list(f"name = {job_name('p', original)}")
        assert original_id(job.name.rpartition("/")[2]) == original
    [job] = ledger.list('display_name = "order:4711/retry=2"')
    assert job.name == job_name("p", "order:4711/retry=2")


def test_an_invalid_name_is_refused_with_a_valid_one() -> None:
    with pytest.raises(InvalidFieldError) as caught:
        parse_name("projects/p/jobs/a:b")
    assert "letters (A-Z, a-z), digits, _ . and -" in caught.value.why
    assert "a_x3A_b" in caught.value.why


@pytest.mark.parametrize(
    ("original", "shown"),
    [
        ("a:b", "a:b"),
        ("größe/1", "größe/1"),
        ("a\0b", r"a\x00b"),
        ("a\ud800", r"a\ud800"),
        ("_", "_"),
    ],
)
def test_an_id_that_is_encoded_is_displayed_as_it_was(original: str, shown: str) -> None:
    assert display_name(original) == {"displayName": shown}
    assert display_name("a_b.c-1") == {}


def test_only_code_points_are_decoded() -> None:
    assert original_id("a_x10FFFF_") == "a\U0010ffff"
    assert original_id("a_x110000_") == "a_x110000_"
    assert original_id("a_xFFFFFF_") == "a_xFFFFFF_"


def test_an_id_that_is_too_long_ends_in_the_digest_of_all_of_it() -> None:
    original = "\ud800" + "b" * 3_000
    digest = hashlib.sha256(b"\xed\xa0\x80" + b"b" * 3_000).hexdigest()
    assert job_id(original).endswith(f"bb_sha256_{digest}")
    assert len(job_id(original)) == MAX_ID
