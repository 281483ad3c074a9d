"""Labeling tasks in Label Studio: exports questions as its tasks and configuration, and imports its answers.

Formats are those of labelstud.io/guide/tasks ("Basic Label Studio JSON format") and
labelstud.io/guide/export ("JSON"; JSON-MIN leaves out who annotated, and is refused). Its
coordinates are percents of the image, ours are parts of it, from 0 to 1.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from xml.etree import ElementTree as ET

from jobledger.domain.errors import InvalidFieldError, shown
from jobledger.domain.values.canonical import JsonObject, json_type, object_of
from jobledger.infra.evaluation.tasks.labeling import Answered, answer_all
from jobledger.infra.evaluation.tasks.tasks import Question, Task, find_task, questions
from jobledger.infra.read.reader import Reader
from jobledger.infra.read.store import Store

OBJECTS: Final = {
    "IMAGE": ("Image", "image"),
    "TEXT": ("Text", "text"),
    "GENERAL_DATA": ("Text", "value"),
}
"""The tag that shows data of a type, and where in a task's `data` that is."""
ROTATIONS: Final = ("rotation", "image_rotation")


class Given(NamedTuple):
    """The annotations of an export that were not skipped."""

    answers: Mapping[str, Mapping[int, Any]]
    """The answers by annotator and sample."""
    places: Mapping[int, str]
    """The place of each sample's task in the file."""


def export_task(reader: Reader, task: Task, after: int = 0, limit: int = 1_000) -> JsonObject:
    """`{"config", "tasks"}`: the configuration as XML, and what wants an answer still."""
    asked = questions(reader, task, after=after, limit=limit)
    return {"config": config(task), "tasks": [exported(task, question) for question in asked]}


def exported(task: Task, question: Question) -> JsonObject:
    """A question as one of Label Studio's tasks."""
    _, field = OBJECTS[task.data_type]
    about = {"job": task.job, "run": task.run, "sample": question.number}
    data = {field: question.shown.value, **about}
    return {"id": question.number, "data": data, "predictions": []}


def config(task: Task) -> str:
    """Label Studio's labeling configuration; without a known set it has no labels yet."""
    tag, name = OBJECTS[task.data_type]
    view = ET.Element("View")
    if task.instruction:
        ET.SubElement(view, "Header", value=task.instruction)
    ET.SubElement(view, tag, name=name, value=f"${name}")
    if task.boxes:
        answer = ET.SubElement(view, "RectangleLabels", name="answer", toName=name)
    else:
        choice = "multiple" if task.multi_label else "single"
        answer = ET.SubElement(view, "Choices", name="answer", toName=name, choice=choice)
    for label in task.labels:
        ET.SubElement(answer, "Label" if task.boxes else "Choice", value=label)
    ET.indent(view)
    return ET.tostring(view, encoding="unicode")


def import_answers(
    store: Store, name: str, run: int, value: Any, importer: str | None = None
) -> Answered:
    """Records the answers of a Label Studio export: all of them, or none.

    Args:
        store: The ledger.
        name: The evaluation job's resource name.
        run: The number of its run.
        value: The export, as parsed JSON.
        importer: Who imports; annotators get this name and a slash before `completed_by`.

    Returns:
        How many answers were recorded, and whether they completed the task.

    Raises:
        InvalidFieldError: A task is not valid; the field is its place in the file.
        JobNotFoundError: There is no such job.
        TaskNotFoundError: The run asks nothing.
        TaskClosedError: The task is complete.
        AnsweredTwiceError: An annotator answered differently before.
        EnoughAnswersError: Enough others have answered.
    """
    given = read_export(find_task(store.reader, name, run), value)
    prefix = f"{importer}/" if importer else ""
    answers = {f"{prefix}{who}": of_person for who, of_person in given.answers.items()}
    try:
        return answer_all(store, name, run, answers)
    except InvalidFieldError as error:
        kind, _, number = error.field.partition(".")
        if kind != "answers":
            raise
        raise InvalidFieldError(given.places[int(number)], error.why) from None


def read_export(task: Task, value: Any) -> Given:
    """The answers in an export of this task; raises InvalidFieldError for another JSON."""
    if not isinstance(value, list):
        raise InvalidFieldError(
            "tasks", f"must be a list of tasks, as Label Studio exports it, not {json_type(value)}"
        )
    answers, places = dict[str, dict[int, Any]](), dict[int, str]()
    for number, item in enumerate(value):
        place = f"tasks[{number}]"
        annotations = _field(item, place, "annotations", list)
        sample = _sample(task, item, place)
        places.setdefault(sample, place)
        for at, annotation in _finished(annotations, f"{place}.annotations"):
            of_person = answers.setdefault(_annotator(annotation, at), {})
            answer = _boxes(annotation, at) if task.boxes else _choices(annotation, at)
            if of_person.setdefault(sample, answer) != answer:
                raise InvalidFieldError(
                    at,
                    f"is a second answer of the same annotator for sample {sample}; leave one out",
                )
    return Given(answers, places)


def _sample(task: Task, item: Any, place: str) -> int:
    """The number of the sample; raises InvalidFieldError for one of another task."""
    data = _field(item, place, "data", dict)
    place = f"{place}.data"
    for field, expected in (("job", task.job), ("run", task.run)):
        if _field(data, place, field, type(expected)) != expected:
            raise InvalidFieldError(
                f"{place}.{field}",
                f"{shown(data[field])} is not {expected}, the task that was exported",
            )
    sample = _field(data, place, "sample", int)
    assert isinstance(sample, int)
    return sample


def _finished(annotations: list[Any], place: str) -> Iterator[tuple[str, JsonObject]]:
    """The annotations that were not skipped, each with its place."""
    for number, annotation in enumerate(annotations):
        at = f"{place}[{number}]"
        if not object_of(at, annotation).get("was_cancelled"):
            yield at, annotation


def _annotator(annotation: JsonObject, place: str) -> str:
    who = annotation.get("completed_by")
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    if (isinstance(who, str) and who) or type(who) is int:
        return str(who)
    raise InvalidFieldError(
        f"{place}.completed_by", f"{shown(who)} names no annotator; it is a mail address or an id"
    )


def _choices(annotation: JsonObject, place: str) -> list[Any]:
    return [
        choice
        for at, _, value in _values(annotation, place, "choices")
        for choice in _field(value, at, "choices", list)
    ]


def _boxes(annotation: JsonObject, place: str) -> list[JsonObject]:
    return [
        _box(at, region, value)
        for at, region, value in _values(annotation, place, "rectanglelabels")
    ]


def _values(
    annotation: JsonObject, place: str, type_: str
) -> Iterator[tuple[str, JsonObject, JsonObject]]:
    """The regions of a type: the value's place, the region, its value."""
    for number, region in enumerate(_field(annotation, place, "result", list)):
        at = f"{place}.result[{number}]"
        if object_of(at, region).get("type") == type_:
            yield f"{at}.value", region, _field(region, at, "value", dict)


def _box(place: str, region: JsonObject, value: JsonObject) -> JsonObject:
    labels = _field(value, place, "rectanglelabels", list)
    if len(labels) != 1:
        raise InvalidFieldError(
            f"{place}.rectanglelabels", f"{len(labels)} labels; a box has exactly one"
        )
    if any(given.get(field) for given in (region, value) for field in ROTATIONS):
        raise InvalidFieldError(place, "is a rotated box; only boxes without rotation are accepted")
    x, y, width, height = (_percent(value, place, of) for of in ("x", "y", "width", "height"))
    return {
        "label": labels[0],
        "top_left": {"x": _part(x), "y": _part(y)},
        "bottom_right": {"x": _part(x + width), "y": _part(y + height)},
    }


def _percent(value: JsonObject, place: str, field: str) -> float:
    given = value.get(field)
    if type(given) not in {int, float}:
        raise InvalidFieldError(f"{place}.{field}", f"must be a number, not {json_type(given)}")
    return float(given)  # type: ignore[arg-type]


def _part(percent: float) -> float:
    """A percentage of the image, cut off at its edges."""
    return min(max(percent / 100, 0.0), 1.0)


def _field(given: Any, place: str, field: str, kind: type) -> Any:
    """A field of a JSON object, of that type; raises InvalidFieldError."""
    value = object_of(place, given).get(field)
    if type(value) is not kind:
        why = (
            f"is missing; it is {_WORDS[kind]}"
            if field not in given
            else f"must be {_WORDS[kind]}, not {json_type(value)}"
        )
        raise InvalidFieldError(f"{place}.{field}", why)
    return value


_WORDS: Final[dict[type, str]] = {
    list: "a list",
    dict: "an object",
    str: "a string",
    int: "a number",
}
