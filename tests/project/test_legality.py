"""Only the lifecycle table judges: other code that lists states or event types is explained here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from jobledger.domain.errors import NotSamplingError
from jobledger.domain.run_events import RUN_EVENTS, RunEvent, RunStarted
from jobledger.domain.states import (
    ACTIVE,
    ENDINGS,
    EVALUATION,
    EXECUTING,
    LIFECYCLE,
    MAY_EXECUTE,
    TERMINAL,
    UNSUCCESSFUL,
    WAITING,
    JobState,
    RunRule,
    state_after,
)
from jobledger.infra import Ledger
from jobledger.infra.analytics.statistics import ENDINGS as COUNTED_ENDINGS
from jobledger.infra.evaluation.runs.scheduler import _MAY_EXECUTE, READ_EVALUATING

from tests.checkout import ROOT
from tests.evaluation_jobs import make_job, predictions_of, spec_of

EXPLAINED: Final = {
    "infra/sources/kubernetes/deciding.py": "in which states of a Job Kubernetes deletes its Pods",
    "infra/sources/kubernetes/histories.py": "conditions of Kubernetes' Jobs, and the ledger's jobs that a cluster may have deleted meanwhile",
    "infra/sources/kubernetes/pods.py": "phases of Kubernetes' Pods",
    "infra/sources/openlineage/history.py": "types of OpenLineage's events, one of which is called RUNNING",
    "infra/access/required.py": "which reports change a job as a command does, and which nobody makes; test_http_access.py compares it with the routes",
    "infra/bench/rows/past.py": "the statement that somebody would write by hand, and the questions asked beside it",
    "infra/google/ml/job_fields.py": "ml v1's own names: of these states errorMessage gives the reason",
    "infra/google/ml/methods.py": "ml v1 gives QUEUED jobs a position in the queue",
    "infra/google/wire/queue.py": "ml v1 gives QUEUED jobs a place in the line",
    "infra/google/vertex/jobs.py": "a dialect narrows commands: nothing happens to a paused job that is paused",
    "infra/google/vertex/resources.py": "Vertex AI's own names, and a dialect narrows commands: only a running job is paused",
    "infra/google/wire/resources.py": "Google shows a job that expired with an error of its own",
    "infra/history/event_sentences.py": "which events commands cause",
    "infra/history/explain.py": "which events say nothing about the state",
    "infra/google/vertex/operation_methods.py": "which events begin an operation of Google's",
    "infra/transfer/traces/google_cluster.py": "what a trace's row may stand for; the table says which of these may follow",
    "infra/history/counts/next_failure.sql": "what a step from failure to failure stops at",
    "infra/read/lists/may_match.sql": "a job was not RUNNING before its start_time",
    "infra/web/fleet_page/count_failed.sql": "the jobs of a filter in sentence.py; test_web_incident.py compares them",
    "infra/web/job_page/history.py": "events that a page marks as failures",
    "infra/web/fleet_page/lanes.py": "which jobs of a group a timeline draws first",
    "infra/web/fleet_page/sentence.py": "the filters that the numbers of the sentence lead to",
    "infra/postgres/migrations/0005_views.sql": "landed; test_views.py compares it with what the service shows",
    "infra/postgres/migrations/0022_google_ml_jobs.sql": "test_google_view.py compares it with what the service shows",
    "infra/postgres/migrations/0025_google_oneofs.sql": "landed likewise",
    "infra/postgres/migrations/0009_evaluation_jobs.sql": "landed; 0010 replaces the function",
    "projections/intervals/fold.sql": "compared with the domain below, and in test_intervals.py",
    "projections/intervals/schema.sql": "the index of the waits that test_reports.py counts one by one",
    "projections/jobs/fold.sql": "compared with the table in test_folds.py",
    "infra/read/lists/has_text.sql": "events whose data has a text to search for; test_text_search.py compares them",
    "projections/search/fold.sql": "the same events; test_text_search.py compares them",
    "projections/jobs/folded.sql": "compared with the table below, and with Python's fold in test_folds.py",
}
STATES: Final = "|".join(state.name for state in JobState)
EVENTS: Final = "|".join(EVALUATION)
COMMENT: Final = re.compile(r"--.*")
IN_SQL: Final = re.compile(
    rf"'(?:{STATES})'"
    r"|\b\w*state\w*\s*(?:[<>=]+|(?:NOT\s+)?IN\s*\()\s*[1-9]"
    rf"|'(?:{EVENTS})'\s*,\s*'(?:{EVENTS})'"
)

IN_TEXT: Final = re.compile(
    rf"\bstate\s*(?:[<>!=:]+|(?:not\s+)?in\s*\()\s*'?(?:{STATES})\b", re.IGNORECASE
)


def code(suffix: str) -> Iterator[Path]:
    for folder in ("infra", "projections"):
        yield from sorted((ROOT / folder).rglob(f"*{suffix}"))


def names_state(node: ast.AST | None) -> bool:
    """`JobState.X`, `S.X`, or a text that is a state's name."""
    if isinstance(node, ast.Attribute):
        is_name = node.attr in {"name", "value"} and names_state(node.value)
        return is_name or (node.attr in JobState.__members__ and isinstance(node.value, ast.Name))
    return isinstance(node, ast.Constant) and node.value in JobState.__members__


def names_event(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value in EVALUATION


def judges(node: ast.AST, prose: set[int]) -> bool:
    """Whether it compares with a state, lists states or event types, or asks for one in a filter or statement."""
    match node:
        case ast.Compare(left=left, comparators=comparators):
            return any(map(names_state, (left, *comparators)))
        case ast.MatchValue(value=value):
            return names_state(value)
        case ast.Set(elts=items) | ast.List(elts=items) | ast.Tuple(elts=items):
            return any(map(names_state, items)) or sum(map(names_event, items)) > 1
        case ast.Constant(value=str(text)) if id(node) not in prose:
            return IN_TEXT.search(text) is not None
    return False


def is_prose(node: ast.AST) -> bool:
    """Docstrings, and texts that describe options and fields."""
    if isinstance(node, ast.keyword):
        return node.arg in {"help", "description"}
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def found_in(file: Path) -> list[str]:
    text = file.read_text()
    if file.suffix == ".sql":
        return IN_SQL.findall(COMMENT.sub("", text))
    tree = ast.parse(text)
    prose = [node for node in ast.walk(tree) if is_prose(node)]
    described = {id(part) for node in prose for part in ast.walk(node)}
    return [ast.unparse(node) for node in ast.walk(tree) if judges(node, described)]


@pytest.mark.slow
def test_only_explained_modules_name_states() -> None:
    found = {str(f.relative_to(ROOT)): found_in(f) for f in [*code(".sql"), *code(".py")]}
    named = {name: parts for name, parts in found.items() if parts}
    assert {name: parts for name, parts in named.items() if name not in EXPLAINED} == {}
    assert EXPLAINED.keys() <= named.keys()


@pytest.mark.parametrize(
    "text",
    [
        "x = job.state is JobState.PAUSED", "y = state in {S.QUEUED, S.PAUSED}", "z = name == 'FAILED'",
        "GOING_ON = frozenset({JobState.RUNNING})", "ENDED = ['SUCCEEDED', 'FAILED']",
        "match state:\n    case JobState.PAUSED:\n        pass", "f = 'state = FAILED AND kind = jobs'",
        "s = \"SELECT 1 FROM jobs WHERE state IN ('FAILED')\"", "ok = job.state.name != JobState.EXPIRED.name",
    ],
)  # fmt: skip
def test_the_scan_finds_conditions_in_python(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.py"
    file.write_text(text)
    assert found_in(file)


@pytest.mark.parametrize(
    "text",
    [
        "WHERE state = 'QUEUED'", "WHERE state NOT IN ('QUEUED')", "WHERE i.occurred_state IN (5, 9)",
        "WHERE state_before <> 3", "WHERE type IN ('Failed', 'Expired')", "CASE state WHEN 'PAUSED' THEN 1 END",
    ],
)  # fmt: skip
def test_the_scan_finds_conditions_in_sql(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.sql"
    file.write_text(f"-- state = 'FAILED'\n{text}")
    assert found_in(file)


def test_the_fold_in_sql_ends_and_starts_jobs_by_the_table() -> None:
    text = (ROOT / "projections/jobs/folded.sql").read_text()
    [endings] = re.findall(r"entered_by IN \(([^)]+)\)", text)
    assert set(re.findall(r"\w+", endings)) == ENDINGS
    [started] = re.findall(
        r"state = '(\w+)'\)\) AS start_times|state = '(\w+)'\) AS start_times", text
    )
    assert (
        "".join(started) == JobState.RUNNING.name == getattr(state_after("Started"), "name", None)
    )


def test_phases_in_sql_are_the_domains(ledger: Ledger) -> None:
    with ledger.connection() as connection:
        for state in JobState:
            phase = 1 if state in WAITING else 3 if state in EXECUTING else None
            if state in UNSUCCESSFUL:
                phase = int(state)
            row = connection.execute("SELECT phase(%s::smallint)", (state,)).fetchone()
            assert row == (phase,)


def test_throughput_counts_each_ending() -> None:
    assert set(COUNTED_ENDINGS.values()) == TERMINAL


def test_rules_of_runs_are_those_of_events_about_runs() -> None:
    ruled = {event: rule.run for event, rule in EVALUATION.items() if rule.run is not None}
    about_runs = {data.__name__ for data in RUN_EVENTS if issubclass(data, RunEvent)}
    assert ruled.keys() == about_runs - {"AlertRaised"}
    assert [event for event, rule in ruled.items() if rule is RunRule.NEXT] == [RunStarted.__name__]
    assert not ruled.keys() & LIFECYCLE.keys()


@pytest.mark.slow
def test_evaluation_jobs_are_sampled_and_looked_at_in_the_domains_states(ledger: Ledger) -> None:
    looked_at, sampled = set(), set()
    for state in JobState:
        name = make_job(ledger, spec_of())
        with ledger.connection() as connection:
            connection.execute("UPDATE jobs SET state = %s WHERE name = %s", (state.name, name))
            rows = connection.execute(READ_EVALUATING, (_MAY_EXECUTE,)).fetchall()
        if (name,) in rows:
            looked_at.add(state)
        try:
            ledger.record_predictions(name, predictions_of("a"))
        except NotSamplingError:
            continue
        sampled.add(state)
    assert looked_at == MAY_EXECUTE
    assert sampled == ACTIVE
