"""What the pages are measured by, in Chromium: the server is a process of its own."""

from __future__ import annotations

import gzip
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from statistics import median
from typing import TYPE_CHECKING, Final

import httpx
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import Created, Event, Started, Succeeded
from jobledger.infra.bench.arena import Arena, Pair
from jobledger.infra.bench.http import HOST, MODULE, free_port, running, served
from jobledger.infra.bench.past import JOB, History, history, long_history
from jobledger.infra.eventstore.json_view import time_text

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVENTS: Final = 200_000
SHORT: Final = "projects/bench/jobs/short"
TIMES: Final = 9
LONG: Final = 5_000
JOBS: Final = 1_000_000
MOVES: Final = 50
"""Of the cursor, as one who drags it makes them: the first few find caches cold."""
HAPPENED: Final = """
(entry) => new Promise((resolve) => {
  const found = () => performance.getEntriesByName(entry)[0];
  const look = () => (found() ? resolve(found().startTime) : setTimeout(look, 5));
  look();
})
"""
"""When the browser noted an entry of that name, in milliseconds."""
PAINTED: Final = "first-contentful-paint"
READY: Final = "ready"
MOVED: Final = """
(place) => new Promise((resolve) => {
  const cursor = document.getElementById("cursor");
  const begin = performance.now();
  new MutationObserver((_, observer) => {
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - begin)));
  }).observe(document.getElementById("list"), { attributeFilter: ["data-at"] });
  cursor.value = place;
  cursor.dispatchEvent(new Event("input", { bubbles: true }));
})
"""
ASKED: Final = """
async (addresses) => {
  const begin = performance.now();
  await Promise.all(addresses.map(async (address) => (await fetch(address)).json()));
  return performance.now() - begin;
}
"""
TYPED: Final = """
(text) => new Promise((resolve) => {
  const field = document.getElementById("filter");
  const begin = performance.now();
  new MutationObserver((_, observer) => {
    observer.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - begin)));
  }).observe(document.getElementById("list"), { subtree: true, childList: true, characterData: true });
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
})
"""
SENT: Final = """
() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .reduce((sum, each) => sum + each.encodedBodySize, 0)
"""


def first_paint(arena: Arena) -> Pair:
    """Milliseconds to first contentful paint of the fleet page, beside the same page already written."""
    with _site(arena) as (url, _), _browser() as browser:
        page = httpx.get(url).content
        with _written(arena, page) as written:
            # By turns, so that what slows one down slows down the other.
            pairs = [
                (_noted(browser, url, PAINTED), _noted(browser, written, PAINTED))
                for _ in range(TIMES)
            ]
    return median(ours for ours, _ in pairs), median(theirs for _, theirs in pairs)


def cursor_moved(arena: Arena) -> Pair:
    """Milliseconds from the cursor's move to the list repainted, beside the API calls for the same jobs and counts."""
    with _site(arena) as (url, made), _browser() as browser:
        page = browser.new_page()
        page.goto(f"{url}?at={time_text(made.middle)}")
        page.evaluate(HAPPENED, PAINTED)
        pairs = [_moved(page, 20_000 + 1_000 * n) for n in range(MOVES)]
    return median(ours for ours, _ in pairs), median(theirs for _, theirs in pairs)


def long_job(arena: Arena) -> Pair:
    """Milliseconds until the page of a job of 5,000 events answers keys, beside one of 3 events."""
    with arena.ledger() as name, arena.open(name) as ledger:
        begin = next(long_history()).occurred_time
        ledger.append_many(islice(long_history(), LONG))
        facts = (Created(labels={"team": "search"}), Started(), Succeeded())
        ledger.append_many(Event(SHORT, n, fact, begin) for n, fact in enumerate(facts, 1))
        ledger.follow(ledger.size())
        with served(arena, name) as port, _browser() as browser:
            url = f"http://{HOST}:{port}/jobs/"
            pairs = [
                (_noted(browser, url + JOB, READY), _noted(browser, url + SHORT, READY))
                for _ in range(TIMES)
            ]
    return median(ours for ours, _ in pairs), median(theirs for _, theirs in pairs)


def first_load(arena: Arena) -> Pair:
    """Kilobytes that the fleet page and all it needs are sent in, compressed, beside one."""
    with _site(arena) as (url, _), _browser() as browser:
        page = browser.new_page()
        page.goto(url, wait_until="networkidle")
        return page.evaluate(SENT) / 1_000, 1.0


def search(arena: Arena) -> Pair:
    """Milliseconds from a key in the search box to the list of what it finds, beside one."""
    with arena.ledger() as name, arena.open(name) as ledger:
        begin = next(long_history()).occurred_time
        ledger.append_many(
            Event(f"projects/bench/jobs/job_{n:07}", 1, Created(), begin) for n in range(JOBS)
        )
        ledger.follow(ledger.size())
        with served(arena, name) as port, _browser() as browser:
            page = browser.new_page()
            page.goto(f"http://{HOST}:{port}/")
            page.evaluate(HAPPENED, PAINTED)
            words = [f"job_{n:07}" for n in range(1, JOBS, JOBS // TIMES)]
            return median(float(page.evaluate(TYPED, word)) for word in words), 1.0


@contextmanager
def _site(arena: Arena) -> Iterator[tuple[str, History]]:
    made = history(arena, EVENTS)
    with served(arena, made.ledger.name) as port:
        url = f"http://{HOST}:{port}/"
        httpx.get(url)  # The first one plans, and fills caches.
        yield url, made


@contextmanager
def _written(arena: Arena, page: bytes) -> Iterator[str]:
    file = arena.scratch / "page.html.gz"
    file.write_bytes(gzip.compress(page, 5))
    port = free_port()
    command = [sys.executable, "-m", f"{MODULE}.web_peer", str(port), str(file)]
    with running(command, port):
        yield f"http://{HOST}:{port}/"


@contextmanager
def _browser() -> Iterator[Browser]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        why = "pages are measured in a browser: pip install playwright"
        raise InvalidFieldError("measure", why) from error
    found = shutil.which("chromium")
    if found is None:
        raise InvalidFieldError("measure", "pages are measured in Chromium: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def _noted(browser: Browser, url: str, entry: str) -> float:
    """When an entry is noted in a new page, with nothing kept of an earlier visit."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    took = float(page.evaluate(HAPPENED, entry))
    context.close()
    return took


def _moved(page: Page, place: int) -> Pair:
    ours = float(page.evaluate(MOVED, place))
    at = page.locator("#list").get_attribute("data-at") or ""
    # A moment beside it, so that nothing of the answer was made already.
    moment = at.replace(":0", ":1", 1)
    calls = [f"/ledger/v1/{call}asOf={moment}" for call in ("jobs?pageSize=25&", "jobs:count?")]
    return ours, float(page.evaluate(ASKED, calls))
