"""IAM policies of jobs: each is an event of the job, so that the audit trail shows who changed it, and when."""

import base64
from typing import Final

from jobledger.domain.errors import EtagMismatchError, InvalidFieldError, JobNotFoundError
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.eventstore.stored_event import RecordedEvent, up_to
from jobledger.infra.google.wire import messages
from jobledger.infra.google.wire.calls import Call, moment_of
from jobledger.infra.google.wire.masks import check_fields, merge, parse_mask

API: Final = messages.load("ml_v1")
VERSIONS: Final = {0, 1, 3}
CHANGED: Final = "PolicyChanged"
DEFAULT_MASK: Final = "bindings"
"""The fields that a request without a mask changes; its etag is always compared."""


async def get_policy(call: Call) -> JsonObject:
    """Gets the IAM policy of a job (getIamPolicy)."""
    if call.number("options.requestedPolicyVersion") not in VERSIONS:
        raise InvalidFieldError("options.requestedPolicyVersion", "must be 0, 1 or 3")
    as_of, clock = await moment_of(call)
    name = _name(call)
    if as_of is None:
        await call.job(name)
        return _policy(await call.ledger.history(name))
    until = await call.ledger.moment(as_of, clock, name)
    await call.job(name, until)
    return _policy(up_to(await call.ledger.history(name), until))


async def set_policy(call: Call) -> JsonObject:
    """Replaces the IAM policy of a job (setIamPolicy)."""
    body = API.parse("SetIamPolicyRequest", call.body)
    name = _name(call)
    job = await call.job(name)
    history = await call.ledger.history(name)
    before = {**_recorded(history), "etag": _etag(history)}
    if "policy" not in body:
        raise InvalidFieldError("policy", "is missing; {} is a policy without bindings")
    policy = body["policy"]
    if (policy.get("etag") or before["etag"]) != before["etag"]:
        raise EtagMismatchError(name)
    paths = parse_mask(body.get("updateMask") or DEFAULT_MASK, "updateMask")
    check_fields(paths, API.fields("Policy"), "updateMask")
    # The version determines how the bindings are read, so it is changed with them.
    merged = policy if ("*",) in paths else merge(before, policy, (*paths, ("version",)))
    new_policy = {key: value for key, value in merged.items() if key != "etag"}
    # The job's etag is passed on, so that a concurrent policy is not overwritten.
    await call.ledger.change_policy(name, new_policy, job.etag, **call.about)
    return _policy(await call.ledger.history(name))


async def test_permissions(call: Call) -> JsonObject:
    """Returns the requested permissions (testIamPermissions); none if the job does not exist. Policies are not enforced."""
    body = API.parse("TestIamPermissionsRequest", call.body)
    try:
        await call.job(_name(call))
    except JobNotFoundError:
        return {}
    asked = body.get("permissions", [])
    if any("*" in permission for permission in asked):
        raise InvalidFieldError("permissions", "has a wildcard; name each permission in full")
    return {"permissions": asked} if asked else {}


def _policy(events: list[RecordedEvent]) -> JsonObject:
    """Returns the last policy, limited to the fields of Google's message, because other callers may record any JSON."""
    return {**API.read("Policy", _recorded(events), output=True), "etag": _etag(events)}


def _recorded(events: list[RecordedEvent]) -> JsonObject:
    last = _last_change(events)
    policy = {} if last is None else last.json.get("policy")
    return policy if isinstance(policy, dict) else {}


def _etag(events: list[RecordedEvent]) -> str:
    """Returns the etag of the last event that changed the policy."""
    last = _last_change(events)
    version = 0 if last is None else last.version
    return base64.b64encode(version.to_bytes(4, "big")).decode()


def _last_change(events: list[RecordedEvent]) -> RecordedEvent | None:
    return next((event for event in reversed(events) if event.type == CHANGED), None)


def _name(call: Call) -> str:
    return f"{call.project}/jobs/{call.ids[1]}"
