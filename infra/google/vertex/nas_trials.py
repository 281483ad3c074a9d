"""Reported trials of NAS jobs."""

from typing import Any

from jobledger.domain.errors import InvalidFieldError, JobNotFoundError
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.google.vertex.jobs import DEFAULT_PAGE_SIZE, MAX_PAGE, parent_of
from jobledger.infra.google.vertex.versions import Version
from jobledger.infra.google.wire.calls import Call, moment_of
from jobledger.infra.google.wire.resources import bare, reported_fields


async def trial(version: Version, call: Call) -> JsonObject:
    """Gets one reported trial of a NAS job (nasTrialDetails.get)."""
    wanted = f"{_nas_job(call)}/nasTrialDetails/{call.ids[3]}"
    found = next((t for t in await _trials(version, call) if t.get("name") == wanted), None)
    if found is None:
        raise JobNotFoundError(wanted)
    return found


async def trials(version: Version, call: Call) -> JsonObject:
    """Lists the trials of a NAS job (nasTrialDetails.list)."""
    size, offset = (
        call.page_size(DEFAULT_PAGE_SIZE, MAX_PAGE),
        _offset(call.query.get("pageToken", "")),
    )
    found = await _trials(version, call)
    token = str(offset + size) if len(found) > offset + size else None
    return bare({"nasTrialDetails": found[offset : offset + size], "nextPageToken": token})


async def _trials(version: Version, call: Call) -> list[JsonObject]:
    as_of, clock = await moment_of(call)
    job = await call.ledger.decrypted(await call.job(_nas_job(call), as_of, clock))
    reported: Any = (job.output or {}).get("nasTrialDetails")
    return [
        {
            **reported_fields(version.api, "NasTrialDetail", one),
            "name": f"{job.name}/nasTrialDetails/{one.get('id', number)}",
        }
        for number, one in enumerate(reported if isinstance(reported, list) else ())
        if isinstance(one, dict)
    ]


def _offset(token: str) -> int:
    if token and not (token.isascii() and token.isdecimal() and len(token) <= 9):
        raise InvalidFieldError(
            "pageToken", "is not a token of this ledger; leave it out for the first page"
        )
    return int(token or 0)


def _nas_job(call: Call) -> str:
    return f"{parent_of(call)}/nasJobs/{call.ids[2]}"
