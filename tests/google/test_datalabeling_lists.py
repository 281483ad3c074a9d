"""Evaluation jobs of Data Labeling v1beta1, changed and listed by Google's own client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jobledger.domain.states import JobState as S

from tests.clients import ENDED, EVERY_STATE, bring, discovered, refusal_of
from tests.google.test_datalabeling import CONFIG, evaluation, make
from tests.servers import Server

VALUES = {
    f"{CONFIG}.humanAnnotationConfig.instruction": "projects/p/instructions/9",
    f"{CONFIG}.exampleCount": 5,
    f"{CONFIG}.exampleSamplePercentage": 0.25,
}
"""The paths that a mask may name, and a new value for each."""


@pytest.fixture(scope="module")
def jobs(server: Server) -> Iterator[Any]:
    with discovered("datalabeling", "v1beta1", server) as made:
        yield made.projects().evaluationJobs()


@pytest.fixture
def parent(project: str) -> str:
    return f"projects/{project}"


@pytest.fixture
def name(jobs: Any, parent: str) -> str:
    return make(jobs, parent)


def nested(path: str, value: Any) -> dict[str, Any]:
    """`a.b` as {"a": {"b": value}}."""
    for part in reversed(path.split(".")):
        value = {part: value}
    return dict(value)


def at(job: Any, path: str) -> Any:
    for part in path.split("."):
        job = job.get(part, {})
    return job


def snake(path: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in path)


# Patch


@pytest.mark.parametrize("path", VALUES)
def test_a_mask_names_what_changes(jobs: Any, name: str, path: str) -> None:
    before = jobs.get(name=name).execute()
    for mask in (path, snake(path)):
        body = nested(path, VALUES[path]) | {"description": "not in the mask"}
        after = jobs.patch(name=name, updateMask=mask, body=body).execute()
        assert at(after, path) == VALUES[path]
        assert after["description"] == before["description"]
        others = [p for p in VALUES if p != path]
        assert [at(after, p) for p in others] == [at(before, p) for p in others]
        assert jobs.get(name=name).execute() == after
    # What the body does not have is gone afterwards.
    assert at(jobs.patch(name=name, updateMask=path, body={}).execute(), path) == {}


def test_all_that_can_change_may_do_so_at_once(jobs: Any, server: Server, name: str) -> None:
    config = {"exampleCount": 7, "exampleSamplePercentage": 1,
              "humanAnnotationConfig": {"instruction": "i", "replicaCount": 5}}  # fmt: skip
    mask = ",".join(VALUES)
    after = jobs.patch(name=name, updateMask=mask, body={CONFIG: config}).execute()
    assert [at(after, path) for path in VALUES] == ["i", 7, 1]
    assert after[CONFIG]["humanAnnotationConfig"]["replicaCount"] == 3  # The mask has it not.
    size = server.ledger.size()
    assert jobs.patch(name=name, updateMask=mask, body={CONFIG: config}).execute() == after
    assert server.ledger.size() == size  # It was so already.


def test_without_a_mask_what_was_sent_and_can_change_does(jobs: Any, name: str) -> None:
    body = {"description": "other", "schedule": "every 48 hours", CONFIG: {"exampleCount": 9}}
    after = jobs.patch(name=name, body=body).execute()
    assert after[CONFIG]["exampleCount"] == 9
    assert after[CONFIG]["exampleSamplePercentage"] == 0.1
    assert (after["description"], after["schedule"]) == ("how good it is", "every 24 hours")
    assert refusal_of(jobs.patch(name=name, body={"description": "x"}))[:2] == (
        400,
        "INVALID_ARGUMENT",
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "mask", ["description", "schedule", CONFIG, "modelVersion", "*", f"{CONFIG}.exampleCount,state", "no", f"{CONFIG}.",
             f"{CONFIG}.humanAnnotationConfig", f"{CONFIG}.humanAnnotationConfig.replicaCount", "job", " ,"]
)  # fmt: skip
def test_nothing_else_can_change(jobs: Any, server: Server, name: str, mask: str) -> None:
    before = server.ledger.size()
    body = {"description": "other"}
    refused = refusal_of(jobs.patch(name=name, updateMask=mask, body=body))
    assert refused[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert refused.message.startswith("updateMask: ")
    assert server.ledger.size() == before


@pytest.mark.parametrize("value", [{"exampleCount": -1}, {"exampleSamplePercentage": 1.5}])
def test_a_value_is_as_at_creation(jobs: Any, name: str, value: dict[str, Any]) -> None:
    [field] = value
    refused = refusal_of(
        jobs.patch(name=name, updateMask=f"{CONFIG}.{field}", body={CONFIG: value})
    )
    assert refused[:2] == (400, "INVALID_ARGUMENT")
    assert refused.message.startswith(f"{CONFIG}.{field}: ")


@pytest.mark.slow
@EVERY_STATE
def test_a_live_job_can_be_changed(jobs: Any, server: Server, name: str, state: S) -> None:
    bring(server, name, state)
    request = jobs.patch(name=name, body={CONFIG: {"exampleCount": 9}})
    if state in ENDED:
        assert refusal_of(request)[:2] == (400, "FAILED_PRECONDITION")
    else:
        assert request.execute()[CONFIG]["exampleCount"] == 9
        assert server.ledger.get(name).state is state


# Lists


@pytest.fixture(scope="module")
def fleet(jobs: Any, server: Server) -> dict[str, str]:
    """Jobs of two models by their ids, in the states there are."""
    parent = "projects/filters-of-labeling"
    names = {f"{model}{n}": make(jobs, parent, model) for model in ("cats", "dogs") for n in (1, 2)}
    bring(server, names["cats1"], S.RUNNING)
    bring(server, names["dogs1"], S.PAUSED)
    bring(server, names["dogs2"], S.FAILED)
    return {name: id_ for id_, name in names.items()} | {parent: "parent"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ("evaluation_job.state = SCHEDULED", "cats2"),
        ("evaluation_job.state = RUNNING", "cats1"),
        ("evaluation_job.state = PAUSED", "dogs1"),
        ("evaluation_job.state = STOPPED", "dogs2"),
        ("evaluation_job.state != STOPPED", "cats1 cats2 dogs1"),
        ("evaluation_job.model_id = cats", "cats1 cats2"),
        ("evaluation_job.model_id = cat", ""),
        ("evaluation_job.model_id = ca*", "cats1 cats2"),
        ("evaluation_job.model_id : *gs", "dogs1 dogs2"),
        ("evaluation_job.model_id : *", "cats1 cats2 dogs1 dogs2"),
        ("evaluation_job.model_id != cats", "dogs1 dogs2"),
        ("evaluation_job.model_id = dogs AND evaluation_job.state = PAUSED", "dogs1"),
        ("evaluation_job.model_id = cats OR evaluation_job.state = PAUSED", "cats1 cats2 dogs1"),
        ('evaluation_job.modelId = "dogs" AND NOT evaluationJob.state = "PAUSED"', "dogs2"),
        ("", "cats1 cats2 dogs1 dogs2"),
    ],
)  # fmt: skip
def test_a_filter_finds_the_matching_resources(
    jobs: Any, fleet: dict[str, str], filter: str, found: str
) -> None:
    listed = jobs.list(parent="projects/filters-of-labeling", filter=filter).execute()
    ids = [fleet[job["name"]] for job in listed.get("evaluationJobs", [])]
    assert ids == found.split()[::-1]


@pytest.mark.parametrize(
    "filter",
    ["evaluation_job.state = QUEUED", "evaluation_job.colour = red", "description = x", "evaluation_job.state < PAUSED",
     "evaluation_job.model_id > a", "evaluation_job = x", "evaluation_job.state =", "evaluation_job.state.x = y"],
)  # fmt: skip
def test_an_invalid_filter_is_refused(jobs: Any, parent: str, filter: str) -> None:
    refused = refusal_of(jobs.list(parent=parent, filter=filter))
    assert refused[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert refused.message.startswith("filter: ")


@pytest.mark.slow
def test_pages_show_each_job_once_while_others_are_made(
    jobs: Any, server: Server, parent: str
) -> None:
    names = [f"{parent}/evaluationJobs/{n}" for n in range(250)]
    for name in names:
        server.ledger.create(name, {}, evaluation())
    seen, sizes = list[str](), list[int]()
    request = jobs.list(parent=parent)
    while request is not None:
        page = request.execute()
        seen += [job["name"] for job in page["evaluationJobs"]]
        sizes.append(len(page["evaluationJobs"]))
        make(jobs, parent)
        request = jobs.list_next(request, page)
    assert sizes == [100, 100, 50]
    assert seen == names[::-1]
    assert len(jobs.list(parent=parent, pageSize=7).execute()["evaluationJobs"]) == 7
    assert refusal_of(jobs.list(parent=parent, pageSize=-1))[:2] == (400, "INVALID_ARGUMENT")


def test_a_list_of_nothing_is_empty(jobs: Any, server: Server, parent: str) -> None:
    server.ledger.create(f"{parent}/jobs/j")
    assert jobs.list(parent=parent).execute() == {}
