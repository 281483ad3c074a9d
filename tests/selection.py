"""Which tests run, in what order: those that are slow, those that depend on PostgreSQL, long files first."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.checkout import ROOT, TESTS
from tests.databases import is_on_citus
from tests.forms import FORMS

_ROOMS: Final = (ROOT / "infra", ROOT)
"""Where the room is that a folder of tests is named after."""
LONGEST: Final = (
    "web/test_web_incident.py",
    "project/test_readme_commands.py",
    "http/test_http_schema.py",
    "web/test_web_job.py",
    "web/test_web_fleet.py",
    "eventstore/test_mending.py",
    "adapter/test_library_cases.py",
    "evaluation/test_scheduler.py",
    "faults/test_matrix.py",
    "transfer/test_import.py",
    "evaluation/test_measures.py",
    "http/test_http_access.py",
    "analytics/test_report_forms.py",
    "generated/test_generated_clients.py",
    "bench/test_rows.py",
    "read/test_clocks.py",
    "cli/test_run_apart.py",
    "google/test_google_messages.py",
    "grpc/test_grpc_server.py",
    "proof/test_attacks.py",
    "eventstore/test_crashes.py",
    "google/test_vertex_clients.py",
    "project/test_async_programs.py",
    "proof/test_any_cell.py",
    "http/test_http_origin.py",
    "web/test_label_form.py",
    "cli/test_start.py",
    "read/test_past.py",
    "faults/test_role_settings.py",
)
"""The files that take longest, 10 to 70 seconds of CPU, longest first."""
_SLOW_FIXTURES: Final = {"browser", "grpc_server", "trace_and_answers"}
OTHER_STATEMENTS: Final = {
    "analytics", "postgres", "projections", "read", "upgrade",
    "test_evaluations_face.py", "test_ml_v1_lists.py", "test_vertex_lists.py", "test_datalabeling_lists.py",
}  # fmt: skip
"""Rooms and files whose tests send another statement with each case, such as one made of a filter."""
BESIDES_ROOMS: Final = {"faults", "generated", "project", "upgrade"}
"""Folders that are not named after a room, such as ledgers of earlier versions and faults of a server."""


def mark_slow(items: list[pytest.Item]) -> None:
    """Marks tests that use what takes seconds to begin with."""
    for item in items:
        if not _SLOW_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


def mark_postgres(items: list[pytest.Item]) -> None:
    """Marks tests of rooms that have statements, if they use a database and no browser, and are not marked `one_server`."""
    sends = {path: has_statements(folder_of(path)) for path in {item.path for item in items}}
    for item in items:
        uses = set(getattr(item, "fixturenames", ()))
        depends = sends[item.path] and "dsn" in uses and "browser" not in uses
        if depends and item.get_closest_marker("one_server") is None:
            item.add_marker("postgres")


def keep_postgres(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects tests that do not depend on PostgreSQL, and most cases of those that send the same with each."""
    cases: dict[tuple[Path, str], list[pytest.Item]] = {}
    for item in items:
        if _depends(item) and not _is_second_form(item):
            name = getattr(item, "originalname", item.name)
            cases.setdefault((item.path, name), []).append(item)
    kept = {item for each in cases.values() for item in _kept(each)}
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


def _depends(item: pytest.Item) -> bool:
    """Whether a test is to run on this server: some cannot where Citus plans the statements."""
    plain_only = is_on_citus() and item.get_closest_marker("plain_server") is not None
    return item.get_closest_marker("postgres") is not None and not plain_only


def _is_second_form(item: pytest.Item) -> bool:
    """Whether a test runs with AsyncLedger what runs with Ledger too: both send the same statements."""
    given: dict[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    return given.get("form", FORMS[0]) != FORMS[0]


def _kept(cases: list[pytest.Item]) -> list[pytest.Item]:
    """The first and the last case of a test, or all where each case sends another statement."""
    first = cases[0]
    if folder_of(first.path) in OTHER_STATEMENTS or first.path.name in OTHER_STATEMENTS:
        return cases
    return [first, cases[-1]]


def is_left_out(path: Path) -> bool:
    """Whether a folder under tests/ holds no test that depends on PostgreSQL."""
    return path.parent == TESTS and path.is_dir() and not has_statements(path.name)


def put_long_files_first(items: list[pytest.Item]) -> None:
    """Lets no process begin with a long file when the others are done."""
    slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
    longest = {TESTS / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (longest.get(item.path, len(longest)), item.path not in slow))


def folder_of(path: Path) -> str:
    """The folder under tests/ that a file of tests is in."""
    return path.relative_to(TESTS).parts[0]


def has_statements(room: str) -> bool:
    """Whether there are .sql files in the room of that name, or all rooms' are tested."""
    if room == "upgrade":
        return True
    folders: list[Path] = [parent / room for parent in _ROOMS]
    return any(next(folder.rglob("*.sql"), None) is not None for folder in folders)
