"""Data Labeling v1beta1 `projects.evaluationJobs`: create, get, list, patch, pause, resume, delete.

The table of methods is the whole API's: evaluations.py and spec_sets.py have the others.
"""

import hashlib
import secrets
from collections.abc import Iterator
from typing import Any, Final

from jobledger.domain import errors
from jobledger.domain.job import Job
from jobledger.domain.metrics.evaluation import CONFIG
from jobledger.domain.metrics.job_limits import check_job, check_numbers
from jobledger.domain.values.canonical import JsonObject, object_of
from jobledger.domain.values.filters import Filter, Restriction
from jobledger.domain.values.nearest import did_you_mean
from jobledger.domain.values.schedules import parse_schedule
from jobledger.infra.google.labeling import evaluations, spec_sets
from jobledger.infra.google.labeling.evaluation_filters import of_model
from jobledger.infra.google.wire import dialects, messages
from jobledger.infra.google.wire.calls import AS_OF, Call, Method, Methods, moment_of
from jobledger.infra.google.wire.masks import Paths, camel, merge, parse_mask
from jobledger.infra.google.wire.paging import page_of_jobs
from jobledger.infra.google.wire.resources import bare, given_fields, made_fields, time_text
from jobledger.infra.settings import Settings

API: Final = messages.load("datalabeling_v1beta1")
MESSAGE: Final = "EvaluationJob"
DEFAULT_PAGE_SIZE: Final = 100
MAX_PAGE: Final = 1_000
MAX_TRIES: Final = 5
STRICT: Final = "strict"
LENIENT: Final = "lenient"
MAY_BE_UNSET: Final = frozenset(
    {"labelMissingGroundTruth", "evaluationConfig", "description", "annotationSpecSet"}
)
"""Required fields that runs do not need: `false` (absent over gRPC), options of boxes only, and texts."""
REQUIRED: Final = {"EvaluationJobConfig": frozenset({"inputConfig"})}
"""Fields that are required only by the text of the API's description."""
NESTED: Final = {CONFIG: "EvaluationJobConfig"}
PATCHED: Final = (
    (CONFIG, "humanAnnotationConfig", "instruction"),
    (CONFIG, "exampleCount"),
    (CONFIG, "exampleSamplePercentage"),
)
FIELDS: Final = ("evaluation_job.model_id", "evaluation_job.state")
"""Fields of filters, in camel or snake case."""


async def create(call: Call) -> JsonObject:
    """Creates an evaluation job (evaluationJobs.create). Ids follow from the model version, so it has only one job."""
    body = API.parse(MESSAGE, _unwrapped(call.body), "job")
    _check(body, "job.")
    if check_strictness(Settings().evaluation_jobs) == STRICT:
        _check_whole(MESSAGE, body, "job.")
    model_version = body.get("modelVersion")
    for job_id in _ids(model_version):
        name = f"{call.project}/evaluationJobs/{job_id}"
        try:
            job = await call.ledger.create(name, {}, body, **call.about)
            return resource(await call.ledger.decrypted(job))
        except errors.JobExistsError:
            if model_version and not await _is_deleted(call, name):
                raise
    raise AssertionError("ids do not end")


async def get(call: Call) -> JsonObject:
    """Gets an evaluation job (evaluationJobs.get)."""
    as_of, clock = await moment_of(call)
    job = await call.job(_name(call), as_of, clock)
    return resource(await call.ledger.decrypted(job))


async def list_jobs(call: Call) -> JsonObject:
    """Lists evaluation jobs (evaluationJobs.list)."""
    scope = dialects.collection_of(call.project, "evaluationJobs")
    page = await page_of_jobs(call, scope, _translate, (DEFAULT_PAGE_SIZE, MAX_PAGE))
    jobs = [resource(await call.ledger.decrypted(job)) for job in page.jobs]
    return bare({"evaluationJobs": jobs, "nextPageToken": page.next_page_token or None})


async def patch(call: Call) -> JsonObject:
    """Updates an evaluation job at once, in any live state (evaluationJobs.patch)."""
    body = API.parse(MESSAGE, call.body)
    check_numbers(body.get(CONFIG) or {}, f"{CONFIG}.")
    paths = _patched(call, body)
    name = _name(call)
    for _ in range(MAX_TRIES):
        job = await call.job(name)
        try:
            spec = merge(job.spec, body, paths)
            job = await call.ledger.change_config(name, spec, job.etag, **call.about)
            return resource(await call.ledger.decrypted(job))
        except errors.EtagMismatchError:
            continue  # The job changed since it was read, so the patch is applied to the current job.
    raise errors.EtagMismatchError(name)


async def pause(call: Call) -> JsonObject:
    """Pauses a job (evaluationJobs.pause); a paused job stays as it is."""
    call.expect_no_fields()
    await call.ledger.pause(_name(call), **call.about)
    return {}


async def resume(call: Call) -> JsonObject:
    """Resumes a job (evaluationJobs.resume); a job that is not paused stays as it is."""
    call.expect_no_fields()
    await call.ledger.resume(_name(call), **call.about)
    return {}


async def delete(call: Call) -> JsonObject:
    """Stops and deletes a job (evaluationJobs.delete)."""
    await call.ledger.delete(_name(call), stop=True, **call.about)
    return {}


def resource(job: Job) -> JsonObject:
    """Returns the EvaluationJob message."""
    assert job.state is not None
    return bare(
        {
            **made_fields(API, MESSAGE, job.output),
            **given_fields(API, MESSAGE, job.spec),
            "name": job.name,
            "state": dialects.EVALUATION_STATES[job.state],
            "createTime": time_text(job.create_time),
        }
    )


def _unwrapped(body: object) -> object:
    """Returns the job of a body `{"job": …}`, which has the form of CreateEvaluationJobRequest."""
    fields = object_of("body", body)
    for field in fields:
        if field not in {"job", "parent"}:
            raise errors.InvalidFieldError(
                str(field)[:80], "is not a field of the request; it has the field job"
            )
    if "job" not in fields:
        raise errors.InvalidFieldError("job", "is missing; give the evaluation job")
    return fields["job"]


def _check(job: JsonObject, at: str) -> None:
    """Checks values as the API's reference describes them.

    Only jobs that sample are checked strictly. Other jobs are recorded as they are, and cannot run.

    Args:
        job: The job in the request.
        at: The path of the job in the body, for the error.

    Raises:
        InvalidFieldError: A value is not accepted; the field is its path in the body.
    """
    check_job(job, at)
    if job.get("schedule") and (job.get(CONFIG) or {}).get("inputConfig"):
        try:
            parse_schedule(job["schedule"])
        except errors.InvalidFieldError as error:
            raise errors.InvalidFieldError(f"{at}{error.field}", error.why) from error


def check_strictness(text: str) -> str:
    """Returns JOBLEDGER_EVALUATION_JOBS; raises InvalidFieldError for any other value."""
    if text not in {STRICT, LENIENT}:
        raise errors.InvalidFieldError(
            "evaluation_jobs", f"{text!r} is not one of {STRICT}, {LENIENT}"
        )
    return text


def _check_whole(message: str, given: JsonObject, at: str) -> None:
    """Raises InvalidFieldError for the first missing field that Google requires and a run needs."""
    required = API.required(message) - MAY_BE_UNSET | REQUIRED.get(message, frozenset())
    for field in sorted(required):
        if given.get(field) in (None, "", {}):
            why = f"is missing; JOBLEDGER_EVALUATION_JOBS={LENIENT} accepts jobs without it"
            raise errors.InvalidFieldError(f"{at}{field}", why)
    for field in sorted(required & NESTED.keys()):
        _check_whole(NESTED[field], given[field], f"{at}{field}.")


def _ids(model_version: str | None) -> Iterator[str]:
    """Yields numeric ids, as in the API: always the same for a model version, and a further one after each deletion."""
    generation = 0
    while True:
        if model_version is None:
            yield str(secrets.randbelow(9 * 10**15) + 10**15)
            continue
        digest = hashlib.sha256(f"{model_version}#{generation}".encode()).digest()
        yield str(int.from_bytes(digest[:6], "big") + 10**15)
        generation += 1


async def _is_deleted(call: Call, name: str) -> bool:
    try:
        await call.job(name)
    except errors.JobNotFoundError as error:
        return error.deleted
    return False


def _patched(call: Call, body: JsonObject) -> Paths:
    """Returns the mask's paths; without a mask, those of the three fields that were sent."""
    paths = parse_mask(call.query.get("updateMask", ""), "updateMask")
    paths = paths or tuple(path for path in PATCHED if _has(body, path))
    if not paths:
        raise errors.InvalidFieldError(
            "updateMask",
            f"names no field, and the body has none of {', '.join(map('.'.join, PATCHED))}",
        )
    for path in paths:
        if path not in PATCHED:
            raise errors.InvalidFieldError(
                "updateMask",
                f"{'.'.join(path)} cannot be patched; delete the job and create another",
            )
    return paths


def _has(body: Any, path: tuple[str, ...]) -> bool:
    for part in path:
        if not isinstance(body, dict) or part not in body:
            return False
        body = body[part]
    return True


def _name(call: Call) -> str:
    return f"{call.project}/evaluationJobs/{call.ids[1]}"


def _translate(restriction: Restriction) -> Filter:
    """Translates a comparison with `evaluation_job.model_id` or `evaluation_job.state`, the fields of the API."""
    first, *rest = map(camel, restriction.field)
    match [first, *rest]:
        case ["evaluationJob", "state"] | ["state"]:
            return dialects.in_states(restriction, dialects.EVALUATION_STATES)
        case ["evaluationJob", "modelId"] | ["modelId"]:
            return of_model(restriction)
    asked = ".".join(restriction.field)
    raise errors.InvalidFieldError(
        "filter", f"there is no field {asked!r}{did_you_mean(asked, FIELDS)}"
    )


_JOBS: Final = "v1beta1/projects/*/evaluationJobs"
_SERVICE: Final = "datalabeling.projects.evaluationJobs"
METHODS: Final = Methods(
    (
        Method(f"{_SERVICE}.create", "POST", _JOBS, create, body="CreateEvaluationJobRequest"),
        Method(f"{_SERVICE}.get", "GET", f"{_JOBS}/*", get, AS_OF),
        Method(
            f"{_SERVICE}.list", "GET", _JOBS, list_jobs,
            AS_OF | {"filter", "pageSize", "pageToken"},
        ),
        Method(
            f"{_SERVICE}.patch", "PATCH", f"{_JOBS}/*", patch,
            frozenset({"updateMask"}), MESSAGE,
        ),
        Method(f"{_SERVICE}.pause", "POST", f"{_JOBS}/*:pause", pause, body="Empty"),
        Method(f"{_SERVICE}.resume", "POST", f"{_JOBS}/*:resume", resume, body="Empty"),
        Method(f"{_SERVICE}.delete", "DELETE", f"{_JOBS}/*", delete),
        *evaluations.METHODS,
        *spec_sets.METHODS,
    )
)  # fmt: skip
