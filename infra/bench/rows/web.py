"""Rows of the pages, in Chromium, with the server in a separate process."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from random import randrange
from statistics import median
from threading import Event as Signal
from typing import TYPE_CHECKING, Final

import httpx
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import Created, Event, Started, Succeeded
from jobledger.infra.bench.arena import Arena
from jobledger.infra.bench.meter import Reading
from jobledger.infra.bench.pairs import Sides
from jobledger.infra.bench.rows.past import FEWER, JOB, History, history, long_history
from jobledger.infra.bench.serving import peer, served
from jobledger.infra.eventstore.json_view import time_text

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SHORT: Final = "projects/bench/jobs/short"
COMPRESSION: Final = 5
WARM_MOVES: Final = 5
MOVES: Final = 5
"""How often one turn moves the cursor, as when a person drags it."""
FIRST_PLACE: Final = 20_000
STEP: Final = 300
WORDS: Final = 97
HAPPENED: Final = """
(entry) => new Promise((resolve) => {
  const found = () => performance.getEntriesByName(entry)[0];
  const look = () => (found() ? resolve(found().startTime) : setTimeout(look, 5));
  look();
})
"""
"""Waits until the browser has a performance entry of this name, and returns its time in milliseconds."""
PAINTED: Final = "first-contentful-paint"
READY: Final = "ready"
MOVED: Final = """
([place, waits]) => new Promise((resolve) => {
  const cursor = document.getElementById("cursor");
  const begin = performance.now();
  new MutationObserver((_, observer) => {
    observer.disconnect();
    const changed = performance.now();
    requestAnimationFrame(() => {
      const waited = waits ? 0 : performance.now() - changed;
      setTimeout(() => resolve(performance.now() - begin - waited));
    });
  }).observe(document.getElementById("list"), { attributeFilter: ["data-at"] });
  cursor.value = place;
  cursor.dispatchEvent(new Event("input", { bubbles: true }));
})
"""
"""The time until the list is painted, with or without the wait for a frame after it was changed."""
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


@contextmanager
def first_paint(arena: Arena) -> Iterator[Sides]:
    """Milliseconds to first contentful paint of the fleet page, beside the same page already written."""
    with _site(arena) as (url, _), _browser() as browser:
        file = arena.scratch / "page.html.gz"
        file.write_bytes(gzip.compress(httpx.get(url).content, COMPRESSION))
        with peer("web_peer", str(file)) as written:
            yield Sides(
                lambda: Reading(_noted(browser, url, PAINTED)),
                lambda: Reading(_noted(browser, f"{written.url}/", PAINTED)),
            )


@contextmanager
def cursor_moved(arena: Arena) -> Iterator[Sides]:
    """Milliseconds from the cursor's move to the rows in the window repainted, beside the API calls for the same jobs and counts."""
    with _moving(arena, waits=True) as sides:
        yield sides


@contextmanager
def cursor_work(arena: Arena) -> Iterator[Sides]:
    """The same less the wait for a frame: a display of 60 Hz shows a list 8 ms after it is ready, on average."""
    with _moving(arena, waits=False) as sides:
        yield sides


@contextmanager
def _moving(arena: Arena, *, waits: bool) -> Iterator[Sides]:
    with _site(arena) as (url, made), _browser() as browser:
        page = browser.new_page()
        page.goto(f"{url}?at={time_text(made.middle)}")
        page.evaluate(HAPPENED, PAINTED)
        places = count(FIRST_PLACE, STEP)

        def moved() -> float:
            return float(page.evaluate(MOVED, [next(places), waits]))

        for _ in range(WARM_MOVES):
            moved()
        yield Sides(
            lambda: Reading(median(moved() for _ in range(MOVES))),
            lambda: Reading(median(_asked(page) for _ in range(MOVES))),
        )


@contextmanager
def long_job(arena: Arena) -> Iterator[Sides]:
    """Milliseconds until the page of a job of many events answers keys, beside one of 3 events."""
    with arena.opened() as ledger:
        begin = next(long_history(1)).occurred_time
        ledger.append_many(long_history(arena.sizes.page_job))
        facts = (Created(labels={"team": "search"}), Started(), Succeeded())
        ledger.append_many(Event(SHORT, n, fact, begin) for n, fact in enumerate(facts, 1))
        ledger.follow(ledger.size())
        with served(arena, ledger.name) as server, _browser() as browser:
            url = f"{server.url}/jobs/"
            for job in (JOB, SHORT):
                _noted(browser, url + job, READY)
            yield Sides(
                lambda: Reading(_noted(browser, url + JOB, READY)),
                lambda: Reading(_noted(browser, url + SHORT, READY)),
            )


@contextmanager
def first_load(arena: Arena) -> Iterator[Sides]:
    """Kilobytes that the fleet page and all it needs are sent in, compressed."""
    with _site(arena) as (url, _), _browser() as browser:

        def sent() -> Reading:
            context = browser.new_context()
            page = context.new_page()
            page.goto(url, wait_until="networkidle")
            kilobytes = page.evaluate(SENT) / 1_000
            context.close()
            return Reading(kilobytes)

        yield Sides(sent)


@contextmanager
def search(arena: Arena) -> Iterator[Sides]:
    """Milliseconds from a key in the search box to the list of what it finds."""
    jobs = arena.sizes.jobs
    with arena.opened() as ledger:
        begin = next(long_history(1)).occurred_time
        ledger.append_many(
            Event(f"projects/bench/jobs/job_{n:07}", 1, Created(), begin) for n in range(jobs)
        )
        ledger.reader.catch_up(Signal())
        numbers = count(1, jobs // WORDS)
        with served(arena, ledger.name) as server, _browser() as browser:
            page = browser.new_page()
            page.goto(f"{server.url}/")
            page.evaluate(HAPPENED, PAINTED)
            yield Sides(lambda: Reading(page.evaluate(TYPED, f"job_{next(numbers) % jobs:07}")))


@contextmanager
def _site(arena: Arena) -> Iterator[tuple[str, History]]:
    made = history(arena, arena.sizes.history // FEWER)
    with served(arena, made.ledger.name) as server:
        httpx.get(f"{server.url}/")  # The first one plans, and fills caches.
        yield f"{server.url}/", made


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


def _asked(page: Page) -> float:
    """The API calls for a moment beside that of the list, so that nothing of the answer was made already."""
    at = page.locator("#list").get_attribute("data-at") or ""
    moment = re.sub(r":\d\d", f":{randrange(60):02}", at, count=1)  # noqa: S311
    calls = [f"/ledger/v1/{call}asOf={moment}" for call in ("jobs?pageSize=25&", "jobs:count?")]
    return float(page.evaluate(ASKED, calls))
