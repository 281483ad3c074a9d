"""The end of a test run of which a process died."""

from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Interrupts the run: the other tests of that process were not run, so its result may not be that of failed tests."""
    if error is not None:
        node.config.pluginmanager.getplugin("dsession").shouldstop = f"{node.gateway.id} died"
