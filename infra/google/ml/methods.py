"""AI Platform `ml` v1 `projects.jobs`: create, get, list, patch, cancel, and IAM policies.

Fields, defaults and answers follow the API's reference. What it does not document (an etag
that does not match, a patch without a mask) follows AIP-134 and AIP-154.
"""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.job import Job
from jobledger.domain.states import JobState
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.filters import Filter, Restriction
from jobledger.domain.values.labels import from_google, parse_google_labels
from jobledger.domain.values.moments import Clock
from jobledger.domain.values.nearest import did_you_mean
from jobledger.infra.google.ml.job_fields import API, resource
from jobledger.infra.google.wire import iam
from jobledger.infra.google.wire.calls import AS_OF, Call, Method, Methods, moment_of
from jobledger.infra.google.wire.dialects import ML_STATES, collection_of, in_states
from jobledger.infra.google.wire.masks import Paths, camel, parse_mask
from jobledger.infra.google.wire.paging import page_of_jobs
from jobledger.infra.google.wire.queue import past_places
from jobledger.infra.google.wire.resources import (
    bare,
)
from jobledger.infra.read.lists.filter_fields import GOOGLE_LABELS
from jobledger.infra.read.moments import Given

DEFAULT_PAGE_SIZE: Final = 20
MAX_PAGE: Final = 100
_ID: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}", re.ASCII)
PATCHED: Final = {("labels",), ("etag",)}


async def create(call: Call) -> JsonObject:
    """Creates a job (ml.projects.jobs.create). The answer has no queue position, which would need a read of events."""
    body = API.parse("Job", call.body)
    name = f"{call.project}/jobs/{_parse_id(body.pop('jobId', None))}"
    labels = parse_google_labels(body.pop("labels", {}))
    body.pop("etag", None)
    job = await call.ledger.create(name, labels, body, **call.about)
    return resource(await call.ledger.decrypted(job))


async def get(call: Call) -> JsonObject:
    """Gets a job (ml.projects.jobs.get)."""
    as_of, clock = await moment_of(call)
    name = _name(call)
    if as_of is not None:
        # A version of the job is a moment of the queue, too.
        as_of, clock = await call.ledger.moment(as_of, clock, name), None
    job = await call.job(name, as_of, clock)
    places = await _positions(call, [job], as_of, clock)
    return resource(await call.ledger.decrypted(job), places.get(job.name))


async def list_jobs(call: Call) -> JsonObject:
    """Lists jobs (ml.projects.jobs.list)."""
    as_of, clock = await moment_of(call)
    scope = collection_of(call.project, "jobs")
    page = await page_of_jobs(call, scope, _translate, (DEFAULT_PAGE_SIZE, MAX_PAGE))
    places = await _positions(call, page.jobs, as_of, clock)
    jobs = [resource(await call.ledger.decrypted(j), places.get(j.name)) for j in page.jobs]
    return bare({"jobs": jobs, "nextPageToken": page.next_page_token or None})


async def patch(call: Call) -> JsonObject:
    """Updates the labels of a job (ml.projects.jobs.patch)."""
    body = API.parse("Job", call.body)
    masked = _patched(call, body)
    etag = (body.get("etag") or None) if ("etag",) in masked else None
    labels = before = (await call.job(_name(call))).labels
    if ("labels",) in masked:
        labels = from_google(parse_google_labels(body.get("labels", {})), before)
    job = await call.ledger.change_labels(_name(call), labels, etag, **call.about)
    places = await _positions(call, [job])
    return resource(await call.ledger.decrypted(job), places.get(job.name))


async def cancel(call: Call) -> JsonObject:
    """Cancels a job (ml.projects.jobs.cancel)."""
    call.expect_no_fields()
    await call.ledger.cancel(_name(call), cancelled_by(call), **call.about)
    return {}


def cancelled_by(call: Call) -> str:
    """Returns the reason of a cancellation over the API, because Google's clients give none."""
    actor = call.about.get("actor")
    return "cancelled on request" if actor is None else f"cancelled on request of {actor}"


async def _positions(
    call: Call, jobs: Sequence[Job], as_of: Given | None = None, clock: Clock | None = None
) -> dict[str, int]:
    """Returns the queue positions of the waiting jobs."""
    waiting = [job for job in jobs if job.state is JobState.QUEUED]
    if not waiting:
        return {}
    if as_of is None and clock is None:
        return await call.queue.places(waiting)
    past = partial(past_places, call.reader, call.project, waiting, as_of, clock)
    return await call.ledger.run(past)


def _name(call: Call) -> str:
    return f"{call.project}/jobs/{call.ids[1]}"


def _parse_id(job_id: Any) -> str:
    if not isinstance(job_id, str) or _ID.fullmatch(job_id) is None:
        shown = "is missing" if job_id is None else f"{str(job_id)[:60]!r}"
        raise InvalidFieldError(
            "jobId", f"{shown}: letters, digits and underscores, a letter first, 128 at most"
        )
    return job_id


def _patched(call: Call, body: JsonObject) -> Paths:
    """Returns the mask's paths; by default the labels, if any were sent."""
    text = call.query.get("updateMask", "")
    paths = parse_mask(text, "updateMask") if text.strip() else (("labels",),) * ("labels" in body)
    if not paths:
        raise InvalidFieldError("updateMask", "names no field; labels and etag can be patched")
    for path in paths:
        if path not in PATCHED:
            raise InvalidFieldError(
                "updateMask", f"{'.'.join(path)} cannot be patched; labels and etag can be"
            )
    return paths


FIELDS: Final = (
    "jobId", "state", "labels", "createTime", "startTime", "endTime", "errorMessage", "etag",
    "trainingInput", "predictionInput", "trainingOutput", "predictionOutput",
)  # fmt: skip
"""Fields of filters, in camel or snake case."""


def _translate(restriction: Restriction) -> Filter:
    """Translates a comparison with a field of Job."""
    first, *rest = restriction.field
    match camel(first), rest:
        case "jobId", []:
            return restriction._replace(field=("id",))
        case "state", []:
            return in_states(restriction, ML_STATES)
        case "labels", [] | [_]:
            return restriction._replace(field=(GOOGLE_LABELS, *rest))
        case (("createTime" | "startTime" | "endTime" | "errorMessage" | "etag"), _):
            return restriction
        case ("trainingInput" | "predictionInput") as field, path:
            return restriction._replace(field=("spec", field, *map(camel, path)))
        case ("trainingOutput" | "predictionOutput") as field, path:
            return restriction._replace(field=("output", field, *map(camel, path)))
    asked = ".".join(restriction.field)
    raise InvalidFieldError("filter", f"there is no field {asked!r}{did_you_mean(asked, FIELDS)}")


_JOBS: Final = "v1/projects/*/jobs"
METHODS: Final = Methods(
    (
        Method("ml.projects.jobs.create", "POST", _JOBS, create, body="Job"),
        Method("ml.projects.jobs.get", "GET", f"{_JOBS}/*", get, AS_OF),
        Method(
            "ml.projects.jobs.list", "GET", _JOBS, list_jobs,
            AS_OF | {"filter", "pageSize", "pageToken"},
        ),
        Method(
            "ml.projects.jobs.patch", "PATCH", f"{_JOBS}/*", patch,
            frozenset({"updateMask"}), "Job",
        ),
        Method(
            "ml.projects.jobs.cancel", "POST", f"{_JOBS}/*:cancel", cancel,
            body="CancelJobRequest",
        ),
        Method(
            "ml.projects.jobs.getIamPolicy", "GET", f"{_JOBS}/*:getIamPolicy", iam.get_policy,
            AS_OF | {"options.requestedPolicyVersion"},
        ),
        Method(
            "ml.projects.jobs.setIamPolicy", "POST", f"{_JOBS}/*:setIamPolicy", iam.set_policy,
            body="SetIamPolicyRequest",
        ),
        Method(
            "ml.projects.jobs.testIamPermissions", "POST", f"{_JOBS}/*:testIamPermissions",
            iam.test_permissions, body="TestIamPermissionsRequest",
        ),
    )
)  # fmt: skip
