"""The page on which people answer, used as they do, in a real browser: Chromium, without a window."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from jobledger.infra import Ledger
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.evaluation.tasks.agreement import agreed_truths
from jobledger.infra.evaluation.tasks.labeling import answer
from jobledger.infra.evaluation.tasks.tasks import find_task
from playwright.sync_api import Browser, Page, expect

from tests.browsing import visiting
from tests.labeling import BOXES, IMAGE, TIME, ask_people, tell
from tests.servers import Server, new_server

SCRIPT = "<script>alert(1)</script>"


def png(width: int, height: int) -> str:
    """A grey image, in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    rows = (b"\0" + b"\x80" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


class Person(NamedTuple):
    """Somebody with a browser; what their console complains of is kept."""

    page: Page
    server: Server
    errors: list[str]

    def open(self, name: str, who: str | None = "ann", run: int = 1) -> None:
        self.page.goto(f"{self.server.url}/label/{name}/{run}")
        if who is not None:
            self.page.get_by_label("Your name").fill(who)
            self.page.get_by_role("button", name="Sign in").click()

    def sees(self, text: str) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible()

    def is_at(self, place: str) -> None:
        expect(self.page.get_by_role("heading", name=place, exact=True)).to_be_visible()


@pytest.fixture
def person(browser: Browser, server: Server) -> Iterator[Person]:
    yield from _person(browser, server)


def _person(browser: Browser, server: Server, **options: Any) -> Iterator[Person]:
    with visiting(browser, **options) as somebody:
        yield Person(somebody.page, server, somebody.errors)


def answers(ledger: Ledger, name: str) -> dict[int, list[str]]:
    found = agreed_truths(ledger.reader, find_task(ledger.reader, name, 1))
    return {number: list(truth.labels) for number, truth in found.items() if truth is not None}


def test_texts_by_mouse_and_by_keys(person: Person, project: str) -> None:
    ledger, page = person.server.ledger, person.page
    labels = ["cat", SCRIPT, "bird"]
    name = ask_people(
        ledger, ["a <b>bold</b> text", "two", "three"], labels=labels, project=project
    )
    person.open(name)
    person.is_at("1 of 3")
    person.sees("a <b>bold</b> text")
    person.sees("Say what it is.")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("Choose a label first.")
    page.get_by_label(SCRIPT).check()
    page.get_by_role("button", name="Send").click()
    person.is_at("2 of 3")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    person.is_at("3 of 3")
    page.get_by_label("cat").check()
    page.keyboard.press("Enter")
    person.sees("This task is closed")
    assert answers(ledger, name) == {1: [SCRIPT], 2: ["bird"], 3: ["cat"]}
    assert ledger.history(name)[-1].type == "LabelingCompleted"
    assert page.evaluate("sessionStorage.getItem('jobledger.annotator')") == "ann"
    assert person.errors == []


def test_images_and_several_labels(person: Person, project: str) -> None:
    ledger, page = person.server.ledger, person.page
    examples = [{"b64": png(40, 30)}, png(30, 40)]
    name = ask_people(ledger, examples, annotation=IMAGE, multi_label=True, project=project)
    person.open(name)
    image = page.get_by_role("img", name="The example")
    expect(image).to_be_visible()
    assert image.evaluate("i => i.decode().then(() => [i.naturalWidth, i.naturalHeight])") == [
        40,
        30,
    ]
    page.keyboard.press("2")
    page.keyboard.press("1")
    page.keyboard.press("3")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    person.is_at("2 of 2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(
        "Nothing is chosen. If that is the answer, send it again."
    )
    page.keyboard.press("Enter")
    person.sees("This task is closed")
    assert answers(ledger, name) == {1: ["cat", "dog"], 2: []}
    assert person.errors == []


def drag(page: Page, *parts: float) -> None:
    """Over the image, from one corner to another, in parts of it."""
    page.locator("#canvas").scroll_into_view_if_needed()
    frame = page.locator("#canvas").bounding_box()
    assert frame is not None
    corners = [
        (frame["x"] + x * frame["width"], frame["y"] + y * frame["height"])
        for x, y in (parts[:2], parts[2:])
    ]
    page.mouse.move(*corners[0])
    page.mouse.down()
    page.mouse.move(*corners[1], steps=5)
    page.mouse.up()


def test_two_boxes_by_dragging(person: Person, project: str) -> None:
    ledger, page = person.server.ledger, person.page
    name = ask_people(ledger, [png(400, 300), png(40, 30)], annotation=BOXES, project=project)
    person.open(name)
    expect(page.get_by_role("img", name="The example")).to_be_visible()
    drag(page, 0.5, 0.5, 0.6, 0.6)
    expect(page.get_by_role("alert")).to_have_text("Choose a label for the box first.")
    page.get_by_label("cat").check()
    drag(page, 0.1, 0.2, 0.4, 0.6)
    page.keyboard.press("2")
    drag(page, 0.9, 0.9, 0.5, 0.7)
    drag(page, 0.3, 0.3, 0.3, 0.3)  # A click is no box.
    drag(page, 0.05, 0.05, 0.95, 0.95)
    page.get_by_role("button", name="Delete box 3").click()
    assert page.locator("#list li").count() == page.locator("#canvas rect").count() == 2
    page.keyboard.press("Enter")
    person.is_at("2 of 2")
    expect(page.get_by_label("dog")).to_be_checked()
    page.get_by_role("button", name="Add a box").click()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Enter")
    person.sees("This task is closed")
    found = agreed_truths(ledger.reader, find_task(ledger.reader, name, 1))
    assert found[1] is not None
    assert found[2] is not None
    cat, dog = found[1].boxes
    assert (cat.label, dog.label) == ("cat", "dog")
    assert cat[1:] == pytest.approx((0.1, 0.2, 0.4, 0.6), abs=0.01)
    assert dog[1:] == pytest.approx((0.5, 0.7, 0.9, 0.9), abs=0.01)
    [added] = found[2].boxes
    assert added[1:] == pytest.approx((0.24, 0.25, 0.74, 0.76))
    assert person.errors == []


def test_a_change_of_the_task_is_explained(person: Person, project: str) -> None:
    ledger, page = person.server.ledger, person.page
    name = ask_people(ledger, ["one", "two", "three"], project=project)
    person.open(name)
    person.sees("one")
    answer(ledger, name, 1, "bob", {1: "dog"})
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Enough others answered that question")
    person.sees("two")
    page.get_by_role("button", name="Later").click()
    person.sees("three")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    person.sees("two")  # It comes again.
    tell(ledger, name, "RunFailed", attemptTime=TIME)
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("closed meanwhile")
    person.sees("This task is closed")
    assert answers(ledger, name) == {1: ["dog"], 3: ["cat"]}


def test_an_answer_from_another_window_stays(person: Person, project: str) -> None:
    ledger, page = person.server.ledger, person.page
    name = ask_people(ledger, ["one", "two"], replicas=2, project=project)
    person.open(name)
    person.sees("one")
    answer(ledger, name, 1, "ann", {1: "dog"})
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("your first answer stays")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    person.sees("You have answered all your questions")


def test_a_missing_task_and_an_unreachable_server(person: Person, project: str) -> None:
    name = ask_people(person.server.ledger, ["one"], project=project)
    person.open(name, who=None, run=7)
    expect(person.page.get_by_role("alert")).to_contain_text("run 7 of")
    person.open(name)
    person.sees("one")
    person.page.route("**/ledger/**", lambda route: route.abort())
    person.page.keyboard.press("1")
    person.page.keyboard.press("Enter")
    expect(person.page.get_by_role("alert")).to_contain_text("The server cannot be reached")


def test_with_tokens_it_asks_for_one_and_answers_in_its_name(browser: Browser, dsn: str) -> None:
    with new_server(dsn) as server:
        tokens = Tokens(server.ledger.pool)
        reader = tokens.create("eve", Role.READER)
        secret = tokens.create("ann@example.org", Role.REPORTER)
        name = ask_people(server.ledger, ["one"])
        for person in _person(browser, server):
            page = person.page
            person.open(name, who=None)
            for given, report in (("nonsense", "Not let in"), (reader, None), (secret, None)):
                page.get_by_label("Your token").fill(given)
                page.get_by_role("button", name="Sign in").click()
                if report:
                    expect(page.get_by_role("alert")).to_contain_text(report)
                    continue
                person.sees("one")
                page.keyboard.press("1")
                page.keyboard.press("Enter")
                if given == reader:
                    expect(page.get_by_role("alert")).to_contain_text("needs the role reporter")
            person.sees("This task is closed")
        with server.ledger.connection() as connection:
            [row] = connection.execute("SELECT annotator, answer FROM answers").fetchall()
        assert row == ("ann@example.org", '"cat"')


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_small_screen_in_both_schemes(
    browser: Browser, server: Server, project: str, scheme: str
) -> None:
    labels = ["cat", "x" * 200, "bird"]
    examples = [png(1_600, 900)]
    name = ask_people(server.ledger, examples, annotation=BOXES, labels=labels, project=project)
    for person in _person(
        browser, server, viewport={"width": 400, "height": 800}, color_scheme=scheme
    ):
        person.open(name)
        expect(person.page.get_by_role("img", name="The example")).to_be_visible()
        wide = person.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 400
        colours = person.page.evaluate(
            "['color', 'backgroundColor'].map(c => getComputedStyle(document.body)[c])"
        )
        light, dark = max(map(luminance, colours)), min(map(luminance, colours))
        assert (light + 0.05) / (dark + 0.05) > 7
        assert (luminance(colours[1]) > 0.5) == (scheme == "light")


def luminance(colour: str) -> float:
    """WCAG's relative luminance of `rgb(1, 2, 3)`."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_page_loads_only_its_own_files(server: Server) -> None:
    with server.client() as client:
        page = client.get('/label/projects/p/evaluationJobs/"><script>alert(1)</script>/1')
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "<script>alert" not in page.text
        assert "&quot;&gt;&lt;script&gt;alert(1)" in page.text
        for path in (
            "/label/projects/p/evaluationJobs/1/1",
            "/label/form.js",
            "/label/boxes.js",
            "/label/form.css",
        ):
            answer = client.get(path)
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"].split("; ")
            assert {"default-src 'none'", "script-src 'self'", "style-src 'self'",
                    "img-src 'self' data: https:", "connect-src 'self'", "form-action 'self'"} <= set(policy)  # fmt: skip
            assert "unsafe" not in str(policy)
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert client.get("/label/projects/p/evaluationJobs/1/x").status_code == 404
        assert client.get("/label/label.html").status_code == 404
