"""Output-only fields: a client's body, and a spec from any other surface, never sets one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import httpx
import pytest
from jobledger.domain.job import Job
from jobledger.domain.states import JobState
from jobledger.infra.google.labeling import methods as labeling
from jobledger.infra.google.ml import job_fields as ml
from jobledger.infra.google.vertex.resources import RESOURCES, shown
from jobledger.infra.google.vertex.versions import V1, V1BETA1
from jobledger.infra.google.wire.messages import Api

from tests.evaluation_jobs import spec_of
from tests.servers import Server

MARK = "set by the client"
SCALARS: dict[str, Any] = {
    "any": {"@type": "type.googleapis.com/google.rpc.RequestInfo", "requestId": MARK},
    "bool": True,
    "bytes": "c2V0IGJ5IHRoZSBjbGllbnQ=",
    "double": 4711.5,
    "duration": "4711s",
    "float": 4711.5,
    "int32": 4711,
    "int64": "4711",
    "string": MARK,
    "timestamp": "2001-02-03T04:05:06Z",
    "uint64": "4711",
    "value": MARK,
}


class Path(NamedTuple):
    """A field that is output only, and the fields that it is within, outermost first."""

    fields: tuple[str, ...]
    types: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(self.fields)


def output_only(api: Api, message: str, within: Path | None = None) -> Iterator[Path]:
    """Every output-only field of a message, and of the messages in the fields that are not."""
    within = within or Path((), ())
    seen = {type_of(type_) for type_ in within.types}
    for field, type_ in api.fields(message).items():
        path = Path((*within.fields, field), (*within.types, type_))
        if field in api.read_only(message):
            yield path
        elif is_message(api, type_of(type_)) and type_of(type_) not in seen:
            yield from output_only(api, type_of(type_), path)


def type_of(type_: str) -> str:
    """What a list or a map is of."""
    while type_.startswith(("[", "map<")):
        type_ = type_.removeprefix("[").removeprefix("map<")[:-1]
    return type_


def is_message(api: Api, type_: str) -> bool:
    try:
        api.fields(type_)
    except KeyError:
        return False
    return True


def wrapped(type_: str, value: Any) -> Any:
    """The value as that type holds it: in a list, or in a map."""
    if type_.startswith("["):
        return [wrapped(type_[1:-1], value)]
    if type_.startswith("map<"):
        return {"k": wrapped(type_[4:-1], value)}
    return value


def value_of(api: Api, type_: str, depth: int = 3) -> Any:
    """Returns a minimal value of the type."""
    inner = type_of(type_)
    if inner in SCALARS:
        return wrapped(type_, SCALARS[inner])
    if not is_message(api, inner):
        return wrapped(type_, list(api._enums[inner])[-1])
    fields = api.fields(inner).items() if depth else ()
    one = next(((k, t) for k, t in fields if type_of(t) in SCALARS), None)
    one = one or next(iter(fields), None)
    return wrapped(type_, {} if one is None else {one[0]: value_of(api, one[1], depth - 1)})


def body_with(api: Api, path: Path) -> dict[str, Any]:
    value = value_of(api, path.types[-1])
    for field, type_ in reversed(list(zip(path.fields[1:], path.types[:-1], strict=True))):
        value = wrapped(type_, {field: value})
    return {path.fields[0]: value}


def found_at(resource: Any, path: Path) -> list[Any]:
    """Returns the resource's value at a path, through lists and maps."""
    found = [resource]
    for field, type_ in zip(path.fields, path.types, strict=True):
        found = [one[field] for one in found if isinstance(one, dict) and field in one]
        for _ in range(type_.count("[") + type_.count("map<")):
            found = [v for one in found for v in (one if isinstance(one, list) else one.values())]
    return found


class Root(NamedTuple):
    """A message of a job, and how to get it."""

    api: Api
    message: str
    version: str
    parent: str
    """`projects/P` and what follows, up to the collection."""
    collection: str
    show: Callable[[Job], Any]

    def __str__(self) -> str:
        return f"{self.version}.{self.message}"

    @property
    def name(self) -> str:
        return f"{self.parent}/{self.collection}/real_id".replace("projects/P", "projects/p")


LOCATION = "projects/P/locations/l"
ROOTS = [
    Root(ml.API, "Job", "v1", "projects/P", "jobs", ml.resource),
    Root(labeling.API, "EvaluationJob", "v1beta1", "projects/P", "evaluationJobs", labeling.resource),
    *(
        Root(
            v.api, r.message, v.path, LOCATION, r.collection, partial(shown, r, version=v)
        )
        for v in (V1, V1BETA1)
        for r in RESOURCES.values()
    ),
]  # fmt: skip
EVERY_ROOT = pytest.mark.parametrize("root", ROOTS, ids=str)


@pytest.mark.slow
@EVERY_ROOT
@pytest.mark.parametrize("state", ["QUEUED", "SUCCEEDED", "FAILED"])
def test_a_spec_sets_no_output_only_field(root: Root, state: str) -> None:
    bare = Job(name=root.name, version=1, state=JobState[state])
    for path in output_only(root.api, root.message):
        body = body_with(root.api, path)
        assert found_at(body, path), path
        accepted = root.api.parse(root.message, body)
        assert found_at(accepted, path) == [], path
        for spec in (body, accepted):
            resource = root.show(bare.model_copy(update={"spec": spec}))
            assert found_at(resource, path) == found_at(root.show(bare), path), path


def test_every_message_has_output_only_fields_some_of_them_within_others() -> None:
    depths = {str(r): [len(p.fields) for p in output_only(r.api, r.message)] for r in ROOTS}
    assert all(depths.values())
    assert max(map(max, depths.values())) > 1


def created(client: httpx.Client, root: Root, project: str, body: Any) -> str:
    """The name of a job that the dialect's own create makes of the body."""
    wrapped_body = {"Job": {"jobId": "own_1", **body}, "EvaluationJob": {"job": spec_of() | body}}
    parent = root.parent.replace("/P", f"/{project}")
    answer = client.post(
        f"/{root.version}/{parent}/{root.collection}", json=wrapped_body.get(root.message, body)
    )
    assert answer.status_code == 200, answer.text
    content = answer.json()
    return str(content.get("response", content).get("name") or f"{parent}/jobs/{content['jobId']}")


@pytest.mark.slow
@EVERY_ROOT
def test_what_is_listed_can_be_got_and_is_what_was_created(
    server: Server, project: str, root: Root
) -> None:
    top = [path for path in output_only(root.api, root.message) if len(path.fields) == 1]
    body = {path.fields[0]: value_of(root.api, path.types[0]) for path in top}
    parent = root.parent.replace("/P", f"/{project}")
    with server.client() as client:
        own = created(client, root, project, body)
        name = f"{parent}/{root.collection}/real_id"
        spec = {**body, "jobId": "another", "name": "another"}
        made = client.post(f"/ledger/v1/{name}:create", json={"spec": spec})
        assert made.status_code == 200, made.text
        listed = client.get(f"/{root.version}/{parent}/{root.collection}").json()[root.collection]
        names = [job.get("name") or f"{parent}/jobs/{job['jobId']}" for job in listed]
        assert sorted(names) == sorted([own, name])
        for job, full in zip(listed, names, strict=True):
            assert client.get(f"/{root.version}/{full}").json() == job
            assert not [p for p in top if found_at(job, p) == found_at(body, p)]
