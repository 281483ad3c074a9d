"""Tasks for Label Studio and back: its JSON exports become answers, and broken ones are refused."""

from __future__ import annotations

from copy import deepcopy
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra import Ledger
from jobledger.infra.evaluation.errors import AnsweredTwiceError
from jobledger.infra.evaluation.tasks.agreement import agreed_truths
from jobledger.infra.evaluation.tasks.label_studio import config, export_task, import_answers
from jobledger.infra.evaluation.tasks.tasks import find_task

from tests.labeling import BOXES, IMAGE, ask_people

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def choice(*labels: str, who: Any = 7, **more: Any) -> dict[str, Any]:
    """An annotation as Label Studio 1.x exports it."""
    result = {
        "id": "Zx1", "from_name": "answer", "to_name": "text", "type": "choices", "origin": "manual",
        "value": {"choices": list(labels)},
    }  # fmt: skip
    return {
        "id": 1, "completed_by": who, "result": [result], "was_cancelled": False, "ground_truth": False,
        "lead_time": 3.2, "unique_id": "5f", **more,
    }  # fmt: skip


def rectangle(label: str, x: float, y: float, width: float, height: float) -> dict[str, Any]:
    value = {
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "rotation": 0,
        "rectanglelabels": [label],
    }
    return {
        "id": "q", "type": "rectanglelabels", "from_name": "answer", "to_name": "image", "value": value,
        "original_width": 600, "original_height": 400, "image_rotation": 0,
    }  # fmt: skip


def annotated(exported: Any, *annotations: Any) -> list[Any]:
    """The tasks as they come back; each with the annotations of its place."""
    tasks = deepcopy(exported["tasks"])
    for task, expected in zip(tasks, annotations, strict=True):
        task |= {
            "id": task["id"] + 500,
            "annotations": expected,
            "drafts": [],
            "meta": {},
            "project": 1,
        }
    return list(tasks)


def test_texts_there_and_back(ledger: Ledger) -> None:
    name = ask_people(ledger, ["one <b>", "two"], replicas=2)
    exported = export_task(ledger.reader, find_task(ledger.reader, name, 1))
    assert exported["tasks"][0] == {
        "id": 1,
        "data": {"text": "one <b>", "job": name, "run": 1, "sample": 1},
        "predictions": [],
    }
    view = ET.fromstring(exported["config"])
    assert [child.tag for child in view] == ["Header", "Text", "Choices"]
    assert [each.get("value") for each in view.iter("Choice")] == ["cat", "dog", "bird"]
    back = annotated(
        exported,
        [choice("cat"), choice("dog", who={"id": 3, "email": "bob@example.org"}), choice(who=9, was_cancelled=True)],
        [choice("dog", who=7), choice("dog", who={"id": 3, "email": "bob@example.org"})],
    )  # fmt: skip
    assert import_answers(ledger, name, 1, back) == (4, 0, False)
    assert import_answers(ledger, name, 1, back) == (0, 4, False)
    with ledger.connection() as connection:
        rows = connection.execute("SELECT DISTINCT annotator FROM answers WHERE job = %s", (name,))
        assert {who for (who,) in rows} == {"7", "bob@example.org"}


def test_several_labels_and_none_at_all(ledger: Ledger) -> None:
    name = ask_people(ledger, "ab", multi_label=True)
    exported = export_task(ledger.reader, find_task(ledger.reader, name, 1), after=1)
    assert [task["id"] for task in exported["tasks"]] == [2]
    assert 'choice="multiple"' in exported["config"]
    exported = export_task(ledger.reader, find_task(ledger.reader, name, 1))
    import_answers(ledger, name, 1, annotated(exported, [choice("dog", "cat")], [choice()]))
    found = agreed_truths(ledger.reader, find_task(ledger.reader, name, 1))
    assert [truth and truth.labels for truth in found.values()] == [["cat", "dog"], []]


def test_boxes_in_percent_become_parts_of_the_image(ledger: Ledger) -> None:
    name = ask_people(ledger, [PNG, {"b64": PNG}], annotation=BOXES)
    exported = export_task(ledger.reader, find_task(ledger.reader, name, 1))
    images = [task["data"]["image"] for task in exported["tasks"]]
    assert images == [f"data:image/png;base64,{PNG}"] * 2
    assert "<RectangleLabels" in exported["config"]
    drawn = [
        rectangle("cat", 10, 20, 30, 40),
        rectangle("dog", 90, 90, 10.5, 10.5),
        {"type": "textarea"},
    ]
    back = annotated(exported, [choice() | {"result": drawn}], [choice() | {"result": []}])
    assert not import_answers(ledger, name, 1, back).is_open
    found = agreed_truths(ledger.reader, find_task(ledger.reader, name, 1))
    assert found[1] is not None
    assert found[2] is not None
    assert found[1].boxes == [("cat", 0.1, 0.2, 0.4, 0.6), ("dog", 0.9, 0.9, 1.0, 1.0)]
    assert found[2].boxes == ()


def test_what_an_image_may_be(ledger: Ledger) -> None:
    given = [
        "https://example.org/a.png",
        f"data:image/png;base64,{PNG}",
        PNG.replace("/", "_"),
        "gs://b/o",
    ]
    name = ask_people(ledger, given, annotation=IMAGE)
    images = [
        t["data"]["image"]
        for t in export_task(ledger.reader, find_task(ledger.reader, name, 1))["tasks"]
    ]
    assert images == [given[0], given[1], f"data:image/png;base64,{PNG}", "gs://b/o"]


def test_labels_and_instructions_are_escaped(ledger: Ledger) -> None:
    name = ask_people(ledger, "a", labels=['"/><script>alert(1)</script>', "a&b"])
    view = ET.fromstring(config(find_task(ledger.reader, name, 1)))
    assert [each.get("value") for each in view.iter("Choice")] == [
        '"/><script>alert(1)</script>',
        "a&b",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "field", "why"),
    [
        (lambda tasks: {"tasks": tasks}, "tasks", "must be a list of tasks"),
        (lambda tasks: ["x"], "tasks[0]", "not a JSON object"),
        (lambda tasks: [{**tasks[0], "annotations": None}], "tasks[0].annotations", "must be a list"),
        (lambda tasks: [{"text": "a", "answer": "cat"}], "tasks[0].annotations", "missing"),
        (lambda tasks: [{**tasks[0], "data": 7}], "tasks[0].data", "must be an object"),
        (lambda tasks: [tasks[0], {**tasks[1], "data": tasks[1]["data"] | {"job": "other"}}], "tasks[1].data.job", "is not"),
        (lambda tasks: [{**tasks[0], "data": tasks[0]["data"] | {"run": 2}}], "tasks[0].data.run", "is not 1"),
        (lambda tasks: [{**tasks[0], "data": tasks[0]["data"] | {"sample": "1"}}], "tasks[0].data.sample", "must be a number"),
        (lambda tasks: [{**tasks[0], "data": tasks[0]["data"] | {"sample": 77}}], "tasks[0]", "has no question"),
        (lambda tasks: [tasks[0], {**tasks[1], "annotations": [7]}], "tasks[1].annotations[0]", "not a JSON object"),
        (lambda tasks: [{**tasks[0], "annotations": [choice("cat", who=None)]}], "tasks[0].annotations[0].completed_by", "no annotator"),
        (lambda tasks: [{**tasks[0], "annotations": [choice("cat", who={})]}], "tasks[0].annotations[0].completed_by", "no annotator"),
        (lambda tasks: [{**tasks[0], "annotations": [choice("cat", result="x")]}], "tasks[0].annotations[0].result", "must be a list"),
        (lambda tasks: [{**tasks[0], "annotations": [choice("cat", result=[1])]}], "tasks[0].annotations[0].result[0]", "not a JSON object"),
        (lambda tasks: [tasks[0], {**tasks[1], "annotations": [choice("horse")]}], "tasks[1]", "'horse' is not in"),
        (lambda tasks: [{**tasks[0], "annotations": [choice()]}], "tasks[0]", "0 labels"),
        (lambda tasks: [{**tasks[0], "annotations": [choice("cat"), choice("dog")]}], "tasks[0].annotations[1]", "second answer"),
        (lambda tasks: [{**tasks[0], "annotations": [choice("cat", who="\n")]}], "annotator", "printable"),
    ],
)  # fmt: skip
def test_a_broken_file_is_refused_and_nothing_is_kept(
    ledger: Ledger, spoil: Any, field: str, why: str
) -> None:
    name = ask_people(ledger, "ab")
    tasks = annotated(
        export_task(ledger.reader, find_task(ledger.reader, name, 1)),
        [choice("cat")],
        [choice("cat")],
    )
    with pytest.raises(InvalidFieldError, match=why) as refused:
        import_answers(ledger, name, 1, spoil(tasks))
    assert refused.value.field == field
    assert find_task(ledger.reader, name, 1).answer_count == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"rotation": 30}, "rotated"),
        ({"x": "10"}, "must be a number"),
        ({"width": True}, "must be a number"),
        ({"width": 0}, "no area"),
        ({"x": float("nan")}, "area|box"),
        ({"rectanglelabels": ["cat", "dog"]}, "2 labels"),
        ({"rectanglelabels": [7]}, "not a text"),
        ({"rectanglelabels": "cat"}, "must be a list"),
    ],
)
def test_a_broken_box_is_refused(ledger: Ledger, change: dict[str, Any], why: str) -> None:
    name = ask_people(ledger, [PNG], annotation=BOXES)
    region = rectangle("cat", 10, 10, 10, 10)
    region["value"] |= change
    back = annotated(
        export_task(ledger.reader, find_task(ledger.reader, name, 1)),
        [choice() | {"result": [region]}],
    )
    with pytest.raises(InvalidFieldError, match=why) as refused:
        import_answers(ledger, name, 1, back)
    assert refused.value.field.startswith("tasks[0]")


def test_an_import_names_its_annotator(ledger: Ledger) -> None:
    name = ask_people(ledger, "a", replicas=2)
    back = annotated(
        export_task(ledger.reader, find_task(ledger.reader, name, 1)), [choice("cat", who=7)]
    )
    import_answers(ledger, name, 1, back, "team")
    changed = annotated({"tasks": back}, [choice("dog", who=7)])
    with pytest.raises(AnsweredTwiceError, match=r"team/7 already gave another answer"):
        import_answers(ledger, name, 1, changed, "team")
