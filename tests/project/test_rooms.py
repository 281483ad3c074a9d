"""The layout: no circles between files, no import that hides one, no module without a room."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

import grimp
import pytest

from tests.checkout import ROOT

LOOSE = {
    "__init__", "async_ledger", "background", "forking", "forwarding", "ledger", "mapping",
    "recorder", "settings", "ttl_cache",
}  # fmt: skip
"""What everybody uses, what composes the rooms, and the names in users' configuration."""


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """The modules that each module imports, also within functions."""
    graph = grimp.build_graph("jobledger")
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def circles(imports: dict[str, set[str]]) -> Iterator[set[str]]:
    """Modules that reach each other."""
    reached: dict[str, set[str]] = {}
    for module, imported in imports.items():
        seen, waiting = set[str](), [*imported]
        while waiting:
            found = waiting.pop()
            if found not in seen:
                seen.add(found)
                waiting += imports[found]
        reached[module] = seen
    for module, seen in reached.items():
        if module in seen:
            yield {module, *(other for other in seen if module in reached[other])}


def test_no_files_import_each_other_in_a_circle(imports: dict[str, set[str]]) -> None:
    assert list(circles(imports)) == []


def test_only_shared_modules_lie_directly_in_infra() -> None:
    assert {file.stem for file in (ROOT / "infra").glob("*.py")} == LOOSE


def test_each_room_says_in_one_sentence_what_is_in_it() -> None:
    for room in (ROOT / "infra").rglob("__init__.py"):
        assert room.read_text().startswith('"""'), room


def layers() -> list[set[str]]:
    """The rooms of infra in the contract of import-linter, the lowest first."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = (c for c in linter["contracts"] if c.get("containers") == ["jobledger.infra"])
    return [set(layer.split(" | ")) for layer in reversed(contract["layers"])]


def test_the_table_of_rooms_has_all_in_the_order_in_which_they_may_import() -> None:
    text = (ROOT / "infra" / "README.md").read_text()
    cells = re.findall(
        r"^\| (`[^|]*) \|", text.split("## Rooms")[1].split("\n## ")[0], re.MULTILINE
    )
    rooms = [room for cell in cells for room in re.findall(r"`(\w+)/?`", cell)]
    level = {room: n for n, layer in enumerate(layers()) for room in layer}
    # The names in users' configuration are described below the table.
    assert sorted(rooms) == sorted(level.keys() - {"mapping", "recorder"})
    assert [level[room] for room in rooms] == sorted(level[room] for room in rooms)
