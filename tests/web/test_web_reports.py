"""The reports page, used as people do, on the trace of a cluster and on an evaluation job."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from jobledger.infra import Ledger
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.analytics.analysis import report
from jobledger.infra.evaluation.runs.scheduler import Scheduler
from jobledger.infra.evaluation.samples.outcomes import Prediction
from jobledger.infra.evaluation.samples.reading import metrics_of, read_evaluated
from jobledger.infra.evaluation.tasks.labeling import answer
from playwright.sync_api import Browser, Page, expect

from tests.browsing import Visitor, visiting
from tests.evaluation_jobs import BEGIN, Clock, make_job, predictions_of, spec_of
from tests.labeling import ask_people
from tests.servers import Server, new_server, serving

REPORTS = ["throughput", "queue-time", "run-time", "failures", "concurrency", "attempts"]


@pytest.fixture(scope="module")
def site(trace: Ledger) -> Iterator[Server]:
    with serving(trace, trace.conninfo) as server:
        yield server


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_a_chart_a_table_and_a_file(site: Server, visitor: Visitor, name: str) -> None:
    page = visitor.page
    page.goto(f"{site.url}/reports?report={name}&from=2011-05-02&to=2011-05-04")
    found = report(site.ledger.reader, name, begin="2011-05-02", end="2011-05-04")
    expect(page.locator("details summary")).to_contain_text(f"{len(found.rows):,} rows")
    if found.window.bucket is not None:
        expect(page.locator("#chart path").first).to_be_attached()
        page.get_by_text("As a table").click()
    expect(page.get_by_role("columnheader").first).to_have_text(found.columns[0])
    assert page.locator("details tbody tr").count() == min(2_000, len(found.rows))
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = download.value.path().read_text().splitlines()
    assert rows[0] == ",".join(found.columns)
    visitor.is_content()


def test_a_chart_is_a_picture_to_keep(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/reports")
    for kind, begins in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with page.expect_download() as download:
            page.get_by_role("button", name=kind).click()
        assert download.value.path().read_bytes().startswith(begins)
    assert visitor.errors == []


def click_in_chart(page: Page, bucket: int) -> None:
    """Clicks in the middle of a bucket, as the pointer's line over the chart is placed."""
    box = page.locator("#lines .u-over").bounding_box()
    assert box is not None
    hit = page.locator("#chart .hit").nth(bucket)
    left, width = (float(str(hit.get_attribute(name)).rstrip("%")) for name in ("x", "width"))
    place = box["x"] + box["width"] * (left + width / 2) / 100
    page.mouse.click(place, box["y"] + box["height"] / 2)


def test_lines_have_a_crosshair_and_dragging_zooms(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/reports?from=2011-05-02&to=2011-05-04&bucket=1h")
    box = page.locator("#lines .u-over").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 4, middle)
    expect(page.locator("#crosshair")).to_contain_text("2011-05-02 12:00:00")
    expect(page.locator("#crosshair")).to_contain_text("succeeded")
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, middle, steps=3)
    page.mouse.up()
    page.wait_for_url(re.compile("from=2011-05-02T1[12]"))
    expect(page.get_by_label("Up to", exact=True)).to_have_value(re.compile("2011-05-0[23]T"))
    page.goto(f"{site.url}/reports?scale=log")
    expect(page.locator("#lines canvas")).to_be_visible()
    visitor.is_content()


def test_without_script_the_servers_chart_is_shown(site: Server, browser: Browser) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(f"{site.url}/reports?from=2011-05-02&to=2011-05-03&bucket=1h")
    expect(page.locator("#chart path").first).to_be_visible()
    expect(page.locator("#lines")).to_be_hidden()
    page.locator("#chart .hit").nth(5).click()
    expect(page.locator("#as-of")).to_contain_text("Jobs at")
    rest = page.get_by_role("link", name="Look at all of them")
    if rest.count():  # The search took longer than the page waits for.
        rest.click()
    expect(page.locator("#list tbody tr").first).to_be_visible()
    page.close()


def test_a_click_goes_to_the_jobs_behind_it(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/reports?report=throughput&from=2011-05-02&to=2011-05-03&bucket=1h")
    found = report(
        site.ledger.reader, "throughput", begin="2011-05-02", end="2011-05-03", bucket="1h"
    )
    ended = found.rows[5][found.columns.index("ended")]
    click_in_chart(page, 5)
    expect(page.locator("#as-of")).to_contain_text(f"{ended:,} jobs")
    page.goto(f"{site.url}/reports?report=failures")
    # One of them was retried, and failed otherwise.
    (first, *_) = report(site.ledger.reader, "failures").rows
    told = first[1]
    left = site.ledger.count("state", f'state = FAILED AND error_message = "{told}"').counts[
        "FAILED"
    ]
    assert 0 < left <= first[2]
    page.get_by_role("link", name="jobs of row 1", exact=True).click()
    expect(page.locator("#as-of")).to_contain_text(f"{left:,} jobs")
    page.goto(f"{site.url}/reports?report=concurrency&from=2011-05-02&to=2011-05-03&bucket=1h")
    running = report(
        site.ledger.reader, "concurrency", begin="2011-05-02", end="2011-05-03", bucket="1h"
    )
    click_in_chart(page, 3)
    expect(page.locator("#as-of")).to_contain_text(f"{running.rows[3][1]:,} jobs")
    assert visitor.errors == []


def test_a_report_is_chosen_in_the_page(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/reports")
    for label, wrong, sentence in (
        ("By", "state", "by: throughput cannot be grouped by state"),
        ("From", "someday", "from: 'someday' is not a moment"),
        ("Up to", "9001-01-01", "to: 9001-01-01T00:00:00.000000Z is in the future"),
        ("Bucket", "1s", "bucket: 1s makes more than"),
        ("Filter", "state = ", "The filter cannot be read"),
    ):
        before = page.get_by_label(label, exact=True).input_value()
        page.get_by_label(label, exact=True).fill(wrong)
        page.get_by_role("button", name="Show").click()
        visitor.sees(sentence)
        expect(page.get_by_label(label, exact=True)).to_have_value(wrong.strip())
        visitor.is_content()
        page.get_by_label(label, exact=True).fill(before)
    field = page.get_by_label("Filter")
    field.press_sequentially("state = FAI")
    page.get_by_role("option", name="FAILED").click()
    expect(field).to_have_value("state = FAILED ")
    page.goto(f"{site.url}/reports?report=run-time")
    page.get_by_label("By").fill("state")
    page.get_by_label("Bucket").fill("6h")
    page.get_by_label("Filter").fill('name : "*1"')
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".legend")).to_contain_text("CANCELLED")
    page.get_by_role("link", name="Attempts").click()
    expect(page.get_by_role("heading", name="Attempts")).to_be_visible()
    assert visitor.errors == []


def test_bars_are_pictures_too(site: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.goto(f"{site.url}/reports?report=failures")
    for kind, begins in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with page.expect_download() as download:
            page.get_by_role("button", name=kind).click()
        assert download.value.path().read_bytes().startswith(begins)
    page.locator("#bars a").first.click()
    expect(page.locator("#list tbody tr").first).to_contain_text("FAILED")
    assert visitor.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("name", REPORTS)
def test_a_link_shows_the_same_bytes_later(dsn: str, name: str) -> None:
    with new_server(dsn) as server, server.client() as client:
        ledger = server.ledger
        long_ago = datetime.now(UTC) - timedelta(hours=5)
        for number in range(20):
            job = f"projects/p/jobs/j{number}"
            ledger.create(job, {"team": "ab"[number % 2]}, occurred_time=long_ago)
            ledger.started(job, occurred_time=long_ago + timedelta(minutes=number))
            ledger.failed(job, f"message {number % 3}", occurred_time=long_ago + timedelta(hours=2))
        found = re.search(r'id="link" href="([^"]+)"', client.get(f"/reports?report={name}").text)
        assert found is not None
        link = found[1].replace("&amp;", "&")
        first = client.get(link)
        assert first.status_code == 200
        ledger.retried("projects/p/jobs/j1", occurred_time=long_ago + timedelta(hours=3))
        ledger.started("projects/p/jobs/j1", occurred_time=long_ago + timedelta(hours=4))
        ledger.create("projects/p/jobs/more", occurred_time=long_ago)
        assert client.get(link).content == first.content


def test_a_broken_link_says_what_is_broken(site: Server, visitor: Visitor) -> None:
    for expected, why in {
        "report=nothing": "'nothing' is not one of",
        "from=soon": "soon",
        "bucket=1x": "'1x' is not like",
        "bucket=1s": "more than 10,000 buckets",
        "at=2011-05-03": "is not TIME@POSITION",
        "filter=state+%3D": "cannot be read",
        "by=nothing": "there is no field 'nothing'",
        "ledger=other": "the link is of the ledger 'other'",
        "report=evaluations&job=projects/p/evaluationJobs/none": "there is no job",
    }.items():
        answer = visitor.page.goto(f"{site.url}/reports?{expected}")
        assert answer is not None
        # What there is a field for is said beside the field, to be put right there.
        in_place = expected.partition("=")[0] in {"from", "bucket", "filter", "by"}
        assert answer.status in ({200} if in_place else {400, 404})
        visitor.sees(why)


@pytest.mark.slow
def test_a_token_for_a_project_counts_its_jobs_only(dsn: str) -> None:
    with new_server(dsn) as server:
        for project, jobs in (("a", 2), ("b", 3)):
            for number in range(jobs):
                server.ledger.create(f"projects/{project}/jobs/j{number}")
                server.ledger.failed(f"projects/{project}/jobs/j{number}", "x")
        secret = Tokens(server.ledger.pool).create("ann", Role.READER, "a")
        with server.client(headers={"authorization": f"Bearer {secret}"}) as client:
            for asked in (
                "",
                'state = FAILED) OR (project = "b"',
                'project = "b"',
                "NOT project = a",
            ):
                answer = client.get(
                    "/reports.csv", params={"report": "throughput", "filter": asked}
                )
                if answer.status_code == 200:
                    rows = answer.text.splitlines()[1:]
                    assert sum(int(row.split(",")[1]) for row in rows) == (2 if not asked else 0)
                else:
                    assert answer.status_code == 400


def evaluated(ledger: Ledger) -> str:
    """An evaluation job with a run that found something right, and something wrong."""
    name, clock = make_job(ledger, spec_of()), Clock()
    truths = ["cat", "dog", "cat", "bird", "cat"]
    told_of = [
        one for truth in truths for one in predictions_of([f"{len(truth)} {truth}"], truth=truth)
    ]
    ledger.record_predictions(name, told_of)
    clock.forward(hours=1)
    Scheduler(ledger, clock=clock).do_due()
    return name


@pytest.mark.slow
def test_a_large_confusion_matrix_is_a_whole_file(dsn: str) -> None:
    labels = [f"label {n:02}" for n in range(45)]
    with new_server(dsn) as server, server.client() as client:
        clock = Clock()
        name = make_job(server.ledger, spec_of())
        given = [
            Prediction({"text": label}, {"label": [label], "score": [1]}, BEGIN, None, label)
            for label in labels
        ]
        server.ledger.record_predictions(name, given)
        clock.forward(days=1)
        Scheduler(server.ledger, clock=clock).do_due()
        address = f"/reports?report=evaluations&job={name}"
        assert "all 45 labels; the first 40 are shown here" in client.get(address).text
        file = client.get(address.replace("/reports", "/reports.csv") + "&of=matrix").text
        assert file.splitlines()[0] == ",".join(["true", *labels])
        assert sum(row.split(",").count("1") for row in file.splitlines()) == 45


@pytest.mark.slow
def test_a_saved_link_to_evaluations_outlives_a_job(dsn: str) -> None:
    with new_server(dsn) as server, server.client() as client:
        ledger = server.ledger
        ledger.create("projects/p/evaluationJobs/gone")
        moment = ledger.moment("now")
        ledger.delete("projects/p/evaluationJobs/gone", stop=True)
        asked = {"report": "evaluations", "at": f"{moment.time.isoformat()}@{moment.position}"}
        answer = client.get("/reports", params=asked)
        assert answer.status_code == 200
        assert "projects/p/evaluationJobs/gone" in answer.text


def test_evaluations_have_their_curves(dsn: str, visitor: Visitor) -> None:
    page = visitor.page
    with new_server(dsn) as server:
        name = evaluated(server.ledger)
        page.goto(f"{server.url}/reports?report=evaluations")
        (found,) = read_evaluated(server.ledger.reader, name).values()
        metrics = metrics_of(found[0])
        expected = f"{metrics['prCurve']['meanAveragePrecision']:.4f}"
        expect(page.get_by_role("region", name="Runs")).to_contain_text(expected)
        expect(page.locator("#curve path").first).to_be_attached()
        row = metrics["confusionMatrix"]["row"][0]
        cells = page.locator(".matrix tbody tr").first.locator("td").all_text_contents()
        assert sum(map(int, cells)) == sum(int(e.get("itemCount", 0)) for e in row["entries"])
        for of, begins in {
            "curve": "confidenceThreshold",
            "runs": "run,",
            "matrix": "true,",
        }.items():
            with page.expect_download() as download:
                page.locator(
                    f'a[href*="of={of}"]' if of != "curve" else 'a[href*=".csv"]:not([href*="of="])'
                ).click()
            assert download.value.path().read_text().startswith(begins)
        visitor.is_content()


def test_questions_that_nobody_answered_are_a_click_away(dsn: str, visitor: Visitor) -> None:
    page = visitor.page
    with new_server(dsn) as server:
        name = ask_people(server.ledger, ["one", "two", "three"])
        page.goto(server.url)
        page.get_by_role("link", name="Labeling").click()
        asked = page.get_by_role("region", name="Questions to answer")
        expect(asked).to_contain_text("0 of 3 answers given")
        visitor.is_content()
        asked.get_by_role("link", name=name).click()
        expect(page.get_by_label("Your name")).to_be_visible()
        page.get_by_role("link", name="All questions").click()
        answer(server.ledger, name, 1, "ann", {1: "cat"})
        page.reload()
        expect(asked).to_contain_text("1 of 3 answers given")
        answer(server.ledger, name, 1, "ann", {2: "cat", 3: "dog"})
        page.reload()
        expect(asked).to_have_count(0)


def test_on_a_phone_in_the_dark(site: Server, browser: Browser) -> None:
    phone = {"width": 400, "height": 800}
    with visiting(browser, viewport=phone, color_scheme="dark") as visitor:
        for name in REPORTS:
            visitor.page.goto(f"{site.url}/reports?report={name}")
            visitor.is_content()
