"""A job's page, used as people do: from a server, and out of a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest
from jobledger.domain import events as e
from jobledger.domain.data import Status
from jobledger.domain.events import Event
from jobledger.domain.values.moments import Clock
from jobledger.infra import Ledger
from jobledger.infra.eventstore.json_view import job_json
from jobledger.infra.history.blame import blame
from jobledger.infra.history.timeline import steps_as_of
from jobledger.infra.web.job_page.bands import bands
from jobledger.infra.web.job_page.history import WINDOW, read_outline
from playwright.sync_api import Browser, expect

from tests.browsing import Visitor, visiting
from tests.desks import Desk
from tests.servers import Server, new_server, serving

BEGIN = datetime(2026, 6, 1, 12, tzinfo=UTC)
EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>\u202e\U0001f600"
TOLD = "projects/p/customJobs/told"
LONG = "projects/p/jobs/long"
MILLISECOND = timedelta(milliseconds=1)


def told(ledger: Ledger, name: str = TOLD) -> None:
    """A job of two attempts, with a report that could not be true and one that came late."""
    ledger.create(name, {"team": "search"}, spec={"displayName": EVIL, "x": 1}, actor="ann")
    ledger.started(name, {"worker": "w-1"})
    ledger.failed(name, "out of memory")
    ledger.succeeded(name, {"model": 1}, actor="worker-9")
    ledger.retried(name, "again")
    ledger.started(name, {"worker": "w-2"})
    late = ledger.get(name).create_time
    assert late is not None
    ledger.report(
        name, e.ProgressReported(output={"step": 1}), occurred_time=late - timedelta(hours=2)
    )
    ledger.succeeded(name, {"model": 2})


def lasting(versions: int) -> Iterator[Event]:
    """A job that failed and was retried again and again."""
    facts: list[Any] = [
        e.Started.model_validate({"worker": "w"}),
        e.Failed(error=Status(code=8, message="out of memory")),
        e.Retried(reason="again"),
    ]
    yield Event(LONG, 1, e.Created(labels={"team": "search"}), BEGIN)
    for version in range(2, versions + 1):
        fact = facts[(version - 2) % 3]
        yield Event(LONG, version, fact, BEGIN + timedelta(minutes=version), f"a{version % 2}")


@pytest.fixture(scope="module")
def site(dsn: str) -> Iterator[Server]:
    with new_server(dsn) as server:
        told(server.ledger)
        server.ledger.append_many(lasting(1_000))
        yield server


def tab(visitor: Visitor, name: str) -> None:
    """Goes to one of the tabs beside the events."""
    visitor.page.get_by_role("tab", name=name).click()


def field(visitor: Visitor, name: str) -> Any:
    rows = visitor.page.locator("#job .fields > div")
    return rows.filter(has=visitor.page.locator("dt", has_text=re.compile(rf"^{re.escape(name)}$")))


def test_each_step_shows_the_job_as_the_ledger_has_it(site: Server, visitor: Visitor) -> None:
    page, ledger = visitor.page, site.ledger
    for clock in ("occurred", "recorded"):
        page.goto(f"{site.url}/jobs/{TOLD}?at=v0&clock={clock}")
        visitor.sees("Before its first event")
        tab(visitor, "State")
        page.get_by_text("As the API returns it").click()
        steps = steps_as_of(ledger.reader, TOLD, ledger.moment("now", clock))
        for number, step in enumerate(steps, 1):
            page.keyboard.press("ArrowRight")
            expect(page.locator("#now")).to_contain_text(
                f"event {number} of {len(steps)}: {step.event.type}"
            )
            shown = job_json(step.after)
            for name in ("state", "version", "attempt", "etag", "errorMessage"):
                expect(field(visitor, name).locator("dd").first).to_have_text(
                    json.dumps(shown[name]).strip('"')
                )
            page.wait_for_url(re.compile(f"at=v{step.event.version}&"))
            exactly = page.locator("#exactly pre").text_content() or ""
            assert json.loads(exactly) == json.loads(json.dumps(shown, default=str))
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#now")).to_contain_text(f"event {len(steps) - 1} of")
        page.keyboard.press("Home")
        visitor.sees("Before its first event")
        page.keyboard.press("End")
        expect(page.locator("#now")).to_contain_text(f"event {len(steps)} of {len(steps)}")
    visitor.is_content()
    exactly = json.loads(page.locator("#exactly pre").text_content() or "")
    page.locator("#exactly a").click()
    answered = json.loads(page.locator("pre").text_content() or "")
    assert {key: answered[key] for key in exactly} == exactly


def test_changes_of_an_event_and_the_event_that_set_each_field(
    site: Server, visitor: Visitor
) -> None:
    page, ledger = visitor.page, site.ledger
    page.goto(f"{site.url}/jobs/{TOLD}?clock=recorded")
    moment = ledger.moment("now", "recorded")
    for each in blame(ledger.reader, TOLD, moment):
        expect(field(visitor, each.field).locator("button")).to_contain_text(
            f"event {each.event.version}"
        )
    tab(visitor, "State")
    page.get_by_role("button", name="state was set by event 8").click()
    changes = page.locator("#changes tbody tr")
    expect(changes.filter(has_text="state")).to_contain_text("RUNNING")
    expect(changes.filter(has_text="state")).to_contain_text("SUCCEEDED")
    expect(field(visitor, "state")).to_have_class(re.compile("changed"))
    visitor.is_content()


def test_a_contradicted_report_is_visible_and_explained(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/jobs/{TOLD}?at=v4&clock=recorded")
    report = "Succeeded was reported by worker-9, though the job was FAILED"
    expect(page.locator("#changes")).to_contain_text(report)
    expect(page.locator("#events")).to_contain_text(report)
    visitor.sees("1 contradicted")
    assert page.locator("#band .contradiction").count() == 1
    assert page.locator("#band .failure").count() == 2
    tab(visitor, "Why")
    expect(page.locator("#reasons")).to_contain_text("it is kept as a contradiction")


@pytest.mark.slow
def test_attempts_end_at_their_terminal_states(dsn: str) -> None:
    """Each attempt's times are those of the events that began, ran and ended it, whatever came later."""
    with new_server(dsn) as server, Ledger.open(dsn, server.ledger.name) as ledger:
        name = "projects/p/jobs/thrice"

        def at(minutes: int) -> datetime:
            return BEGIN + timedelta(minutes=minutes)

        ledger.create(name, occurred_time=at(0))
        for attempt in range(3):
            begin = 100 * attempt
            if attempt:
                ledger.retried(name, "again", occurred_time=at(begin))
            ledger.started(name, {"worker": "w"}, occurred_time=at(begin + 10))
            ledger.failed(name, "out of memory", occurred_time=at(begin + 40 + attempt))
            ledger.succeeded(name, occurred_time=at(begin + 90))
        outline = read_outline(ledger.reader, name, Clock.OCCURRED, None)
        drawn = bands(outline)
        assert [(each.waited, each.lasted, each.state) for each in drawn.attempts] == [
            ("10 min", "30 min", "FAILED"),
            ("10 min", "31 min", "FAILED"),
            ("10 min", "32 min", "FAILED"),
        ]
        assert [lane.label for lane in drawn.lanes] == ["attempt 1", "attempt 2", "attempt 3"]
        faults = [[fault.type for fault in lane.faults] for lane in drawn.lanes]
        assert faults == [["Failed", "Contradicted"]] * 3


def test_two_short_failures_are_marked_among_five_thousand_events(
    dsn: str, visitor: Visitor
) -> None:
    page = visitor.page
    with new_server(dsn) as server:
        name = "projects/p/jobs/busy"

        def told_of() -> Iterator[Event]:
            yield Event(name, 1, e.Created(), BEGIN)
            yield Event(name, 2, e.Started.model_validate({"worker": "w"}), BEGIN)
            version, time = 2, BEGIN
            for n in range(4_993):
                version, time = version + 1, BEGIN + timedelta(minutes=n)
                yield Event(name, version, e.ProgressReported(output={"step": n}), time)
                if n in (1_500, 3_500):
                    failed = e.Failed(error=Status(code=14, message="lease lost"))
                    again = e.Retried(reason="again")
                    running = e.Started.model_validate({"worker": "w"})
                    for after, fact in ((2, failed), (4, again), (6, running)):
                        version += 1
                        yield Event(name, version, fact, time + timedelta(seconds=after))

        server.ledger.append_many(told_of())
        page.goto(f"{server.url}/jobs/{name}")
        expect(page.locator("#now")).to_contain_text("event 5001 of 5001")
        # The attempt began long before the events that are loaded.
        expect(page.locator("#now")).to_contain_text(re.compile(r"for \d+ d.*, last heard \d+ d"))
        page.locator("#scrubber").press("ArrowLeft")
        expect(page.locator("#now")).to_contain_text("for 1 d")
        expect(page.locator("#now")).to_contain_text("on w")
        assert page.locator("#band .fault").count() == 2
        expect(page.locator(".run summary").first).to_contain_text("ProgressReported")
        page.get_by_label("failed only").check()
        visitor.sees("2 of 5,001 events")
        page.get_by_role("button", name="Show all").click()
        page.locator("#scrubber").press("Home")
        visitor.sees("Before its first event")
        page.locator("#scrubber").press("]")
        expect(page.locator("#error")).to_have_text("lease lost")
        visitor.is_content()


def test_a_report_that_is_late_by_seconds_makes_the_clocks_differ(
    dsn: str, visitor: Visitor
) -> None:
    with new_server(dsn) as server:
        name = "projects/p/jobs/late"
        server.ledger.create(name)
        late = datetime.now(UTC) + timedelta(seconds=-20)
        server.ledger.create("projects/p/jobs/later", occurred_time=late)
        visitor.page.goto(f"{server.url}/jobs/projects/p/jobs/later")
        expect(visitor.page.locator("#band .late")).to_have_count(1)
        visitor.sees("transaction time")
        expect(visitor.page.locator("#events")).to_contain_text("recorded 20 s later")
        visitor.page.goto(f"{server.url}/jobs/{name}")
        expect(visitor.page.locator("#now")).to_contain_text("event 1 of 1")
        assert visitor.page.locator("#band .late").count() == 0


def test_parents_and_children_are_linked(dsn: str, visitor: Visitor) -> None:
    page = visitor.page
    with new_server(dsn) as server:
        server.ledger.create("projects/p/jobs/night")
        server.ledger.create("projects/p/jobs/step", spec={"parents": ["projects/p/jobs/night"]})
        server.ledger.create("projects/p/jobs/other")
        page.goto(f"{server.url}/jobs/projects/p/jobs/night")
        expect(page.locator("#family")).to_have_text(re.compile(r"Children:\s+step\s*$"))
        page.get_by_role("link", name="step").click()
        expect(page.locator("#family")).to_contain_text("Parents: night")
        visitor.is_content()


def test_hidden_characters_are_named(site: Server, visitor: Visitor) -> None:
    visitor.page.goto(f"{site.url}/jobs/{TOLD}?at=v1&clock=recorded")
    tab(visitor, "State")
    expect(field(visitor, "spec.displayName")).to_contain_text("⟨U+202E⟩")
    expect(visitor.page.locator("#events")).to_contain_text("⟨U+202E⟩")


def test_a_long_message_fits_the_explanation(dsn: str, browser: Browser) -> None:
    with new_server(dsn) as server, visiting(browser, viewport={"width": 400, "height": 800}) as it:
        server.ledger.create("projects/p/jobs/long")
        server.ledger.failed("projects/p/jobs/long", "\u202e" + "x" * 2_000)
        it.page.goto(f"{server.url}/jobs/projects/p/jobs/long")
        tab(it, "Why")
        expect(it.page.locator("#reasons")).to_contain_text("⟨U+202E⟩xxx")
        it.is_content()


def test_links_of_the_operator(dsn: str, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "JOBLEDGER_LINK_TEMPLATES",
        "Logs=https://logs.example/q?job={id}&project={project} Bad=javascript:alert(1)",
    )
    with new_server(dsn) as server:
        server.ledger.create("projects/p/jobs/a.b")
        visitor.page.goto(f"{server.url}/jobs/projects/p/jobs/a.b")
        link = visitor.page.get_by_role("link", name="Logs")
        expect(link).to_have_attribute("href", "https://logs.example/q?job=a.b&project=p")
        assert visitor.page.get_by_role("link", name="Bad").count() == 0


def test_late_events_join_the_two_clocks(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/jobs/{TOLD}")
    assert page.locator("#band .late").count() == 1
    expect(page.locator("#events")).to_contain_text("recorded 2 h later")
    # As it happened, nothing comes before the job was created.
    expect(page.locator(".feed li").first).to_contain_text("Created")
    with page.expect_navigation():
        page.get_by_label("transaction time").check()
    expect(page.locator(".feed li").first).to_contain_text("Created")
    visitor.is_content()


def time_at(scale: list[tuple[datetime, float]], place: float) -> datetime:
    """The time at a place in the band, in percent, by its scale."""
    (begin, low), (end, high) = next(
        pair for pair in pairwise(scale) if pair[0][1] <= place < pair[1][1]
    )
    return begin + (end - begin) * (place - low) / (high - low)


def points_at(visitor: Visitor, ledger: Ledger, place: float) -> None:
    """Drags in the band to a place, in percent; the cursor is at the last event up to there then."""
    page = visitor.page
    # Before its script has run, the band takes no pointer, and moves as the page is filled.
    page.wait_for_function("performance.getEntriesByName('ready').length")
    data = json.loads(page.locator("#data").text_content() or "")
    scale = [(datetime.fromisoformat(time), at) for time, at in data["scale"]]
    occurred = data["clock"] == "occurred"
    told = [e.occurred_time if occurred else e.recorded_time for e in ledger.history(data["name"])]
    times = [*accumulate(told, max)]  # An event takes effect no earlier than the one before it.
    # The page reckons in milliseconds, and a pixel may be longer than the time between two events.
    box = page.locator("#band").bounding_box()
    assert box is not None
    pixel = 100 / box["width"]
    fewest, most = (
        sum(each <= time_at(scale, place + sign * pixel) + sign * 2 * MILLISECOND for each in times)
        for sign in (-1, 1)
    )
    wanted = "|".join(str(n) for n in range(fewest - 1, most + 2))
    shown = re.compile(f"event ({wanted}) of|Before its first")
    for attempt in range(3):
        box = page.locator("#band").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * place / 200, box["y"] + 30)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * place / 100, box["y"] + 30)
        page.mouse.up()
        try:
            expect(page.locator("#now")).to_contain_text(shown)
        except AssertionError:
            # A busy browser may take the drag for a click.
            if attempt == 2:
                raise
        else:
            return


def test_the_band_is_pointed_at(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    for clock in ("occurred", "recorded"):
        page.goto(f"{site.url}/jobs/{TOLD}?clock={clock}")
        expect(page.locator("#now b").first).to_be_visible()
        points_at(visitor, site.ledger, 30)
    page.goto(f"{site.url}/jobs/{LONG}")
    expect(page.locator("#now")).to_contain_text("event 1000")
    for place in (10, 55.5, 73):
        points_at(visitor, site.ledger, place)
    with site.client() as client:
        for at in ("", "soon", "2026-06-01"):
            assert client.get(f"/parts/step/{TOLD}", params={"at": at}).status_code == 400
    assert visitor.errors == []


OVERLAPPING = """lines => lines.flatMap((line) => {
    const boxes = [];
    const texts = document.createTreeWalker(line, NodeFilter.SHOW_TEXT, (node) => node.data.trim() ? 1 : 2);
    for (let node; (node = texts.nextNode()); ) {
        const range = document.createRange();
        range.selectNodeContents(node);
        boxes.push(...[...range.getClientRects()].map((box) => [node.data, box]));
    }
    const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 4 && b.top < a.bottom - 4;
    return boxes.flatMap(([text, a], n) => boxes.slice(n + 1).filter(([, b]) => meet(a, b)).map(([other]) => `${text} | ${other}`));
})"""
"""Texts of a line that lie on top of each other."""


def test_events_as_feed_table_or_json_filtered(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/jobs/{TOLD}?clock=recorded")
    expect(page.locator(".feed li")).to_have_count(8)
    assert page.locator(".feed li").evaluate_all(OVERLAPPING) == []
    page.get_by_label("table").check()
    expect(page.locator("#events tbody tr")).to_have_count(8)
    page.get_by_label("JSON").check()
    body = json.loads(page.locator("#events pre").inner_text())
    assert [event["type"] for event in body] == [ev.type for ev in site.ledger.history(TOLD)]
    page.get_by_label("failed only").check()
    expect(page.locator("#events pre")).not_to_contain_text("Created")
    assert len(json.loads(page.locator("#events pre").inner_text())) == 2
    page.wait_for_url(re.compile("failed=1"))
    page.reload()
    assert page.get_by_label("JSON").is_checked()
    expect(page.locator("#events pre")).to_contain_text("Contradicted")
    assert len(json.loads(page.locator("#events pre").inner_text())) == 2
    page.get_by_label("failed only").uncheck()
    page.get_by_label("feed").check()
    page.get_by_label("Actor").select_option("ann")
    expect(page.locator(".feed li")).to_have_count(1)
    page.get_by_label("Actor").select_option("*")
    page.get_by_label("Type").select_option("Started")
    expect(page.locator(".feed li")).to_have_count(2)
    visitor.is_content()


def test_compared_with_a_moment_an_attempt_and_another_job(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/jobs/{TOLD}?clock=recorded")
    tab(visitor, "Compare")
    other = page.get_by_label("With a moment")
    for expected, sees in {
        "v3": "out of memory",
        "attempt 1": "FAILED",
        LONG: "projects/p/jobs/long",
        "v99": "there is no version 99",
        "attempt 7": "There is no attempt 7",
        "nonsense": "nonsense",
        "projects/p/jobs/none": "there is no job",
    }.items():
        other.fill(expected)
        page.locator("#against").get_by_role("button", name="Compare").click()
        expect(page.locator("#differences")).to_contain_text(sees)
    assert [text for text in visitor.errors if "status of 4" not in text] == []


def test_new_events_are_announced_and_marked(site: Server, visitor: Visitor) -> None:
    page, ledger = visitor.page, site.ledger
    name = "projects/p/jobs/live"
    ledger.create(name)
    page.goto(f"{site.url}/jobs/{name}")
    expect(page.locator("#now")).to_contain_text("event 1 of 1")
    ledger.create("projects/p/jobs/another")
    ledger.started(name)
    ledger.failed(name, "x")
    expect(page.locator("#new")).to_contain_text("2 new events, the last is Failed.")
    page.locator("#new").get_by_role("link", name="Show").click()
    expect(page.locator(".feed .badge")).to_have_count(2)
    expect(page.locator("#now")).to_contain_text("event 3 of 3")
    visitor.is_content()


def test_a_long_history_is_read_in_windows(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/jobs/{LONG}?clock=recorded")
    expect(page.locator("#now")).to_contain_text("event 1000 of 1000")
    expect(page.locator(".feed li")).to_have_count(WINDOW)
    page.get_by_role("button", name="Earlier events").click()
    expect(page.locator("#now")).to_contain_text("event 800 of 1000")
    page.get_by_role("button", name="Later events").click()
    # With those before it, where the cursor is among the first.
    expect(page.locator("#now")).to_contain_text("event 801 of 1000")
    expect(page.locator(".feed li")).to_have_count(2 * WINDOW)
    page.locator("#scrubber").fill("123")
    expect(page.locator("#now")).to_contain_text("event 123 of 1000")
    body = job_json(site.ledger.get(LONG, as_of="v123"))
    expect(field(visitor, "etag").locator("dd").first).to_have_text(body["etag"])
    expect(field(visitor, "attempt").locator("dd").first).to_have_text(str(body["attempt"]))
    page.locator("#scrubber").fill("700")
    blamed = {
        each.field: each.event.version
        for each in blame(site.ledger.reader, LONG, site.ledger.moment("v700", None, LONG))
    }
    for name, version in blamed.items():
        expect(field(visitor, name).locator("button")).to_contain_text(f"event {version}")
    page.get_by_label("Type").select_option("Retried")
    page.get_by_role("button", name="More").click()
    expect(page.locator(".feed li").last).to_contain_text("Retried")
    page.locator("#attempts summary").click()
    page.get_by_role("region", name="Attempts").get_by_role("button", name="7", exact=True).click()
    expect(field(visitor, "attempt").locator("dd").first).to_have_text("7")
    visitor.is_content()


@pytest.mark.slow
def test_a_link_shows_the_same_bytes_later(dsn: str) -> None:
    with new_server(dsn) as server, server.client() as client:
        told(server.ledger)
        until = server.ledger.size()
        links = [
            f"/jobs/{TOLD}?at=v{version}&clock={clock}&until={until}"
            for version in (0, 3, 8)
            for clock in ("occurred", "recorded")
        ]
        first = [client.get(link) for link in links]
        assert {answer.status_code for answer in first} == {200}
        server.ledger.failed(TOLD, "a contradiction")
        server.ledger.delete(TOLD)
        server.ledger.create("projects/p/jobs/other")
        for link, answer in zip(links, first, strict=True):
            assert client.get(link).content == answer.content
            window = link.replace("/jobs/", "/parts/window/")
            assert client.get(window).status_code == 200


def test_a_broken_link_says_what_is_broken(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    for path, why in {
        "projects/p/jobs/none": "there is no job",
        f"{TOLD}?at=v99": "there is no version 99",
        f"{TOLD}?until=99999999": "there is no position 99999999 yet",
        f"{TOLD}?until=x": "'x' is not a position",
        f"{TOLD}?clock=sun": "not a clock",
        f"{TOLD}?at=2026-01-01@%C2%B2": "is not a moment",
        f"{TOLD}?at=2026-01-01@{'9' * 5_000}": "",
        f"{TOLD}?at=soon": "'soon' is not a moment",
        f"{TOLD}?ledger=other": "the link is of the ledger 'other'",
        "nonsense": "is not of the form projects/PROJECT/jobs/ID",
        "projects/p/jobs/" + "x" * 5_000: "is not a job's name",
    }.items():
        answer = page.goto(f"{site.url}/jobs/{path}")
        assert answer is not None
        assert answer.status in {400, 404}
        visitor.sees(why)


def test_nothing_is_ever_read_as_html(site: Server, visitor: Visitor) -> None:
    page, ledger = visitor.page, site.ledger
    name = "projects/p/jobs/evil"
    ledger.create(name, {"team": "x"}, spec={"displayName": EVIL, EVIL: {EVIL: EVIL}})
    ledger.failed(name, EVIL + "<b>" + "y" * 200_000, actor="<i>me</i>")
    for view in ("feed", "table", "json"):
        page.goto(f"{site.url}/jobs/{name}?view={view}&with=v1")
        visitor.sees("event 2 of 2")
        expect(page.locator("#differences")).to_contain_text("<img src=x")
        assert page.locator("main img").count() == 0
        assert page.locator("main b", has_text="yyy").count() == 0
        visitor.is_content()


def test_an_unreachable_server_is_reported_and_the_cursor_stays(dsn: str, visitor: Visitor) -> None:
    page = visitor.page
    with new_server(dsn) as server:
        told(server.ledger)
        port = str(server.port)
        page.goto(f"{server.url}/jobs/{TOLD}?at=v5&clock=recorded")
        expect(page.locator("#now")).to_contain_text("event 5 of 8")
        server.stop()
        expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#now")).to_contain_text("event 4 of 8")
        with serving(server.ledger, dsn, "--port", port):
            expect(page.get_by_role("alert")).to_be_hidden()
            expect(page.locator("#now")).to_contain_text("event 4 of 8")


def test_on_a_phone_in_the_dark(site: Server, browser: Browser) -> None:
    phone = {"width": 400, "height": 800}
    with visiting(browser, viewport=phone, color_scheme="dark") as visitor:
        visitor.page.goto(f"{site.url}/jobs/{TOLD}")
        visitor.sees("SUCCEEDED")
        visitor.is_content()


def test_a_job_in_a_file_is_the_same_page(desk: Desk, visitor: Visitor, tmp_path: Path) -> None:
    page, ledger = visitor.page, desk.ledger
    told(ledger)
    file = tmp_path / "job.html"
    desk.run("export", TOLD, "--format", "html", "--to", str(file))
    assert "http" not in re.findall(r'(?:src|href)="(\w+)', file.read_text())
    page.goto(file.as_uri())
    page.keyboard.press("Home")
    steps = steps_as_of(ledger.reader, TOLD, ledger.moment("now", "recorded"))
    for number, step in enumerate(steps, 1):
        page.keyboard.press("ArrowRight")
        expect(page.locator("#now")).to_contain_text(
            f"event {number} of {len(steps)}: {step.event.type}"
        )
        expect(field(visitor, "etag").locator("dd").first).to_have_text(step.after.etag)
    expect(field(visitor, "state").locator("button")).to_contain_text("event 8")
    points_at(visitor, ledger, 20)
    page.get_by_label("failed only").check()
    expect(page.locator(".feed li")).to_have_count(2)
    visitor.sees("2 of 8 events")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(".feed li")).to_have_count(8)
    tab(visitor, "Proof")
    page.get_by_role("button", name="Verify all events shown").click()
    expect(page.locator("#verdict")).to_contain_text("All 8 events shown are verified")
    visitor.is_content()


def test_a_changed_file_is_detected(desk: Desk, visitor: Visitor, tmp_path: Path) -> None:
    told(desk.ledger)
    file = tmp_path / "job.html"
    desk.run("export", TOLD, "--format", "html", "--to", str(file))
    file.write_text(file.read_text().replace("out of memory", "out of luck !"))
    page = visitor.page
    page.goto(file.as_uri())
    tab(visitor, "Proof")
    page.get_by_role("button", name="Verify all events shown").click()
    expect(page.locator("#verdict")).to_contain_text("v3 is not as recorded: its data")
    page.keyboard.press("End")
    page.get_by_role("button", name="Verify this event").click()
    expect(page.locator("#verdict")).to_contain_text("Verified in this browser")


def test_receipts_are_verified_in_the_browser(desk: Desk, visitor: Visitor) -> None:
    told(desk.ledger)
    desk.ledger.seal()
    with serving(desk.ledger, desk.dsn) as server:
        page = visitor.page
        page.goto(f"{server.url}/jobs/{TOLD}")
        tab(visitor, "Proof")
        page.get_by_role("button", name="Verify this event").click()
        expect(page.locator("#verdict")).to_contain_text("Verified in this browser")
        page.get_by_role("button", name="Verify all events shown").click()
        expect(page.locator("#verdict")).to_contain_text("All 8 events shown are verified")
        # A verdict is of the event at which it was asked for.
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        expect(page.locator("#verdict")).to_have_text("")
        with page.expect_download() as download:
            page.get_by_role("link", name="Receipt").click()
        assert download.value.path().read_text().startswith("c2sp.org/tlog-proof@v1")
        visitor.is_content()


@pytest.mark.slow
def test_html_is_of_one_job(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.run("export", "--format", "html") == 2
    assert "name: html is a page of one job; give its NAME" in capsys.readouterr().err
