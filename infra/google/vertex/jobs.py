"""The methods of Vertex AI on the jobs of one resource."""

import re
import secrets
from typing import Final

from jobledger.domain.errors import EtagMismatchError, InvalidFieldError, JobExistsError
from jobledger.domain.job import Job
from jobledger.domain.states import JobState
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.filters import Filter, Restriction
from jobledger.domain.values.labels import from_google, google_labels, parse_google_labels
from jobledger.domain.values.nearest import did_you_mean
from jobledger.infra.google.ml.methods import cancelled_by
from jobledger.infra.google.vertex import operations
from jobledger.infra.google.vertex.resources import Resource, check_running, shown
from jobledger.infra.google.vertex.versions import Version
from jobledger.infra.google.wire.calls import Call, moment_of
from jobledger.infra.google.wire.dialects import collection_of, in_states
from jobledger.infra.google.wire.masks import Paths, camel, check_fields, merge, parse_mask, select
from jobledger.infra.google.wire.paging import page_of_jobs
from jobledger.infra.google.wire.resources import bare, check_display_name
from jobledger.infra.read.lists.filter_fields import GOOGLE_LABELS

DEFAULT_PAGE_SIZE: Final = 100
MAX_PAGE: Final = 1_000
ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,127}", re.ASCII)
MAX_TRIES: Final = 5
PATCHED: Final = frozenset(
    {
        "displayName",
        "modelDeploymentMonitoringScheduleConfig",
        "modelMonitoringAlertConfig",
        "loggingSamplingStrategy",
        "labels",
        "logTtl",
        "enableMonitoringPipelineLogs",
        "modelDeploymentMonitoringObjectiveConfigs",
    }
)
"""Fields of a monitoring job that can be patched; the last also as `.objectiveConfig.…`."""
TIMES: Final = frozenset({"createTime", "updateTime", "startTime", "endTime"})
ELSEWHERE: Final[dict[str, tuple[str, ...]]] = {
    "modelDisplayName": ("spec", "model"),
    "notebookExecutionJob": ("id",),
    "pipelineJobUserId": ("id",),
    "pipelineName": ("spec", "pipelineSpec", "pipelineInfo", "name"),
    "schedule": ("spec", "scheduleResourceName"),
    "scheduleName": ("spec", "scheduleName"),
    "templateMetadata": ("output", "templateMetadata"),
    "templateUri": ("spec", "templateUri"),
    "trainingTaskDefinition": ("spec", "trainingTaskDefinition"),
}
"""Further fields of filters, and the ledger's fields for them."""


class Face:
    """The methods of one resource in a version of the API."""

    def __init__(self, resource: Resource, version: Version) -> None:
        self.resource = resource
        self.version = version
        self._api = version.api

    async def create(self, call: Call) -> JsonObject:
        """Creates a job; for a notebookExecutionJob the answer is an operation."""
        job = await self._create(call)
        if self.resource.collection == "notebookExecutionJobs":
            return await operations.begun(call, job.name, "Create", self.version)
        return await self._shown(call, job)

    async def _create(self, call: Call) -> Job:
        body = self._api.parse(self.resource.message, call.body)
        check_display_name(body)
        labels = parse_google_labels(body.pop("labels", {}))
        given = self._given_id(call)
        while True:
            # Ids are numbers, as in Vertex AI.
            job_id = given or str(secrets.randbelow(9 * 10**18) + 10**18)
            name = f"{parent_of(call)}/{self.resource.collection}/{job_id}"
            pending = self.resource.created_pending
            try:
                return await call.ledger.create(name, labels, body, preparing=pending, **call.about)
            except JobExistsError:
                if given:
                    raise

    def _given_id(self, call: Call) -> str | None:
        parameter = self.resource.create_parameter
        given = call.query.get(parameter, "") if parameter else ""
        if given and ID.fullmatch(given) is None:
            raise InvalidFieldError(
                parameter or "", f"{given[:60]!r}: lowercase letters, digits and -, 128 at most"
            )
        return given or None

    async def get(self, call: Call) -> JsonObject:
        """Gets a job."""
        as_of, clock = await moment_of(call)
        return await self._shown(call, await call.job(self.name(call), as_of, clock))

    async def list_jobs(self, call: Call) -> JsonObject:
        """Lists jobs, filtered, ordered and masked as requested."""
        mask = parse_mask(call.query.get("readMask", ""), "readMask")
        check_fields(mask, self._api.fields(self.resource.message), "readMask")
        scope = collection_of(parent_of(call), self.resource.collection)
        order = self._order_by(call.query.get("orderBy", ""))
        page = await page_of_jobs(
            call, scope, self._translate, (DEFAULT_PAGE_SIZE, MAX_PAGE), order
        )
        jobs = [select(await self._shown(call, job, listed=True), mask) for job in page.jobs]
        return bare({self.resource.collection: jobs, "nextPageToken": page.next_page_token or None})

    async def cancel(self, call: Call) -> JsonObject:
        """Cancels a job."""
        call.expect_no_fields()
        await call.ledger.cancel(self.name(call), cancelled_by(call), **call.about)
        return {}

    async def delete(self, call: Call) -> JsonObject:
        """Deletes a job; the answer is an operation."""
        name = self.name(call)
        await call.ledger.delete(name, stop=self.resource.deleted_live, **call.about)
        return await operations.begun(call, name, "Delete", self.version)

    async def pause(self, call: Call) -> JsonObject:
        """Pauses a job; a paused job stays as it is."""
        call.expect_no_fields()
        job = await call.job(self.name(call))
        if job.state is not JobState.PAUSED:
            check_running(job, "Paused")
            await call.ledger.pause(job.name, **call.about)
        return {}

    async def resume(self, call: Call) -> JsonObject:
        """Resumes a job, which is RUNNING at once; the next monitoring begins by the schedule."""
        call.expect_no_fields()
        await call.ledger.resume(self.name(call), running=True, **call.about)
        return {}

    async def patch(self, call: Call) -> JsonObject:
        """Begins an update, whose operation ends when a worker reports the outcome; labels alone are changed at once."""
        body = self._api.parse(self.resource.message, call.body)
        check_display_name(body)
        paths = self._patched(call, body)
        name = self.name(call)
        for _ in range(MAX_TRIES):
            try:
                return await self._patch(call, await call.job(name), body, paths)
            except EtagMismatchError:
                continue  # The job changed since it was read, so the patch is applied to the current job.
        raise EtagMismatchError(name)

    async def _patch(self, call: Call, job: Job, body: JsonObject, paths: Paths) -> JsonObject:
        merged = merge({**job.spec, "labels": google_labels(job.labels)}, body, paths)
        asked = parse_google_labels(merged.pop("labels", {}))
        labels = None
        if any(path[0] == "labels" for path in paths):
            labels = from_google(asked, job.labels)
        if labels is not None and all(path[0] == "labels" for path in paths):
            changed = await call.ledger.change_labels(job.name, labels, job.etag, **call.about)
            if changed.version == job.version:
                return await operations.without_event(call, "Update", [job.name], self.version)
            return await operations.begun(call, job.name, "Update", self.version)
        check_running(job, "Updating")
        await call.ledger.update(job.name, merged, labels, job.etag, **call.about)
        return await operations.begun(call, job.name, "Update", self.version)

    async def _shown(self, call: Call, job: Job, *, listed: bool = False) -> JsonObject:
        decrypted = await call.ledger.decrypted(job)
        return shown(self.resource, decrypted, self.version, listed=listed)

    def _patched(self, call: Call, body: JsonObject) -> Paths:
        """Returns the mask's paths: all for `*`, and without a mask those of the fields that were sent."""
        paths = parse_mask(call.query.get("updateMask", ""), "updateMask")
        if ("*",) in paths:
            paths = tuple((field,) for field in sorted(PATCHED))
        paths = paths or tuple((field,) for field in body if field in PATCHED)
        if not paths:
            raise InvalidFieldError(
                "updateMask",
                f"names no field, and the body has none of {', '.join(sorted(PATCHED))}",
            )
        for path in paths:
            if path[0] not in PATCHED:
                can = ", ".join(sorted(PATCHED))
                raise InvalidFieldError(
                    "updateMask", f"{'.'.join(path)} cannot be patched; {can} can be"
                )
        # A list is replaced as a whole, even if the mask names a part of it.
        lists = "modelDeploymentMonitoringObjectiveConfigs"
        return tuple(dict.fromkeys((lists,) if path[0] == lists else path for path in paths))

    def name(self, call: Call) -> str:
        """Returns the name of the job that a call is about."""
        return f"{parent_of(call)}/{self.resource.collection}/{call.ids[2]}"

    def _translate(self, restriction: Restriction) -> Filter:
        """Translates a comparison with a field of the resource, in snake or camel case."""
        first, *rest = restriction.field
        field = camel(first)
        if field in {self.resource.state_field, "state"}:
            return in_states(restriction, self.resource.states)
        if field == "labels" and len(rest) <= 1:
            return restriction._replace(field=(GOOGLE_LABELS, *rest))
        if field == "displayName" or field in TIMES:
            return restriction
        if field == "name":
            return restriction
        path = ELSEWHERE.get(field)
        if path is None:
            asked = ".".join(restriction.field)
            raise InvalidFieldError(
                "filter", f"there is no field {asked!r}{did_you_mean(asked, self._filter_fields())}"
            )
        return restriction._replace(field=(*path, *map(camel, rest)))

    def _filter_fields(self) -> list[str]:
        return [
            "name",
            "displayName",
            "labels",
            self.resource.state_field,
            *sorted(TIMES),
            *ELSEWHERE,
        ]

    def _order_by(self, text: str) -> str:
        """Translates `orderBy` (AIP-132) by times and the display name; raises InvalidFieldError."""
        for part in text.split(",") if text.strip() else ():
            field = camel(part.split()[0]) if part.split() else ""
            if field not in TIMES | {"displayName"}:
                raise InvalidFieldError(
                    "orderBy", f"{part.strip()[:60]!r}: by times and displayName"
                )
        return text


def parent_of(call: Call) -> str:
    """Returns the location that a call is about."""
    return f"projects/{call.ids[0]}/locations/{call.ids[1]}"
