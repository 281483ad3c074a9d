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
from jobledger.infra.google.ml import methods as ml
from jobledger.infra.google.vertex.resources import API as VERTEX
from jobledger.infra.google.vertex.resources import RESOURCES, shown
from jobledger.infra.google.wire.messages import Api

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
    """Some value of the type, with as little in it as makes it be something."""
    inner = type_of(type_)
    if inner in SCALARS:
        return wrapped(type_, SCALARS[inner])
    if not is_message(api, inner):
        return wrapped(type_, list(api.enum(inner))[-1])
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
    """What the resource has there, through lists and maps."""
    found = [resource]
    for field, type_ in zip(path.fields, path.types, strict=True):
        found = [one[field] for one in found if isinstance(one, dict) and field in one]
        for _ in range(type_.count("[") + type_.count("map<")):
            found = [v for one in found for v in (one if isinstance(one, list) else one.values())]
    return found


NAMES = {
    "Job": "projects/p/jobs/real_id",
    "EvaluationJob": "projects/p/evaluationJobs/1",
    **{r.message: f"projects/p/locations/l/{r.collection}/1" for r in RESOURCES.values()},
}
ROOTS: dict[str, tuple[Api, Callable[[Job], Any]]] = {
    "Job": (ml.API, ml.resource),
    "EvaluationJob": (labeling.API, labeling.resource),
    **{r.message: (VERTEX, partial(shown, r)) for r in RESOURCES.values()},
}
"""Each message that is a job's, and how a job is shown as it."""
PATHS = [(root, path) for root, (api, _) in ROOTS.items() for path in output_only(api, root)]


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("state", ["QUEUED", "SUCCEEDED", "FAILED"])
def test_a_spec_sets_no_output_only_field(root: str, state: str) -> None:
    api, show = ROOTS[root]
    bare = Job(name=NAMES[root], version=1, state=JobState[state])
    for path in (path for of, path in PATHS if of == root):
        body = body_with(api, path)
        assert found_at(body, path), path
        accepted = api.parse(root, body)
        assert found_at(accepted, path) == [], path
        for spec in (body, accepted):
            resource = show(bare.model_copy(update={"spec": spec}))
            assert found_at(resource, path) == found_at(show(bare), path), path


def test_every_message_has_output_only_fields_at_any_depth() -> None:
    assert {root for root, _ in PATHS} == set(ROOTS)
    assert any(len(path.fields) > 1 for _, path in PATHS)


def created(client: httpx.Client, root: str, project: str, body: Any) -> str:
    """The name of a job that the dialect's own create makes of the body."""
    collection = NAMES[root].rsplit("/", 2)[1]
    match root:
        case "Job":
            asked, path = {"jobId": "own_1", **body}, f"/v1/projects/{project}/jobs"
        case "EvaluationJob":
            asked, path = {"job": body}, f"/v1beta1/projects/{project}/evaluationJobs"
        case _:
            asked, path = body, f"/v1/projects/{project}/locations/l/{collection}"
    answer = client.post(path, json=asked)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    return str(said.get("response", said).get("name") or f"projects/{project}/jobs/{said['jobId']}")


@pytest.mark.parametrize("root", ROOTS)
def test_what_is_listed_can_be_got_and_is_what_was_created(
    server: Server, project: str, root: str
) -> None:
    api, _ = ROOTS[root]
    top = [path for of, path in PATHS if of == root and len(path.fields) == 1]
    body = {path.fields[0]: value_of(api, path.types[0]) for path in top}
    version = "v1beta1" if root == "EvaluationJob" else "v1"
    parent, collection = NAMES[root].replace("projects/p", f"projects/{project}").rsplit("/", 2)[:2]
    with server.client() as client:
        own = created(client, root, project, body)
        name = f"{parent}/{collection}/real_id"
        made = client.post(
            f"/ledger/v1/{name}:create", json={"spec": {**body, "jobId": "no", "name": "no"}}
        )
        assert made.status_code == 200, made.text
        listed = client.get(f"/{version}/{parent}/{collection}").json()[collection]
        names = [job.get("name") or f"{parent}/jobs/{job['jobId']}" for job in listed]
        assert sorted(names) == sorted([own, name])
        for job, full in zip(listed, names, strict=True):
            assert client.get(f"/{version}/{full}").json() == job
            assert not [p for p in top if found_at(job, p) == found_at(body, p)]
