"""Labeling tasks: `/ledger/v1/{job}/labeling`, their questions, and people's answers, also by Label Studio."""

from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import JsonObject, json_type
from jobledger.domain.values.names import parse_name, parse_text
from jobledger.infra.access.required import READ
from jobledger.infra.access.tokens import Caller
from jobledger.infra.evaluation.tasks.label_studio import export_task, import_answers
from jobledger.infra.evaluation.tasks.labeling import Answered, answer
from jobledger.infra.evaluation.tasks.tasks import (
    Question,
    find_task,
    open_tasks,
    progress,
    questions,
    task_json,
)
from jobledger.infra.http.native import evaluation_answers as answers
from jobledger.infra.http.native.bodies import body_schema, load, object_schema
from jobledger.infra.http.native.routes import Json, NativeRoutes, PageSize, Position

DEFAULT_PAGE: Final = 100
MAX_PAGE: Final = 1_000
MAX_ANSWERS: Final = 1_000
RUN: Final = "/{name:path}/labeling/{run}"
Annotator = Annotated[
    str | None,
    Query(description="Whose questions; with tokens it is always the token's name that counts."),
]


def labeling_routes(routes: NativeRoutes) -> APIRouter:
    """The routes of labeling tasks."""
    router = APIRouter(prefix="/ledger/v1", tags=["evaluation jobs"])
    _add_label_studio(router, routes)
    _add_reading(router, routes)
    _add_answering(router, routes)
    return router


def _add_reading(router: APIRouter, routes: NativeRoutes) -> None:
    @router.get("/{name:path}/labeling", response_model=answers.TasksJson)
    async def tasks(request: Request, name: str) -> Json:
        """The job's labeling tasks that wait for answers."""
        await routes.admit(request, READ, parse_name(name))
        waiting = await routes.ledger.run(partial(open_tasks, routes.reader, name))
        return await routes.json({"tasks": [task_json(task) for task in waiting]})

    @router.get(RUN, response_model=answers.TaskJson)
    async def task(
        request: Request, name: str, run: str, annotator: Annotator = None,
        after: Position = 0, page_size: PageSize = DEFAULT_PAGE,
    ) -> Json:  # fmt: skip
        """Returns the task of a run, and the annotator's open questions after a number."""
        caller = await routes.admit(request, READ, parse_name(name))

        def read() -> JsonObject:
            who = caller.name or parse_text("annotator", annotator)
            found = find_task(routes.reader, name, _number(run))
            limit = min(page_size or DEFAULT_PAGE, MAX_PAGE)
            answered, remaining = progress(routes.reader, found, who)
            asked = questions(routes.reader, found, who, after, limit)
            return {
                "task": task_json(found),
                "annotator": who,
                "answeredCount": answered,
                "remainingCount": remaining,
                "questions": [_shown(question) for question in asked],
            }

        return await routes.json(await routes.ledger.run(read))


def _add_answering(router: APIRouter, routes: NativeRoutes) -> None:
    async def answer_questions(request: Request, name: str, run: str) -> Json:
        """Records up to 1,000 answers of one annotator: all of them, or none.

        An answer is a label, a list of labels, or a list of boxes. With tokens the annotator is the
        token's name; without, the body says who answers.
        """
        body = await request.body()
        caller = await routes.admit(request, "answer", parse_name(name))
        fields = load(body)
        given = _answers(fields)
        who = _annotator(caller, fields)
        keep = partial(answer, routes.store, name, _number(run), who, given)
        return await routes.json(_became(await routes.ledger.run(keep)))

    router.post(
        f"{RUN}:answer",
        name="answer",
        response_model=answers.AnsweredJson,
        openapi_extra=_schema(),
    )(answer_questions)


def _add_label_studio(router: APIRouter, routes: NativeRoutes) -> None:
    @router.get(f"{RUN}:export", response_model=answers.LabelStudioJson)
    async def export(
        request: Request, name: str, run: str, after: Position = 0, page_size: PageSize = MAX_PAGE
    ) -> Json:
        """Open questions as Label Studio's tasks, with its labeling configuration."""
        await routes.admit(request, READ, parse_name(name))

        def read() -> JsonObject:
            found = find_task(routes.reader, name, _number(run))
            return export_task(routes.reader, found, after, min(page_size or MAX_PAGE, MAX_PAGE))

        return await routes.json(await routes.ledger.run(read))

    async def import_label_studio(request: Request, name: str, run: str) -> Json:
        """Records the answers in Label Studio's JSON export: all of them, or none.

        The annotator is the export's `completed_by`; with tokens, it is `TOKEN/COMPLETED_BY`.
        """
        body = await request.body()
        caller = await routes.admit(request, "import", parse_name(name))
        exported = load(body)
        keep = partial(import_answers, routes.store, name, _number(run), exported, caller.name)
        return await routes.json(_became(await routes.ledger.run(keep)))

    tasks = {"type": "array", "items": {"type": "object"}}
    router.post(
        f"{RUN}:import",
        name="import",
        response_model=answers.AnsweredJson,
        openapi_extra=body_schema(tasks),
    )(import_label_studio)


def _shown(question: Question) -> JsonObject:
    kind, value = question.shown
    shown = {"kind": kind, "value": value}
    return {"sample": question.number, "data": question.data, "shown": shown}


def _became(answered: Answered) -> JsonObject:
    return {"kept": answered.kept, "repeated": answered.repeated, "isOpen": answered.is_open}


def _number(run: str) -> int:
    if run.isascii() and run.isdigit() and len(run) < 10:
        return int(run)
    raise InvalidFieldError("run", f"{run[:40]!r} is not the number of a run, such as 1")


def _answers(value: Any) -> dict[int, Any]:
    items = value.get("answers") if isinstance(value, dict) else None
    if not isinstance(items, list) or value.keys() - {"answers", "annotator"}:
        raise InvalidFieldError("body", 'is not of the form {"annotator": …, "answers": [...]}')
    if len(items) > MAX_ANSWERS:
        raise InvalidFieldError("answers", f"has {len(items)} answers; send at most {MAX_ANSWERS}")
    answers = dict[int, Any]()
    for number, item in enumerate(items):
        place = f"answers[{number}]"
        if not isinstance(item, dict) or item.keys() != {"sample", "answer"}:
            raise InvalidFieldError(place, 'is not of the form {"sample": …, "answer": …}')
        if type(item["sample"]) is not int:
            raise InvalidFieldError(
                f"{place}.sample",
                f"must be the number of a sample, not {json_type(item['sample'])}",
            )
        if item["sample"] in answers:
            raise InvalidFieldError(
                f"{place}.sample", f"{item['sample']} has two answers in this call; give one"
            )
        answers[item["sample"]] = item["answer"]
    return answers


def _annotator(caller: Caller, fields: JsonObject) -> str:
    named = parse_text("annotator", fields.get("annotator"))
    if caller.name is not None and named not in {None, caller.name}:
        raise InvalidFieldError(
            "annotator", f"must be {caller.name!r}, the name of the token, or left out"
        )
    who = caller.name or named
    if who is None:
        raise InvalidFieldError("annotator", "is missing; give the annotator's name")
    return who


def _schema() -> JsonObject:
    """The body of answers, for the OpenAPI document."""
    item = object_schema({"sample": {"type": "integer"}, "answer": {}}, ["answer", "sample"])
    answers = {"type": "array", "maxItems": MAX_ANSWERS, "items": item}
    annotator = {"type": "string", "minLength": 1}
    return body_schema(object_schema({"annotator": annotator, "answers": answers}, ["answers"]))
