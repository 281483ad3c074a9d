"""Which tests run on a second PostgreSQL, and where tests are."""

from __future__ import annotations

import pytest

from tests.checkout import ROOT, TESTS
from tests.selection import BESIDES_ROOMS, has_statements

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
