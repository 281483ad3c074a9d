"""The fleet page, used as people do, on the trace of a cluster with 67,000 jobs."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from jobledger.domain.values.moments import Clock
from jobledger.infra import Ledger
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.history.counts.state_counts import (
    MICROSECOND,
    Extent,
    Series,
    extent,
    series,
    steps,
)
from jobledger.infra.transfer.traces.simulation import simulate
from playwright.sync_api import Browser, expect

from tests.browsing import Visitor, visiting
from tests.servers import Server, new_server, serving

MAY_3 = "2011-05-03T12:00:00Z"


@pytest.fixture(scope="module")
def site(trace: Ledger) -> Iterator[Server]:
    with serving(trace, trace.conninfo) as server:
        yield server


def query(visitor: Visitor) -> dict[str, str]:
    return {key: body[0] for key, body in parse_qs(urlsplit(visitor.page.url).query).items()}


def names(visitor: Visitor) -> list[str]:
    """The names of the jobs in the list, once the rows below the window are there too."""
    expect(visitor.page.locator("#list")).not_to_have_attribute("aria-busy", "true")
    found: list[str] = visitor.page.locator("#list tbody th a").evaluate_all(
        "links => links.map((link) => link.title)"
    )
    return found


def test_the_list_and_the_counts_are_those_of_the_moment(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/?at={MAY_3}")
    jobs = site.ledger.page(as_of=MAY_3, page_size=25).jobs
    assert names(visitor) == [job.name for job in jobs]
    counts = site.ledger.count(as_of=MAY_3).counts
    for state, count in counts.items():
        expect(page.locator(f"#list .counts .s-{state}")).to_contain_text(f"{count:,}")
    expect(page.get_by_role("heading", name="jobs at 2011-05-03 12:00:00 UTC")).to_be_visible()
    # The chart goes on after the cursor.
    right = page.locator("#states .s-RUNNING").evaluate(
        "path => path.getBBox().x + path.getBBox().width"
    )
    assert right > 990
    visitor.is_content()


def test_dragging_the_cursor_changes_the_list_and_the_address(
    site: Server, visitor: Visitor
) -> None:
    page = visitor.page
    page.goto(f"{site.url}/?at={MAY_3}")
    box = page.locator("#cursor").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.55, middle)
    page.mouse.down()
    for share in (0.4, 0.3, 0.25):
        page.mouse.move(box["x"] + box["width"] * share, middle)
    page.mouse.up()
    expect(page.locator("#as-of")).to_contain_text("2011-05-02")
    page.wait_for_url(re.compile("at=2011-05-02"))

    def shows_the_newest_of_then() -> bool:
        (newest,) = site.ledger.list(limit=1, as_of=query(visitor)["at"])
        return names(visitor)[0] == newest.name

    # The address and the list follow the cursor, each in its own time.
    for _ in range(50):
        if shows_the_newest_of_then():
            break
        page.wait_for_timeout(100)
    assert shows_the_newest_of_then()
    assert visitor.errors == []


def test_keys_go_to_the_event_before_and_the_next(site: Server, visitor: Visitor) -> None:
    page, ledger = visitor.page, site.ledger
    page.goto(f"{site.url}/?at={MAY_3}")
    moment = ledger.moment(MAY_3)
    before, after = steps(ledger.reader, moment)
    assert before is not None
    assert after is not None
    page.keyboard.press("ArrowRight")
    expect(page.locator("#list")).to_have_attribute("data-at", str(after))
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#list")).to_have_attribute(
        "data-at", str(steps(ledger.reader, after).before)
    )
    page.get_by_role("button", name="Previous event").click()
    page.locator("#cursor").focus()
    page.keyboard.press("ArrowLeft")
    assert query(visitor)
    assert visitor.errors == []


def test_the_chart_counts_what_the_ledger_counts(trace: Ledger) -> None:
    for clock in ("occurred", "recorded"):
        moment = trace.moment("now", clock)
        whole = extent(trace.reader, moment)
        assert whole is not None
        counted = series(trace.reader, moment, whole)
        for n in range(0, len(counted.times), 37):
            if clock == "occurred":
                # A bucket ends where the next begins: what happens just then is of that one.
                at = counted.times[n].timestamp() - 1e-6
                expected = trace.count(as_of=datetime.fromtimestamp(at, UTC), clock=clock).counts
                assert {s: c[n] for s, c in counted.counts.items() if c[n]} == expected
        last = {state: counts[-1] for state, counts in counted.counts.items() if counts[-1]}
        assert last == trace.count().counts


def test_dragging_zooms_in(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/?at={MAY_3}")
    box = page.locator("#states").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 60, steps=3)
    page.evaluate("window.isSame = true")
    page.mouse.up()
    # The window is of 24 hours around the moment; it changes in place.
    page.wait_for_url(re.compile("from=2011-05-03T0[56]"))
    body = query(visitor)
    assert body["to"].startswith("2011-05-03T1")
    assert body["at"].startswith("2011-05-03T12:00:00Z@")
    expect(page.locator("#over-time")).to_have_attribute(
        "data-begin", re.compile("2011-05-03T0[56]")
    )
    assert page.evaluate("window.isSame")
    page.go_back()
    expect(page.locator("#over-time")).to_have_attribute("data-begin", re.compile("2011-05-02T18"))
    page.get_by_role("button", name="Zoom out").click()
    expect(page.locator("#over-time")).to_have_attribute("data-begin", re.compile("2011-05-02T12"))
    page.get_by_role("link", name="7 d").click()
    expect(page.get_by_role("link", name="7 d")).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="All", exact=True).click()
    expect(page.locator("#states")).to_be_attached()
    assert "from" not in query(visitor)
    visitor.is_content()


def test_an_arrow_says_where_the_cursor_is_outside(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/?at={MAY_3}&from=2011-05-05T00:00:00Z&to=2011-05-06T00:00:00Z")
    page.get_by_role("link", name="◀ the moment").click()
    expect(page.locator("#outside")).to_be_hidden()
    page.goto(f"{site.url}/?at={MAY_3}&from=2011-05-02T00:00:00Z&to=2011-05-03T00:00:00Z")
    expect(page.get_by_role("link", name="the moment ▶")).to_be_visible()
    assert visitor.errors == []


def test_a_filter_completes_and_its_errors_are_shown_in_place(
    site: Server, visitor: Visitor
) -> None:
    page = visitor.page
    page.goto(f"{site.url}/?at={MAY_3}")
    field = page.get_by_label("Search or filter")
    field.press_sequentially("sta")
    option = page.get_by_role("option", name="state", exact=False).first
    expect(option).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field).to_have_value("state ")
    expect(page.get_by_role("option", name="=", exact=True)).to_be_visible()
    field.press_sequentially("= FAI")
    page.get_by_role("option", name="FAILED").click()
    expect(field).to_have_value("state = FAILED ")
    count = site.ledger.count("state", "state = FAILED", as_of=MAY_3).counts["FAILED"]
    expect(page.locator("#as-of")).to_contain_text(f"{count:,} jobs")
    field.press_sequentially("AND (")
    expect(page.locator("#problem")).to_contain_text("cannot be read at its end")
    # What was found before stays until the filter can be read again.
    expect(page.locator("#as-of")).to_contain_text(f"{count:,} jobs")
    field.fill("state = FAILED AND nothing = 1")
    expect(page.locator("#problem")).to_contain_text("there is no field 'nothing'")
    field.fill("state = FAILED AND error_message = *")
    expect(page.locator("#problem")).to_be_hidden()
    # Nothing is offered after it, so no list hides the chips.
    expect(page.locator("#offers")).to_be_hidden()
    page.get_by_role("link", name="Remove error_message = *").click()
    expect(page.get_by_role("link", name="Remove state = FAILED")).to_be_visible()
    expect(page.locator("#as-of")).to_contain_text(f"{count:,} jobs")
    field.fill("")
    expect(page.locator("#problem")).to_be_hidden()
    expect(page.locator("#list tbody tr")).to_have_count(25)
    visitor.is_content()


def test_columns_and_pages_are_chosen(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/?at={MAY_3}")
    page.get_by_text("Columns and page size").click()
    page.get_by_label("Labels", exact=True).check()
    expect(page.get_by_role("columnheader", name="Labels")).to_be_visible()
    page.get_by_label("Jobs a page").select_option("50")
    expect(page.locator("#list tbody tr")).to_have_count(50)
    page.wait_for_url(re.compile("size=50"))
    page.get_by_role("link", name="Next page").click()
    jobs = [job.name for job in site.ledger.list(limit=100, as_of=MAY_3)]
    assert names(visitor) == jobs[50:]
    visitor.sees("51 to 100 of")
    expect(page.get_by_role("columnheader", name="Labels")).to_be_visible()
    page.get_by_role("link", name="Previous page").click()
    visitor.sees("1 to 50 of")
    assert names(visitor) == jobs[:50]
    page.get_by_role("link", name="Job", exact=True).click()
    expect(page.get_by_role("columnheader", name="Job")).to_have_attribute("aria-sort", "ascending")
    first = [job.name for job in site.ledger.list(limit=50, as_of=MAY_3, order_by="name")]
    assert names(visitor) == first
    assert visitor.errors == []


def test_states_are_hidden_and_shown_and_the_chart_is_a_table_and_a_file(
    site: Server, visitor: Visitor
) -> None:
    page = visitor.page
    page.goto(f"{site.url}/?at={MAY_3}")
    button = page.get_by_role("button", name="RUNNING", exact=True)
    button.press("Space")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    page.get_by_text("The chart as a table").click()
    expect(page.get_by_role("columnheader", name="SUCCEEDED, ended")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = download.value.path().read_text().splitlines()
    assert rows[0].startswith("time,QUEUED,RUNNING,PAUSED,SUCCEEDED ended,FAILED ended")
    assert len(rows) > 200
    for kind, begins in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with page.expect_download() as download:
            page.get_by_role("button", name=kind).click()
        assert download.value.path().read_bytes().startswith(begins)
    visitor.is_content()


def test_the_same_time_on_the_other_clock(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/?at={MAY_3}")
    with page.expect_navigation():
        page.get_by_label("transaction time").check()
    visitor.sees("0 jobs at 2011-05-03 12:00:00 UTC")
    page.goto(f"{site.url}/?at=@1000")
    expect(page.locator("#list")).to_have_attribute("data-position", "1000")
    expect(page.get_by_label("transaction time")).to_be_checked()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#list")).to_have_attribute("data-position", "1001")
    visitor.is_content()


@pytest.mark.slow
@pytest.mark.parametrize("message", ["", f"at={MAY_3}", "clock=recorded", "at=@4711", "filter=state+%3D+FAILED"])  # fmt: skip
def test_a_link_shows_the_same_bytes_later(dsn: str, message: str) -> None:
    with new_server(dsn) as server, server.client() as client:
        ledger = server.ledger
        for number in range(40):
            ledger.create(f"projects/p/jobs/j{number}", {"team": "a"})
            ledger.failed(f"projects/p/jobs/j{number}", "x")
        if "4711" in message:
            message = "at=@47"
        elif "2011" in message:
            message = f"at={ledger.get('projects/p/jobs/j7').create_time:%Y-%m-%dT%H:%M:%S.%fZ}"
        found = re.search(r'id="link" href="([^"]+)"', client.get(f"/?{message}").text)
        assert found is not None
        link = found[1].replace("&amp;", "&")
        first = client.get(link)
        assert first.status_code == 200
        early = ledger.get("projects/p/jobs/j3").create_time
        assert early is not None
        # Later reports, some on what was before, some too late.
        ledger.retried("projects/p/jobs/j3")
        ledger.report_many([])
        ledger.create("projects/p/jobs/later", occurred_time=early)
        ledger.started("projects/p/jobs/j3", occurred_time=early)
        assert client.get(link).content == first.content


def test_a_broken_link_says_what_is_broken(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    for message, why in {
        "ledger=other": "the link is of the ledger 'other'",
        "at=@999999999": "999999999",
        "window=2h": "'2h' is not one of 1h, 24h, 7d, all",
        "tab=nope": "'nope' is not one of",
        "skip=-1": "'-1' is not a number",
        "clock=wall": "'wall' is not a clock; the clocks are recorded and occurred",
        "from=yesterday": "'yesterday' is not an RFC 3339 time",
        "from=2011-05-03T00:00:00Z&to=2011-05-02T00:00:00Z": "is after",
        "columns=nope": "'nope' is not one of",
        "states=nope": "'nope' is not one of",
        "size=7": "'7' is not one of",
        "page=xyz": "token",
        "order=nope": "there is no field",
        "filter=%00": "has a NUL character",
        "project=%00": "is not 1 to 256 printable characters",
    }.items():
        answer = page.goto(f"{site.url}/?{message}")
        assert answer is not None
        visitor.sees(why)
        if "filter" not in message:
            assert answer.status == 400
            expect(page.get_by_role("link", name="Go to the fleet page").last).to_be_visible()
    page.goto(f"{site.url}/fleet/nothing")
    visitor.sees("Page not found")
    # A moment that cannot be read is said beside its field, on the page as of now.
    page.goto(f"{site.url}/?at=nonsense")
    expect(page.locator("#at")).to_have_value("nonsense")
    expect(page.locator("#moment-problem")).to_contain_text("'nonsense' is not a moment")
    expect(page.locator("#list tbody tr")).to_have_count(25)


def test_an_unreachable_server_is_retried_and_the_cursor_stays(
    site: Server, visitor: Visitor
) -> None:
    page = visitor.page
    page.goto(f"{site.url}/?at={MAY_3}")
    page.route("**/fleet/**", lambda route: route.abort())
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
    expect(page.locator("#list tbody tr")).to_have_count(25)
    page.unroute("**/fleet/**")
    moment = site.ledger.moment(MAY_3)
    expect(page.locator("#list")).to_have_attribute(
        "data-at", str(steps(site.ledger.reader, moment).after)
    )
    expect(page.get_by_role("alert")).to_be_hidden()


def test_nothing_is_ever_read_as_html(dsn: str, visitor: Visitor) -> None:
    evil = "<img src=x onerror=alert(1)>\u202e\U0001f600</script><script>alert(2)</script>"
    with new_server(dsn) as server:
        ledger = server.ledger
        ledger.create("projects/p/jobs/evil", {"team": "x"}, spec={"displayName": evil})
        ledger.failed("projects/p/jobs/evil", evil + "y" * 200_000)
        visitor.page.goto(f"{server.url}/?columns=state,errorMessage,labels,displayName")
        expect(visitor.page.locator("#list tbody tr")).to_have_count(1)
        assert visitor.page.locator("main img").count() == 0
        visitor.sees("<img src=x onerror=alert(1)>")
        visitor.is_content()
        visitor.page.goto(f"{server.url}/?filter={evil}")
        assert visitor.page.locator("main img").count() == 0
        assert visitor.errors == []


def test_pages_run_no_foreign_scripts(site: Server) -> None:
    with site.client() as client:
        answer = client.get("/")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        # Nothing is fetched from elsewhere.
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)
        for found in re.findall(r'(?:src|href)="(/assets/[^"]+)"', answer.text):
            asset = client.get(found)
            assert asset.status_code == 200
            assert "immutable" in asset.headers["cache-control"]
        assert client.get("/assets/x/../../../pyproject.toml").status_code == 404
        assert client.get("/assets/x/nothing.js").status_code == 404


def test_on_a_phone_in_the_dark_by_keyboard_alone(site: Server, browser: Browser) -> None:
    with visiting(
        browser, viewport={"width": 400, "height": 800}, color_scheme="dark", has_touch=True
    ) as visitor:
        page = visitor.page
        page.goto(f"{site.url}/?at={MAY_3}")
        page.keyboard.press("Tab")
        expect(page.get_by_text("To the content")).to_be_focused()
        page.keyboard.press("Enter")
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == "cursor":
                break
        expect(page.locator("#cursor")).to_be_focused()
        page.keyboard.press("ArrowRight")
        after = steps(site.ledger.reader, site.ledger.moment(MAY_3)).after
        expect(page.locator("#list")).to_have_attribute("data-at", str(after))
        visitor.is_content()


def test_with_tokens_it_asks_for_one_and_shows_what_that_may_see(
    dsn: str, visitor: Visitor
) -> None:
    page = visitor.page
    with new_server(dsn) as server:
        server.ledger.create("projects/a/jobs/mine")
        server.ledger.create("projects/b/jobs/theirs")
        tokens = Tokens(server.ledger.pool)
        secret = tokens.create("ann", Role.READER, "a")
        page.goto(f"{server.url}/?at=@2")
        visitor.sees("Sign in")
        page.get_by_label("Your token").fill("jlt_" + "x" * 43)
        page.get_by_role("button", name="Sign in").click()
        visitor.sees("Sign in")
        # A wrong try leads nowhere else: the next one goes on to the page that was asked for.
        page.get_by_label("Your token").fill(secret)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("link", name="mine")).to_be_visible()
        assert page.get_by_text("theirs").count() == 0
        assert query(visitor)["at"] == "@2"
        visitor.sees("sees only a")
        # The chart and the steps, too, are of that project alone.
        page.get_by_text("The chart as a table").click()
        numbers = page.locator("details td.number").all_text_contents()
        assert {int(number) for number in numbers} <= {0, 1}
        assert (
            page.evaluate("fetch('/fleet/step?at=@2&by=-1').then(said => said.json())")["at"]
            == "@1"
        )
        assert page.evaluate("fetch('/fleet/step?at=@1&by=1').then(said => said.json())") == {
            "at": None
        }
        page.goto(f"{server.url}/jobs/projects/b/jobs/theirs")
        visitor.sees("This page cannot be shown")
        # The cookie only reads.
        cookie = {"jobledger_token": secret}
        with server.client(cookies=cookie) as client:
            assert client.get("/ledger/v1/projects/a/jobs/mine").status_code == 200
            answer = client.post("/ledger/v1/projects/a/jobs/mine:started", json={})
            assert answer.status_code == 401
        page.goto(server.url)
        page.get_by_role("button", name="Sign out").click()
        visitor.sees("Sign in")


def test_an_empty_ledger_shows_the_first_steps(dsn: str, visitor: Visitor) -> None:
    with new_server(dsn) as server:
        visitor.page.goto(server.url)
        visitor.sees("Nothing has happened yet.")
        visitor.is_content()
        with server.client() as client:
            assert json.loads(client.get("/fleet/step?by=1").text) == {"at": None}
        # Each step works as it is copied.
        steps = visitor.page.locator("[data-copy]").evaluate_all(
            "buttons => buttons.map((button) => button.dataset.copy)"
        )
        assert len(steps) == 3
        program = str(Path(sys.executable).parent / "jobledger")
        environment = {**os.environ, "JOBLEDGER_DSN": dsn}
        for step in steps:
            before = server.ledger.size()
            subprocess.run([program, *shlex.split(step)[1:]], env=environment, check=True)
            assert server.ledger.size() > before
        visitor.page.goto(server.url)
        expect(visitor.page.locator("#list tbody tr").first).to_be_visible()


def test_unknown_pages_are_html_for_browsers_and_json_for_others(
    site: Server, visitor: Visitor
) -> None:
    answer = visitor.page.goto(f"{site.url}/nothing/here")
    assert answer is not None
    assert answer.status == 404
    visitor.sees("Page not found")
    expect(visitor.page.get_by_role("link", name="Go to the fleet page").last).to_be_visible()
    with site.client() as client:
        answered = client.get("/nothing/here")
        assert answered.status_code == 404
        assert answered.headers["content-type"].startswith("application/json")
        icon = client.get("/favicon.ico")
        assert icon.headers["content-type"] == "image/svg+xml"


@pytest.mark.slow
def test_series_of_a_stretch_and_its_ends(busy: Ledger) -> None:
    moment = busy.moment("now", "occurred")
    whole = extent(busy.reader, moment)
    assert whole is not None
    narrow = Extent(whole.begin, whole.begin)
    assert series(busy.reader, moment, narrow).times
    early = busy.moment("@30", "recorded")
    recorded = extent(busy.reader, early)
    assert recorded is not None
    assert sum(counts[-1] for counts in series(busy.reader, early, recorded).counts.values()) > 0
    # As far as was known at an earlier position, also of jobs that were told of too late since.
    half = moment._replace(position=moment.position // 2)
    counted = series(busy.reader, half, whole)
    expected = busy.count("state", 'state : "*"', as_of=half).counts
    assert {s: c[-1] for s, c in counted.counts.items() if c[-1]} == expected


OF_P = 'project = "p" AND state : "*"'


@pytest.fixture
def mixed(busy: Ledger) -> Ledger:
    """Another project beside the busy one, whose name begins the same, and more of the busy one."""
    busy.append_many(simulate(20, 8, "p0"))
    busy.append_many(simulate(5, 9, "p"))
    return busy


def counts_in(counted: Series, n: int) -> dict[str, int]:
    return {state: counts[n] for state, counts in counted.counts.items() if counts[n]}


@pytest.mark.slow
def test_a_project_is_counted_by_its_events_alone(mixed: Ledger) -> None:
    """Late jobs and deleted ones among them, and as far as was known at earlier positions."""
    for position in (mixed.size() // 3, mixed.size() // 2, mixed.size()):
        known = mixed.moment("now", Clock.OCCURRED)._replace(position=position)
        whole = extent(mixed.reader, known, "p")
        assert whole is not None
        counted = series(mixed.reader, known, whole, "p")
        for n in range(0, len(counted.times), 29):
            at = known._replace(time=counted.times[n] - MICROSECOND)
            assert counts_in(counted, n) == mixed.count("state", OF_P, as_of=at).counts
        assert counts_in(counted, -1) == mixed.count("state", OF_P, as_of=known).counts
        recorded = mixed.moment(f"@{position}")
        whole = extent(mixed.reader, recorded, "p")
        assert whole is not None
        counted = series(mixed.reader, recorded, whole, "p")
        assert counts_in(counted, -1) == mixed.count("state", OF_P, as_of=recorded).counts


@pytest.mark.slow
def test_the_steps_of_a_project_leave_others_out(mixed: Ledger) -> None:
    theirs = {event.position for event in mixed.events(follow=False) if "/p0/" in event.name}
    after = mixed.moment(f"@{max(theirs) + 1}")
    before = steps(mixed.reader, after, "p").before
    assert before is not None
    assert before.position == min(theirs) - 1
    assert steps(mixed.reader, before, "p").after == after
    occurred = mixed.moment("now", Clock.OCCURRED)
    for moment in (after, occurred):
        assert extent(mixed.reader, moment, "none") is None
        assert steps(mixed.reader, moment, "none") == (None, None)
    last = steps(mixed.reader, occurred, "p").before
    whole = extent(mixed.reader, occurred, "p")
    assert last is not None and whole is not None
    assert last.time == whole.end
