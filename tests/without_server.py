"""A pytest plugin for `scripts/mutants`: tests that need no server, the same examples each time, short tests first.

Functions of the program that cache what they return forget it, or a mutant would be answered from the program's cache.
A test fails if it takes ten times as long as in mutmut's first run, so that an endless loop ends soon.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

import pytest
from hypothesis import Phase, settings

_NEEDS: Final = {"dsn", "browser"}
"""Fixtures that start a server or a browser."""
_STATS: Final = Path("mutmut-stats.json")
"""What mutmut writes of its first run: among other things, how long each test took."""

_LEAST_SECONDS: Final = 5.0

settings.register_profile(
    "mutants",
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
)


def pytest_sessionstart() -> None:
    """Clears the caches of functions, which mutmut's first runs filled in this process."""
    for name, module in list(sys.modules.items()):
        if name.startswith("jobledger."):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects tests that need a server, and runs the shortest of the others first."""
    left_out = [item for item in items if not _NEEDS.isdisjoint(getattr(item, "fixturenames", ()))]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
    if seconds := _durations():
        items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))
        for item in items:
            longest = max(_LEAST_SECONDS, 10 * seconds.get(item.nodeid, 0.0))
            item.add_marker(pytest.mark.timeout(longest))


def _durations() -> dict[str, float]:
    if not _STATS.exists():
        return {}
    durations: dict[str, float] = json.loads(_STATS.read_text()).get("duration_by_test", {})
    return durations
