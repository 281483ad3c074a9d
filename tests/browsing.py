"""Users with a real browser: headless Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect, sync_playwright

CHROMIUM = (
    os.environ.get("JOBLEDGER_TEST_CHROMIUM")
    or shutil.which("chromium-headless-shell")
    or shutil.which("chromium")
    or "/usr/bin/chromium"
)
"""The browser without its own windows, if it is there: it opens a page with a quarter of the CPU."""
TIMEOUT_MILLISECONDS = 60_000
"""How long an action or an expectation on a page waits, in milliseconds: a busy machine takes its time."""
SERIOUS = ("moderate", "serious", "critical")
AXE_OPTIONS = {"resultTypes": ["violations"], "selectors": False}
"""Options of axe-core that leave out passed rules and selectors, which take longer than the check."""


class Visitor(NamedTuple):
    """A user with a page, and the errors of its console."""

    page: Page
    errors: list[str]

    def sees(self, text: str) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible()

    def region(self, name: str) -> Locator:
        return self.page.get_by_role("region", name=name)

    def is_content(self) -> None:
        """Asserts that the console has no errors, nothing is wider than the page, and axe-core finds only minor faults."""
        assert self.errors == []
        wide = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{wide} pixels too wide"
        found = Axe().run(self.page, options=AXE_OPTIONS).response["violations"]
        serious = [each for each in found if each["impact"] in SERIOUS]
        assert serious == [], [(each["id"], each["nodes"][0]["html"]) for each in serious]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; its tests skip where there is none, but not where CI says it must be there."""
    if not Path(CHROMIUM).exists():
        if os.environ.get("CI") == "true":
            pytest.fail("CI must have chromium")
        pytest.skip("needs chromium: apt-get install chromium-headless-shell")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def visiting(browser: Browser, **options: Any) -> Iterator[Visitor]:
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MILLISECONDS)
    expect.set_options(timeout=TIMEOUT_MILLISECONDS)
    errors: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            errors.append(message.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(f"dialog: {dialog.message}"))
    yield Visitor(page, errors)
    context.close()
