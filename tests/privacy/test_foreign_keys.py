"""Personal values that are given encrypted: accepted only under existing keys, or destroyed ones of the same job."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra import Ledger
from jobledger.infra.proof.audit.erasures import check_keys
from jobledger.infra.transfer.exports.export import Format

from tests.exports import selection
from tests.ledgers import fresh_ledger

JOB, OTHER = "projects/p/jobs/one", "projects/p/jobs/other"
FALSE = {"@personal": {"key": "nosuchkey", "sealed": base64.b64encode(bytes(40)).decode()}}
WAYS: dict[str, Callable[[Ledger, JsonObject], Any]] = {
    "report": lambda ledger, part: ledger.progress_reported(JOB, {"who": part}),
    "data": lambda ledger, part: ledger.progress_reported(JOB, data={"deep": [{"who": part}]}),
    "command": lambda ledger, part: ledger.change_config(JOB, {"who": part}),
    "creation": lambda ledger, part: ledger.create(OTHER, spec={"who": part}),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_part_under_a_key_that_never_was_is_refused(ledger: Ledger, way: str) -> None:
    ledger.create(JOB)
    # Similar text is not a personal value, and registers no key.
    ledger.progress_reported(JOB, {"text": '"@personal":{"key":"nosuchkey",', "key": "nosuchkey"})
    size = ledger.size()
    with pytest.raises(InvalidFieldError, match="'nosuchkey', which is not a key of this ledger"):
        WAYS[way](ledger, FALSE)
    assert ledger.size() == size


def test_a_part_whose_key_was_destroyed_may_be_said_again_of_its_own_job_only(
    dsn: str, ledger: Ledger
) -> None:
    ledger.create(JOB, spec={"who": {"@personal": {"subject": "ann", "value": "Ann"}}})
    ledger.create(OTHER)
    part = ledger.get(JOB).spec["who"]
    ledger.change_config(OTHER, {"who": part})  # The key is there.
    ledger.erase("ann")
    # A process that has not looked the key up before: others remember it for two seconds.
    with Ledger.open(dsn, ledger.name) as fresh:
        fresh.change_config(JOB, {"who": part, "more": 1})
        assert fresh.get(JOB).spec == {"who": part, "more": 1}
        fresh.create("projects/p/jobs/third")
        with pytest.raises(InvalidFieldError, match="not a key of this ledger"):
            fresh.change_config("projects/p/jobs/third", {"who": part})


@pytest.mark.slow
def test_keys_stay_in_the_ledger_that_events_were_imported_from(
    dsn: str, ledger: Ledger, tmp_path: Path
) -> None:
    with fresh_ledger(dsn) as other:
        other.create(JOB, spec={"who": {"@personal": {"subject": "ann", "value": "Ann"}}})
        other.export(selection(other, ""), Format.JSONL, tmp_path / "other.jsonl")
    ledger.import_history(tmp_path / "other.jsonl")
    with ledger.connection() as connection:
        # The job's own later events may repeat the value.
        ledger.change_config(JOB, ledger.get(JOB).spec | {"more": 1})
        assert check_keys(connection) == []
        # A key of this ledger may not be missing, in the same job either.
        ledger.change_config(JOB, {"who": {"@personal": {"subject": "bob", "value": "Bob"}}})
        assert check_keys(connection) == []
        connection.execute("DELETE FROM subject_keys")
        assert [(found.kind, found.position) for found in check_keys(connection)] == [
            ("missing", 4)
        ]
