"""Routes of predictions of evaluation jobs, and of their ground truth."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import JsonObject, object_of
from jobledger.domain.values.names import parse_name
from jobledger.domain.values.nearest import did_you_mean
from jobledger.infra.access.required import READ
from jobledger.infra.evaluation.samples.outcomes import Prediction, Sampled
from jobledger.infra.evaluation.samples.reading import read_page, read_rejected
from jobledger.infra.http.native import evaluation_answers as answers
from jobledger.infra.http.native.bodies import body_schema, load_items, object_schema, read_time
from jobledger.infra.http.native.routes import Json, NativeRoutes, PageSize, Position
from pydantic_core import PydanticCustomError

DEFAULT_PAGE: Final = 100
MAX_PAGE: Final = 1_000
PREDICTION: Final = {"input", "output", "time", "key", "groundTruth"}
TRUTH: Final = {"key", "groundTruth"}


def sample_routes(routes: NativeRoutes) -> APIRouter:
    """The routes of predictions."""
    router = APIRouter(prefix="/ledger/v1", tags=["evaluation jobs"])
    _add_predictions(router, routes)
    _add_truths(router, routes)
    _add_sampling(router, routes)
    _add_rejected(router, routes)
    return router


def _add_predictions(router: APIRouter, routes: NativeRoutes) -> None:
    async def record_predictions(request: Request, name: str) -> Json:
        """Samples up to 10,000 predictions of the job's model version, and counts the outcomes.

        Each example is sampled at most once. A prediction whose JSON lacks a field that the job's
        bigqueryImportKeys name is rejected by itself, with the reason.
        """
        body = await request.body()
        await routes.admit(request, "recordPredictions", parse_name(name))

        def record() -> Sampled:
            now = datetime.now(UTC)
            items = _items(body, "predictions", PREDICTION)
            given = [_prediction(place, item, now) for place, item in items]
            return routes.store.record_predictions(name, given)

        return await routes.json(_shown(await routes.ledger.run(record)))

    router.post(
        "/{name:path}:recordPredictions",
        name="recordPredictions",
        response_model=answers.SampledJson,
        openapi_extra=_schema("predictions", PREDICTION, ["input", "output"]),
    )(record_predictions)


def _add_truths(router: APIRouter, routes: NativeRoutes) -> None:
    async def record_truths(request: Request, name: str) -> Json:
        """Records the ground truth of examples by their keys; each outcome is told (recorded), repeated, unknown, taken or differs."""
        body = await request.body()
        await routes.admit(request, "recordTruths", parse_name(name))
        items = [item for _, item in _items(body, "truths", TRUTH)]
        truths = [
            (_text(f"truths[{n}].key", t.get("key")), t.get("groundTruth"))
            for n, t in enumerate(items)
        ]
        recorded = await routes.ledger.record_truths(name, truths)
        return await routes.json({"outcomes": recorded.outcomes})

    router.post(
        "/{name:path}:recordTruths",
        name="recordTruths",
        response_model=answers.OutcomesJson,
        openapi_extra=_schema("truths", TRUTH, sorted(TRUTH)),
    )(record_truths)


def _add_sampling(router: APIRouter, routes: NativeRoutes) -> None:
    @router.get("/{name:path}/sampling", response_model=answers.SamplingJson)
    async def counts(request: Request, name: str) -> Json:
        """Counts the outcomes of the job's predictions since it was created."""
        await routes.admit(request, READ, parse_name(name))
        return await routes.json(await routes.ledger.sampling(name))

    @router.get("/{name:path}/samples", response_model=answers.SamplesJson)
    async def samples(
        request: Request, name: str, after: Position = 0, page_size: PageSize = DEFAULT_PAGE
    ) -> Json:
        """The job's samples after a number, in the order in which they were sampled."""
        name = parse_name(name)
        await routes.admit(request, READ, name)
        limit = min(page_size or DEFAULT_PAGE, MAX_PAGE)
        page = await routes.ledger.run(partial(read_page, routes.reader, name, after, limit))
        return await routes.json({"samples": page})


def _add_rejected(router: APIRouter, routes: NativeRoutes) -> None:
    async def rejected(
        request: Request, name: str, after: Position, page_size: PageSize
    ) -> list[JsonObject]:
        name = parse_name(name)
        await routes.admit(request, READ, name)
        limit = min(page_size or DEFAULT_PAGE, MAX_PAGE)
        return await routes.ledger.run(partial(read_rejected, routes.reader, name, after, limit))

    @router.get("/{name:path}/rejectedPredictions", response_model=answers.RejectedPredictionsJson)
    async def rejected_predictions(
        request: Request, name: str, after: Position = 0, page_size: PageSize = DEFAULT_PAGE
    ) -> Json:
        """Predictions that could not be sampled, after a number, each with the reason."""
        page = await rejected(request, name, after, page_size)
        return await routes.json({"rejectedPredictions": page})

    @router.get(
        "/{name:path}/spoiltPredictions",
        response_model=answers.SpoiltPredictionsJson,
        deprecated=True,
    )
    async def spoilt_predictions(
        request: Request, name: str, after: Position = 0, page_size: PageSize = DEFAULT_PAGE
    ) -> Json:
        """The former name of rejectedPredictions."""
        page = await rejected(request, name, after, page_size)
        return await routes.json({"spoiltPredictions": page})


def _items(body: bytes, field: str, known: set[str]) -> Iterator[tuple[str, JsonObject]]:
    """The objects in a body, each with its place in it."""
    for number, item in enumerate(load_items(body, field)):
        place = f"{field}[{number}]"
        if unknown := object_of(place, item).keys() - known:
            name = min(unknown)[:80]
            raise InvalidFieldError(f"{place}.{name}", f"is not a field{did_you_mean(name, known)}")
        yield place, item


def _prediction(place: str, item: Mapping[str, Any], now: datetime) -> Prediction:
    for field in ("input", "output"):
        if field not in item:
            raise InvalidFieldError(
                f"{place}.{field}", "is missing; a prediction has input and output"
            )
    key = item.get("key")
    return Prediction(
        item["input"],
        item["output"],
        _time(f"{place}.time", item["time"]) if "time" in item else now,
        None if key is None else _text(f"{place}.key", key),
        item.get("groundTruth"),
    )


def _time(field: str, value: Any) -> datetime:
    try:
        return read_time(value)
    except PydanticCustomError as error:
        raise InvalidFieldError(field, error.message()) from error


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidFieldError(field, f"{value!r:.80} is not a text of one character or more")
    return value


def _shown(sampled: Sampled) -> JsonObject:
    rejected = [{"index": each.place, "why": each.why} for each in sampled.rejected]
    return {
        "sampled": sampled.sampled,
        "repeated": sampled.repeated,
        "passedOver": sampled.passed_over,
        "beyondCount": sampled.beyond_count,
        "rejected": rejected,
        "spoilt": rejected,
    }


def _schema(field: str, fields: set[str], required: list[str]) -> dict[str, Any]:
    """The body, for the OpenAPI document."""
    kinds: dict[str, JsonObject] = {
        "time": {"type": "string", "format": "date-time"},
        "key": {"type": "string", "minLength": 1},
    }
    item = object_schema({each: kinds.get(each, {}) for each in sorted(fields)}, required)
    items = {"type": "array", "maxItems": 10_000, "items": item}
    return body_schema(object_schema({field: items}, [field]))
