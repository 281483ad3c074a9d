"""Damaged values of one job do not stop the runs and mails of others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import Created, Event, ProgressReported, parse_data
from jobledger.domain.runs import OWN, last_run, open_runs
from jobledger.infra import Ledger
from jobledger.infra.evaluation.runs.failures import FIELD
from jobledger.infra.evaluation.runs.mail import Mailer
from jobledger.infra.evaluation.runs.scheduler import Scheduler

from tests.evaluation.test_scheduler import Inbox, inbox
from tests.evaluation_jobs import BEGIN, Clock, make_job, predictions_of, spec_of

__all__ = ["inbox"]
LEAVES = st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(codec="utf-8"), max_size=8)  # fmt: skip
ANY = st.recursive(
    LEAVES | st.sampled_from(["every 24 hours", "9999-12-31T23:59:59Z", "2026-06-01T10:00:00Z", 3_000_000_000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["run", "runTime", "cut", "count", "a"]), inner, max_size=4),
    max_leaves=6,
)  # fmt: skip
OUTPUTS = st.fixed_dictionaries({}, optional=dict.fromkeys((*OWN, FIELD, "x"), ANY))


def poisoned(draw: st.DataObject) -> dict[str, Any]:
    """A configuration with some part of it replaced by anything."""
    spec: dict[str, Any] = spec_of()
    inside = spec
    for _ in range(draw.draw(st.integers(0, 2))):
        below = [field for field in inside if isinstance(inside[field], dict)]
        if below:
            inside = inside[draw.draw(st.sampled_from(below))]
    inside[draw.draw(st.sampled_from(sorted(inside) or ["x"]))] = draw.draw(ANY)
    return spec


@pytest.mark.slow
@pytest.mark.timeout(400)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(draw=st.data(), output=OUTPUTS)
def test_a_damaged_configuration_does_not_stop_other_jobs(
    ledger: Ledger, caplog: pytest.LogCaptureFixture, draw: st.DataObject, output: dict[str, Any]
) -> None:
    caplog.clear()
    healthy, clock = make_job(ledger, spec_of()), Clock()
    bad = make_job(ledger, spec_of())
    name = bad.replace("evaluationJobs/", "evaluationJobs/0")  # It is looked at first.
    at = BEGIN - timedelta(days=2)
    events = [
        Event(name, 1, parse_data("Created", {"spec": poisoned(draw)}), at),
        Event(name, 2, ProgressReported(output=output), at + timedelta(hours=1)),
    ]
    ledger.append_many(events)
    ledger.record_predictions(healthy, predictions_of("abc", truth="cat"))
    clock.forward(days=1)
    scheduler = Scheduler(ledger, clock=clock)
    scheduler.do_due()  # Jobs of other examples fail, too.
    failed = any(getattr(record, "job", None) == name for record in caplog.records)
    assert "cannot be recorded" not in caplog.text
    assert last_run(ledger.get(healthy).output).run == 1
    assert open_runs(ledger.get(healthy).output) == []
    job = ledger.get(name)
    recorded: Any = (job.output or {}).get(FIELD)
    assert failed == (recorded is not None and recorded != output.get(FIELD))
    if failed:
        assert recorded["count"] >= 1
        assert recorded["message"]
    version = job.version
    scheduler.do_due()
    assert ledger.get(name).version <= version + 3  # A repeated failure is not recorded again.
    scheduler.do_due()
    again = ledger.get(name).version
    scheduler.do_due()
    assert ledger.get(name).version == again


def test_a_failure_is_recorded_once_until_something_else_happens(ledger: Ledger) -> None:
    name = "projects/p/evaluationJobs/broken"
    ledger.append_many(
        [
            Event(name, 1, Created(spec=spec_of()), BEGIN - timedelta(days=3)),
            Event(name, 2, ProgressReported(output={"lastRun": {}, "kept": 1}), BEGIN),
        ]
    )
    scheduler = Scheduler(ledger, clock=Clock(BEGIN + timedelta(days=1)))
    for _ in range(3):
        assert scheduler.do_due() == 1
    (event,) = ledger.history(name, 2)
    assert event.actor == "scheduler"
    assert event.json["output"][FIELD]["count"] == 1
    assert "output.lastRun" in event.json["output"][FIELD]["message"]
    assert event.json["output"]["kept"] == 1
    ledger.progress_reported(name)
    assert scheduler.do_due() == 1
    assert ledger.history(name)[-1].json["output"][FIELD]["count"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("report", ["ProgressReported", "Succeeded", "PartiallySucceeded"])
@pytest.mark.parametrize("field", OWN)
def test_fields_of_runs_are_refused_in_other_reports(
    ledger: Ledger, report: str, field: str
) -> None:
    name = make_job(ledger, spec_of())
    expected = parse_data(report, {"output": {field: [], "mine": 1}})
    with pytest.raises(InvalidFieldError, match=f"data.output.{field}"):
        ledger.report(name, expected)
    ledger.create("projects/p/jobs/other")
    ledger.report("projects/p/jobs/other", parse_data("ProgressReported", {"output": {field: []}}))


@pytest.mark.slow
@pytest.mark.parametrize(
    "email",
    ["", "nobody", "a@x.example\nBcc: b@x.example", "a@x.example\r\nSubject: x", "a@x.example, b@x.example",
     "a@x.example;b@x.example", "A <a@x.example>", "a@x.example b@x.example", "a@"],
)  # fmt: skip
def test_an_invalid_alert_address_does_not_stop_other_alerts(
    ledger: Ledger, inbox: tuple[Inbox, str], email: str
) -> None:
    box, address = inbox
    clock = Clock()
    for recipient in (email, "ml@example.com"):
        alert = {"email": recipient, "minAcceptableMeanAveragePrecision": 0.75}
        name = make_job(ledger, spec_of(alert=alert))
        ledger.record_predictions(
            name,
            [
                *predictions_of("abc", label="dog", truth="cat"),
                *predictions_of("xyz", label="cat", truth="dog"),
            ],
        )
    clock.forward(days=1)
    scheduler = Scheduler(ledger, mailer=Mailer.parse(address, "ledger@example.com"), clock=clock)
    for _ in range(2):
        scheduler.do_due()
    (mail,) = box.mails
    assert (mail["To"], mail["Bcc"]) == ("ml@example.com", None)
