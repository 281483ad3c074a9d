"""The fleet page when something is wrong: 120 jobs that ran for three minutes and failed, in a week of others."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import quote, urlsplit

import pytest
from jobledger.domain import events as e
from jobledger.domain.data import Status
from jobledger.domain.events import Event
from jobledger.domain.values.filters import parse_filter
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.history.counts.activity import ENDED, Activity, activity, jobs_of_project
from jobledger.infra.history.counts.state_counts import MICROSECOND, Extent, extent
from jobledger.infra.transfer.traces.simulation import simulate
from jobledger.infra.web.fleet_page.job_list import read_jobs
from jobledger.infra.web.fleet_page.page import read_facts
from jobledger.infra.web.fleet_page.search import filter_of, terms, without
from jobledger.infra.web.fleet_page.sentence import quick_facts
from jobledger.infra.web.links import FleetLink
from jobledger.infra.web.reports import TITLES
from playwright.sync_api import Browser, Route, expect

from tests.browsing import Visitor, visiting
from tests.servers import Server, new_server

NOW = datetime.now(UTC).replace(microsecond=0)
BURST = (NOW - timedelta(hours=50)).replace(minute=10)
LAST_FAILURE = BURST + timedelta(seconds=120 + 59.5)
"""In the middle of a bucket, so that all of it counts there."""
MESSAGE = "shard store is unreachable\nconnect timed out"


def incident() -> Iterator[Event]:
    """120 jobs that were created within a minute, and failed within three."""
    for n in range(120):
        name, begin = f"projects/p/jobs/ingest_{n:03}", BURST + timedelta(seconds=n / 2)
        yield Event(name, 1, e.Created(labels={"team": "ingest"}), begin)
        yield Event(
            name, 2, e.Started.model_validate({"worker": "w"}), begin + timedelta(seconds=5)
        )
        failed = e.Failed(error=Status(code=14, message=MESSAGE))
        yield Event(name, 3, failed, begin + timedelta(seconds=120))


def waiting() -> Iterator[Event]:
    """Jobs that wait: one for an hour, and one for a minute."""
    for minutes in (60, 1):
        yield Event(
            f"projects/p/jobs/wait_{minutes}", 1, e.Created(), NOW - timedelta(minutes=minutes)
        )


@pytest.fixture(scope="module")
def site(dsn: str) -> Iterator[Server]:
    with new_server(dsn) as server:
        server.ledger.append_many(simulate(300, 7, "p", NOW))
        server.ledger.append_many(incident())
        server.ledger.append_many(waiting())
        server.ledger.append_many(simulate(20, 8, "q", NOW))
        server.ledger.follow(server.ledger.size())
        yield server


@pytest.mark.slow
def test_a_bucket_shows_the_maximum_of_live_jobs_within_it(site: Server) -> None:
    ledger = site.ledger
    window = Extent(NOW - timedelta(days=7), NOW)
    counted = activity(ledger.reader, ledger.moment("now", "occurred"), window, None)
    assert counted.width == 1_800
    assert max(counted.peaks["RUNNING"]) >= 110
    n = counted.peaks["RUNNING"].index(max(counted.peaks["RUNNING"]))
    assert counted.times[n] <= BURST < counted.times[n + 2]
    assert sum(counted.ended["FAILED"][n : n + 2]) >= 120


@pytest.mark.slow
def test_live_jobs_are_counted_as_the_ledger_counts_them(site: Server) -> None:
    ledger = site.ledger
    window = Extent(BURST - timedelta(minutes=20), BURST + timedelta(minutes=20))
    counted = activity(ledger.reader, ledger.moment("now", "occurred"), window, None)
    for n in range(0, len(counted.times) - 1, 40):
        begin = counted.times[n]
        samples = [
            begin + timedelta(seconds=s) for s in range(0, counted.width + 1, counted.sample)
        ]
        message = [ledger.count(as_of=at - MICROSECOND, clock="occurred").counts for at in samples]
        for state, peaks in counted.peaks.items():
            assert peaks[n] == max(counts.get(state, 0) for counts in message)


@pytest.mark.slow
@pytest.mark.parametrize("clock", ["occurred", "recorded"])
def test_ended_jobs_are_counted_exactly_of_all_of_a_project_and_of_a_filter(
    site: Server, clock: str
) -> None:
    ledger = site.ledger
    for position in (ledger.size() // 2, ledger.size()):
        moment = ledger.moment("now", clock)
        if clock == "recorded":
            moment = ledger.moment(f"@{position}")
        else:
            moment = moment._replace(position=position)
        whole = extent(ledger.reader, moment)
        assert whole is not None
        everything = ledger.reader.names_statement(parse_filter('state : "*"'), moment)
        asked = activity(ledger.reader, moment, whole, None)
        chosen = activity(ledger.reader, moment, whole, everything)
        assert asked == chosen
        of_p = activity(ledger.reader, moment, whole, jobs_of_project("p"))
        of_q = activity(ledger.reader, moment, whole, jobs_of_project("q"))
        assert totals(of_p) + totals(of_q) == totals(asked)


def totals(counted: Activity) -> Counter[str]:
    return Counter({state: sum(counted.ended.get(state, [])) for state in ENDED})


def test_the_sentence_counts_and_each_number_leads_to_its_jobs(
    site: Server, visitor: Visitor
) -> None:
    page = visitor.page
    page.goto(site.url)
    expect(page.locator("#facts")).to_contain_text("2 queued (oldest 1 h")
    for words in ("queued", "failed in 24 h", "late"):
        page.goto(site.url)
        fact = page.locator(".fact", has_text=words)
        number = fact.locator("b").inner_text()
        fact.click()
        expect(page.locator("#as-of")).to_contain_text(re.compile(rf"^{number} jobs? at"))
    assert visitor.errors == []


def test_plain_words_find_names_and_messages(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(site.url)
    field = page.get_by_label("Search or filter")
    field.fill("unreachable")
    expect(page.locator("#as-of")).to_contain_text("120 jobs")
    expect(page.locator("#over-time .quiet").first).to_contain_text("the jobs that the search")
    expect(page.get_by_role("link", name="Remove unreachable")).to_be_visible()
    expect(page.locator(".c-error").first).to_have_text("shard store is unreachable")
    field.fill("unreachable ingest_00")
    expect(page.locator("#as-of")).to_contain_text("10 jobs")
    assert visitor.errors == []


def test_a_filter_is_taken_apart_at_its_ands() -> None:
    text = 'state = FAILED AND (a = 1 AND b = 2) AND c : "x AND y"'
    assert terms(text) == ["state = FAILED", "(a = 1 AND b = 2)", 'c : "x AND y"']
    assert without(text, 1) == 'state = FAILED AND c : "x AND y"'
    assert filter_of(text) == text
    assert terms(filter_of('two "words')) == ['two "words']
    assert without("two words", 0) == "words"


def test_failures_are_grouped_by_message(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/?window=7d&tab=failures")
    first = page.locator(".failures > li").first
    expect(first).to_contain_text("shard store is unreachable")
    expect(first).to_contain_text("team=ingest (120 of 120)")
    visitor.is_content()
    first.get_by_role("link", name="120 jobs with this message").click()
    expect(page.locator("#as-of")).to_contain_text("120 jobs")


@pytest.mark.slow
def test_failures_say_how_many_messages_are_left_out(dsn: str) -> None:
    with new_server(dsn) as server, server.client() as client:
        for n in range(52):
            server.ledger.create(f"projects/p/jobs/f{n}")
            server.ledger.failed(f"projects/p/jobs/f{n}", f"message {n}")
        found = client.get("/", params={"tab": "failures"}).text
    assert "52 jobs failed or expired in the time shown" in found
    assert "the 50 most frequent of 52 messages are shown" in found


def test_the_timeline_has_lanes_by_label(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/?window=7d&tab=timeline&by=team")
    expect(page.get_by_role("heading", name="ingest 120")).to_be_visible()
    visitor.sees("109 more")
    visitor.is_content()


def test_the_failure_before_and_a_moment_by_the_clock(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    at = (BURST + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    page.goto(f"{site.url}/?at={at}")
    page.get_by_role("button", name="Previous failure").click()
    failed = [job for job in site.ledger.list("state = FAILED", as_of=at) if job.end_time]
    last = max(job.end_time for job in failed if job.end_time)
    expect(page.locator("#list")).to_have_attribute("data-time", last.isoformat())
    page.locator("#at").fill("03:12")
    page.keyboard.press("Enter")
    expect(page.locator("#list")).to_have_attribute("data-time", re.compile("T03:12:00"))
    expected = datetime.fromisoformat(page.locator("#list").get_attribute("data-time") or "")
    assert timedelta() <= datetime.now(UTC) - expected < timedelta(days=1)
    page.locator("#at").fill("soon")
    page.keyboard.press("Enter")
    expect(page.locator("#moment-problem")).to_contain_text("The moment 'soon' is not a moment")


@pytest.mark.slow
@pytest.mark.parametrize("field", ["at", "from", "to"])
@pytest.mark.parametrize("path", ["/", "/fleet/list", "/fleet.csv"])
@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"]
)
def test_a_link_may_name_any_time(site: Server, path: str, field: str, time: str) -> None:
    with site.client() as client:
        answer = client.get(path, params={field: time, "tab": "timeline", "clock": "recorded"})
        refused = field == "at" and path != "/" and time != "0001-01-01T00:00:00Z"
        assert answer.status_code == (400 if refused else 200)
        assert "its log says how" not in answer.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ten_jobs_are_above_the_fold_and_five_on_a_phone(
    site: Server, browser: Browser, scheme: str
) -> None:
    for width, height, least in ((1280, 900, 10), (400, 800, 5)):
        size = {"width": width, "height": height}
        with visiting(browser, viewport=size, color_scheme=scheme) as visitor:
            visitor.page.goto(f"{site.url}/")
            rows = visitor.page.locator("#list tbody tr")
            expect(rows).to_have_count(25)
            boxes = [rows.nth(n).bounding_box() for n in range(least)]
            assert all(box and box["y"] + box["height"] <= height for box in boxes)
            visitor.is_content()


def test_a_live_page_follows_what_happens(dsn: str, visitor: Visitor) -> None:
    page = visitor.page
    with new_server(dsn) as server:
        server.ledger.create("projects/p/jobs/first")
        page.goto(server.url)
        expect(page.locator("#live")).to_have_text("Live")
        server.ledger.create("projects/p/jobs/second")
        expect(page.locator("#as-of")).to_contain_text("2 jobs")
        # The last thing that happened is at the moment of the second job; each key is a step.
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#live")).to_have_text("Paused")
        expect(page.locator("#as-of")).to_contain_text("1 job at")
        assert visitor.errors == []


def test_a_live_page_is_read_again_only_if_something_happened(dsn: str, visitor: Visitor) -> None:
    page = visitor.page
    with new_server(dsn) as server:
        server.ledger.create("projects/p/jobs/first")
        server.ledger.follow(server.ledger.size())
        asked = list[str]()
        page.on("request", lambda request: asked.append(urlsplit(request.url).path))
        page.goto(f"{server.url}/?filter=first")
        expect(page.locator("#as-of")).to_contain_text("1 job")
        for _ in range(2):
            with page.expect_response("**/ledger/v1/moment**"):
                pass
        assert "/fleet/list" not in asked
        server.ledger.create("projects/p/jobs/first_again")
        expect(page.locator("#as-of")).to_contain_text("2 jobs")
        assert asked.count("/fleet/list") == 1


def _late(route: Route) -> None:
    time.sleep(1.5)
    route.continue_()


def test_a_slow_search_is_read_again_less_often(dsn: str, visitor: Visitor) -> None:
    page = visitor.page
    with new_server(dsn) as server:
        server.ledger.create("projects/p/jobs/first")
        page.goto(server.url)
        page.route("**/fleet/list?**", _late)
        server.ledger.create("projects/p/jobs/second")
        expect(page.locator("#as-of")).to_contain_text("2 jobs")
        began = time.monotonic()
        server.ledger.create("projects/p/jobs/third")
        expect(page.locator("#as-of")).to_contain_text("3 jobs", timeout=30_000)
        assert time.monotonic() - began > 1.5 / 0.2


def test_a_search_that_cannot_be_parsed_does_not_stop_a_live_page(
    dsn: str, visitor: Visitor
) -> None:
    page = visitor.page
    with new_server(dsn) as server:
        server.ledger.create("projects/p/jobs/first")
        page.goto(server.url)
        page.locator("#filter").fill("state = ")
        expect(page.locator("#problem")).to_be_visible()
        page.locator("#filter").blur()
        server.ledger.create("projects/p/jobs/second")
        expect(page.locator("#as-of")).to_contain_text("2 jobs")


def test_the_focus_stays_at_its_job(dsn: str, visitor: Visitor) -> None:
    page = visitor.page
    with new_server(dsn) as server:
        server.ledger.create("projects/p/jobs/first")
        page.goto(server.url)
        page.locator("#list tbody th a").focus()
        server.ledger.create("projects/p/jobs/second")
        expect(page.locator("#list tbody tr")).to_have_count(2)
        expect(page.locator("[title$='/first']")).to_be_focused()


def test_the_crosshair_stays_under_the_mouse_when_a_live_chart_is_drawn_again(
    dsn: str, visitor: Visitor
) -> None:
    page = visitor.page
    with new_server(dsn) as server:
        server.ledger.append_many(simulate(20, 7, "p", NOW))
        server.ledger.follow(server.ledger.size())
        page.goto(server.url)
        page.locator("#plot .u-over").hover()
        expect(page.locator("#crosshair")).to_be_visible()
        with page.expect_response("**/fleet/chart**") as redrawn:
            server.ledger.create("projects/p/jobs/other")
        redrawn.value.finished()
        page.evaluate("() => new Promise(requestAnimationFrame)")
        expect(page.locator("#crosshair")).to_be_visible()
        assert visitor.errors == []


def test_a_refreshed_part_keeps_what_the_user_opened_and_chose(dsn: str, visitor: Visitor) -> None:
    page = visitor.page
    with new_server(dsn) as server:
        server.ledger.append_many(simulate(20, 7, "p", NOW))
        server.ledger.follow(server.ledger.size())
        page.goto(server.url)
        page.get_by_text("The chart as a table").click()
        page.evaluate("getSelection().selectAllChildren(document.querySelector('#list tbody bdi'))")
        chosen = page.evaluate("String(getSelection())")
        number = page.evaluate("document.getElementById('list').dataset.position")
        server.ledger.started(server.ledger.create("projects/p/jobs/other").name)
        expect(page.locator("#list")).not_to_have_attribute("data-position", number)
        expect(page.locator("details.numbers")).to_have_attribute("open", "")
        assert chosen
        assert page.evaluate("String(getSelection())")
        assert visitor.errors == []


def test_the_focus_of_a_row_that_goes_away_is_at_the_content(
    site: Server, visitor: Visitor
) -> None:
    page = visitor.page
    page.goto(site.url)
    page.locator("#list tbody th a").last.focus()
    page.evaluate("""async () => {
        const { morph } = await import("jobledger/morph");
        const fresh = document.getElementById("list").cloneNode();
        fresh.textContent = "No job matches the search.";
        morph(document.getElementById("list"), fresh);
    }""")
    expect(page.locator("main")).to_be_focused()
    assert page.locator("#list").inner_text() == "No job matches the search."


def test_keys_are_told_and_times_are_local_or_relative(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(site.url)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    visitor.is_content()
    page.get_by_role("button", name="Close").click()
    page.get_by_label("Times shown").select_option("relative")
    expect(page.locator("#as-of")).to_contain_text("ago")
    page.get_by_label("Times shown").select_option("utc")
    expect(page.locator("#as-of")).to_contain_text("UTC")
    page.locator("main").click(position={"x": 1, "y": 1})
    page.keyboard.press("/")
    expect(page.get_by_label("Search or filter")).to_be_focused()


def test_the_focus_never_falls_to_the_body(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/?at={BURST:%FT%TZ}&filter=ingest")
    names = [
        ("button", "Next failure"),
        ("button", "Next event"),
        ("button", "Zoom in"),
        ("link", "7 d"),
        ("link", "Failures"),
        ("link", "Jobs"),
        ("button", "Paused"),
        ("link", "Remove ingest"),
    ]
    for role, name in names:
        page.get_by_role(role, name=name, exact=True).first.focus()  # type: ignore[arg-type]
        before = page.url
        page.keyboard.press("Enter")
        page.wait_for_function("(before) => location.href !== before", arg=before)
        page.wait_for_function("() => document.activeElement !== document.body")
    assert visitor.errors == []


def test_a_zoom_is_not_lost_while_the_chart_is_read_for_another_moment(
    site: Server, visitor: Visitor
) -> None:
    page = visitor.page
    page.goto(f"{site.url}/?at={BURST:%FT%TZ}&filter=ingest")
    begin = page.locator("#over-time").get_attribute("data-begin") or ""
    page.route("**/fleet/chart?**", _late)
    page.get_by_role("button", name="Next event").click()
    page.get_by_role("button", name="Zoom in").click()
    expect(page.locator("#over-time")).not_to_have_attribute("data-begin", begin)
    shown = page.locator("#over-time").get_attribute("data-begin") or ""
    expect(page.locator("#link")).to_have_attribute("href", re.compile(quote(shown, safe="")))


def test_failures_to_step_to_are_of_the_jobs_that_the_search_selects(
    site: Server, visitor: Visitor
) -> None:
    page = visitor.page
    page.goto(f"{site.url}/?filter=ingest&window=7d")
    page.get_by_role("button", name="Previous failure").click()
    expect(page.locator("#list")).to_have_attribute("data-time", LAST_FAILURE.isoformat())
    page.get_by_role("button", name="Next failure").click()
    visitor.sees("Nothing failed after this, as far as is known.")


def test_a_message_stays_while_other_parts_of_the_page_are_loaded(
    site: Server, visitor: Visitor
) -> None:
    page, held = visitor.page, list[Route]()

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/fleet/facts**", hold)
    page.goto(f"{site.url}/?filter=ingest&window=7d")
    page.get_by_role("button", name="Previous failure").click()
    expect(page.locator("#list")).to_have_attribute("data-time", LAST_FAILURE.isoformat())
    with page.expect_request("**/fleet/facts**"):
        page.get_by_role("button", name="Next failure").click()
    visitor.sees("Nothing failed after this, as far as is known.")
    with page.expect_response("**/fleet/chart**"):
        held[-1].continue_()
    visitor.sees("Nothing failed after this, as far as is known.")
    page.get_by_role("button", name="Previous failure").click()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_what_needs_a_script_is_not_shown_without_one(site: Server, browser: Browser) -> None:
    with visiting(browser, java_script_enabled=False) as visitor:
        page = visitor.page
        page.goto(f"{site.url}/?filter=ingest&size=50")
        expect(
            page.locator(".steps button:visible, #cursor:visible, #columns:visible")
        ).to_have_count(0)
        page.get_by_role("link", name="Next page").click()
        expect(page.get_by_text("51 to 100 of 120")).to_be_visible()
        page.locator("#at").fill("3 days ago")
        page.locator("#at").press("Enter")
        expect(page.get_by_text("No job matches the search")).to_be_visible()


def test_in_forced_colours_states_have_shapes_and_words(site: Server, browser: Browser) -> None:
    with visiting(browser, forced_colors="active") as visitor:
        visitor.page.goto(f"{site.url}/?filter=ingest")
        first = visitor.page.locator("#list tbody tr").first
        expect(first.locator(".c-state use")).to_have_attribute("href", "#i-FAILED")
        expect(first.locator(".c-state")).to_have_text("FAILED")
        visitor.is_content()


def test_with_many_jobs_the_summary_is_loaded_in_two_parts(
    site: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = site.ledger.count().counts
    known = {state: count for state, count in counts.items() if state is not None}
    body = {fact.text: fact.number for fact in quick_facts(known)}
    assert body["running"] == counts.get("RUNNING", 0)
    assert body["failed in all"] == counts["FAILED"] + counts.get("EXPIRED", 0)
    monkeypatch.setattr("jobledger.infra.web.fleet_page.page.MAX_QUICK_JOBS", 0)
    moment = site.ledger.moment("now", "occurred")
    read = partial(read_facts, site.ledger.reader, moment, parse_filter, None)
    assert [fact.text for fact in read(at_once=True)] == [*body]
    assert [fact.text for fact in read()] == ["running", "queued", "failed in 24 h", "late"]


def test_results_among_many_jobs_are_counted_after_the_first_page(
    site: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobledger.infra.web.fleet_page.job_list.MAX_QUICK_JOBS", 0)
    read = partial(read_jobs, site.ledger.reader, scope=parse_filter)
    first = read(FleetLink.parse({"filter": "ingest_"}), at_once=True)
    assert (first.total, len(first.jobs), sum(first.counts.values())) == (None, 25, 0)
    counted = read(FleetLink.parse({"filter": "ingest_"}))
    assert (counted.total, counted.counts["FAILED"], counted.jobs) == (120, 120, first.jobs)
    # Where all is on one page, it is counted there.
    found = read(FleetLink.parse({"filter": "ingest_007"}), at_once=True)
    assert (found.total, found.counts["FAILED"]) == (1, 1)


@pytest.mark.slow
def test_the_top_of_the_page_is_sent_before_slow_parts(site: Server) -> None:
    with site.client() as client:
        with client.stream("GET", "/") as answer:
            parts = [*answer.iter_bytes()]
        text = b"".join(parts).decode()
        assert answer.status_code == 200
        assert text.startswith("<!doctype html>")
        assert text.rstrip().endswith("</html>")
        assert b"<main" not in parts[0]
        assert text.count("<main") == 1
        # A link that cannot be shown is refused with its status.
        for asked in ("order=nothing", "page=nothing", "at=@999999999"):
            assert client.get(f"/?{asked}").status_code == 400
        assert client.get("/jobs/projects/p/jobs/nothing").status_code == 404


PAGES = (
    "/", "/?filter=ingest_", "/?filter=state%20%3D", "/?at=nonsense", "/?tab=timeline&by=team",
    "/?tab=failures", "/jobs/projects/p/jobs/ingest_000", "/jobs/projects/p/jobs/nothing",
    "/nothing", *(f"/reports?report={name}" for name in TITLES),
)  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_faults_of_accessibility_in_either_theme(
    site: Server, browser: Browser, scheme: str
) -> None:
    with visiting(browser, color_scheme=scheme) as visitor:
        for path in PAGES:
            visitor.page.goto(site.url + path)
            visitor.page.wait_for_load_state("networkidle")
            # A page that is not found is an error of the console's, too.
            visitor.errors[:] = [error for error in visitor.errors if "status of 404" not in error]
            visitor.is_content()
            for tab in visitor.page.get_by_role("tab").all():
                tab.click()
                visitor.is_content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_empty_ledger_and_its_sign_in_have_no_faults_of_accessibility(
    dsn: str, browser: Browser, scheme: str
) -> None:
    with new_server(dsn) as server, visiting(browser, color_scheme=scheme) as visitor:
        secret = Tokens(server.ledger.pool).create("ann", Role.READER)
        visitor.page.goto(server.url)
        visitor.page.get_by_label("Your token").fill(secret)
        # A page that asks for a token has the status 401, which is an error of the console's, too.
        visitor.errors.clear()
        visitor.is_content()
        visitor.page.get_by_role("button", name="Sign in").click()
        visitor.sees("Nothing has happened yet.")
        visitor.is_content()
