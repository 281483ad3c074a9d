"""Which tests run on a second PostgreSQL, and where tests are."""

from __future__ import annotations

import pytest

from tests.checkout import ROOT, TESTS
from tests.selection import BESIDES_ROOMS, LONGEST, has_statements, is_left_out

ROOMS = {folder.name for folder in (ROOT / "infra").iterdir() if folder.is_dir()}


def test_each_folder_is_named_after_a_room() -> None:
    folders = {file.parent.relative_to(TESTS).parts[0] for file in TESTS.rglob("*/test_*.py")}
    assert folders - ROOMS - {"domain", "projections"} <= BESIDES_ROOMS
    assert list(TESTS.glob("test_*.py")) == []


@pytest.mark.parametrize(
    ("room", "expected"),
    [("read", True), ("eventstore", True), ("projections", True), ("proof", True), ("upgrade", True),
     ("domain", False), ("http", False), ("cli", False), ("grpc", False)],
)  # fmt: skip
def test_rooms_with_statements_depend_on_postgresql(room: str, expected: bool) -> None:
    assert has_statements(room) is expected


def test_the_second_pass_loads_only_folders_whose_tests_depend_on_postgresql() -> None:
    left_out = {folder.name for folder in TESTS.iterdir() if is_left_out(folder)}
    assert {"domain", "http", "cli", "project"} <= left_out
    assert not {"read", "proof", "upgrade", "projections"} & left_out
    assert not is_left_out(TESTS / "read" / "test_past.py")


def test_the_longest_files_are_there() -> None:
    assert [name for name in LONGEST if not (TESTS / name).is_file()] == []
