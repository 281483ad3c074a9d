"""Annotation spec sets of Data Labeling v1beta1, over HTTP and gRPC with Google's own clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jobledger.infra import Ledger
from jobledger.infra.evaluation.samples.spec_sets import find_spec_set

from tests.clients import discovered, refusal_of
from tests.evaluation_jobs import make_job, spec_of
from tests.grpc_clients import Clients, as_raw, refusal
from tests.servers import Server

PETS = {
    "displayName": "pets",
    "description": "who is on the picture",
    "annotationSpecs": [{"displayName": "cat", "description": "meows"}, {"displayName": "dog"}],
}


@pytest.fixture(scope="module")
def ledger(server: Server) -> Ledger:
    return server.ledger


@pytest.fixture(scope="module")
def sets(server: Server) -> Iterator[Any]:
    with discovered("datalabeling", "v1beta1", server) as made:
        yield made.projects().annotationSpecSets()


@pytest.fixture
def parent(project: str) -> str:
    return f"projects/{project}"


def make(sets: Any, parent: str, **expected: Any) -> dict[str, Any]:
    body = {"annotationSpecSet": PETS | expected}
    made: dict[str, Any] = sets.create(parent=parent, body=body).execute()
    return made


def labels(ledger: Ledger, name: str) -> list[str] | None:
    with ledger.connection() as connection:
        return find_spec_set(connection, name)


def test_a_set_is_made_with_the_indexes_of_its_labels(
    sets: Any, google: Clients, ledger: Ledger, parent: str
) -> None:
    from google.protobuf import json_format

    made = make(sets, parent)
    collection, _, number = made["name"].rpartition("/")
    assert (collection, number.isdecimal()) == (f"{parent}/annotationSpecSets", True)
    cat, dog = PETS["annotationSpecs"]
    specs = [{**cat, "index": 0}, {**dog, "index": 1}]  # type: ignore[dict-item]
    assert made == PETS | {"name": made["name"], "annotationSpecs": specs}
    assert sets.get(name=made["name"]).execute() == made
    expected = google.labeling.get_annotation_spec_set(name=made["name"])
    assert as_raw(expected) == json_format.ParseDict(
        made, google.d.AnnotationSpecSet.pb()(), ignore_unknown_fields=True
    )
    assert labels(ledger, made["name"]) == ["cat", "dog"]
    assert make(sets, parent)["name"] != made["name"]


def test_the_life_of_a_set_over_grpc(google: Clients, ledger: Ledger, parent: str) -> None:
    labeling = google.labeling
    asked = {
        "display_name": "s",
        "annotation_specs": [{"display_name": "a"}, {"display_name": "b"}],
    }
    made = labeling.create_annotation_spec_set(parent=parent, annotation_spec_set=asked)
    assert [spec.display_name for spec in made.annotation_specs] == ["a", "b"]
    assert list(labeling.list_annotation_spec_sets(parent=parent)) == [made]
    assert labels(ledger, made.name) == ["a", "b"]
    labeling.delete_annotation_spec_set(name=made.name)
    refusal("NotFound", labeling.get_annotation_spec_set, name=made.name)
    assert list(labeling.list_annotation_spec_sets(parent=parent)) == []
    refusal("InvalidArgument", labeling.list_annotation_spec_sets, parent=parent, filter="x")
    create = labeling.create_annotation_spec_set
    refusal("InvalidArgument", create, {"parent": parent})
    refusal("InvalidArgument", create, {"parent": parent, "annotation_spec_set": {}})


def test_output_only_fields_are_ignored(sets: Any, parent: str) -> None:
    specs = [{"displayName": "cat", "index": 7}]
    made = make(sets, parent, name="x/y", blockingResources=["z"], annotationSpecs=specs)
    assert made["name"].startswith(f"{parent}/annotationSpecSets/")
    assert made["annotationSpecs"] == [{"displayName": "cat", "index": 0}]
    assert "blockingResources" not in made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entries", "field"),
    [
        ({"displayName": ""}, "displayName"),
        ({"displayName": "x" * 65}, "displayName"),
        ({"displayName": 1}, "displayName"),
        ({"description": "x" * 10_001}, "description"),
        ({"annotationSpecs": []}, "annotationSpecs"),
        ({"annotationSpecs": [{"displayName": f"l{n}"} for n in range(2_001)]}, "annotationSpecs"),
        ({"annotationSpecs": [{"displayName": "a"}, {}]}, "annotationSpecs[1].displayName"),
        ({"annotationSpecs": [{"displayName": "x" * 65}]}, "annotationSpecs[0].displayName"),
        ({"annotationSpecs": [{"displayName": "a", "description": "x" * 10_001}]}, "annotationSpecs[0].description"),
        ({"annotationSpecs": [{"displayName": "a"}, {"displayName": "a"}]}, "annotationSpecs[1].displayName"),
        ({"colour": "red"}, "colour"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_values_outside_the_reference_are_refused(
    sets: Any, parent: str, entries: dict[str, Any], field: str
) -> None:
    refused = refusal_of(sets.create(parent=parent, body={"annotationSpecSet": PETS | entries}))
    assert refused[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert refused.message.startswith(f"annotationSpecSet.{field}: ")
    assert sets.list(parent=parent).execute() == {}


@pytest.mark.slow
def test_the_most_that_is_accepted(sets: Any, ledger: Ledger, parent: str) -> None:
    specs = [{"displayName": f"{n:064}", "description": "x" * 1_000} for n in range(2_000)]
    made = make(sets, parent, displayName="ü" * 64, description="x" * 10_000, annotationSpecs=specs)
    assert labels(ledger, made["name"]) == [spec["displayName"] for spec in specs]


@pytest.mark.parametrize(
    "body", [{}, PETS, {"annotationSpecSet": PETS, "name": "x"}, {"annotationSpecSet": []}]
)
def test_a_body_is_of_one_field(sets: Any, parent: str, body: Any) -> None:
    assert refusal_of(sets.create(parent=parent, body=body))[:2] == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("name", ["1", "x", "1234567890123456"])
def test_a_missing_set_is_not_found(sets: Any, parent: str, name: str) -> None:
    unknown = f"{parent}/annotationSpecSets/{name}"
    for request in (sets.get(name=unknown), sets.delete(name=unknown)):
        assert refusal_of(request)[:3] == (404, "NOT_FOUND", "SPEC_SET_NOT_FOUND")


def test_odd_projects_have_no_sets(google: Clients) -> None:
    labeling = google.labeling
    for odd in ("p\0", "p q", "-"):
        asked = {"parent": f"projects/{odd}"}
        refusal("InvalidArgument", labeling.list_annotation_spec_sets, asked)
        made = {"display_name": "s", "annotation_specs": [{"display_name": "a"}]}
        refusal(
            "InvalidArgument",
            labeling.create_annotation_spec_set,
            asked | {"annotation_spec_set": made},
        )


def test_sets_are_listed_by_pages_the_newest_first(sets: Any, parent: str) -> None:
    made = [make(sets, parent, displayName=str(n)) for n in range(7)]
    make(sets, f"{parent}x")
    assert sets.list(parent=parent).execute() == {"annotationSpecSets": made[::-1]}
    seen, request = list[Any](), sets.list(parent=parent, pageSize=3)
    while request is not None:
        page = request.execute()
        assert len(page["annotationSpecSets"]) == (3 if page.get("nextPageToken") else 1)
        seen += page["annotationSpecSets"]
        make(sets, parent)
        request = sets.list_next(request, page)
    assert seen == made[::-1]


def test_a_page_token_is_good_for_its_own_list(sets: Any, parent: str) -> None:
    for n in range(2):
        make(sets, parent, displayName=str(n))
    token = sets.list(parent=parent, pageSize=1).execute()["nextPageToken"]
    for asked in (
        {"pageToken": "x"}, {"pageToken": f"{token}x"}, {"pageSize": -1}, {"filter": "displayName = a"},
        {"parent": f"{parent}x", "pageToken": token},
    ):  # fmt: skip
        refused = refusal_of(sets.list(**{"parent": parent} | asked))
        assert refused[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")


def test_a_set_is_kept_while_a_job_that_may_run_has_it(
    sets: Any, google: Clients, ledger: Ledger, parent: str, project: str
) -> None:
    name = make(sets, parent)["name"]
    jobs = [make_job(ledger, spec_of(spec_set=name), project) for _ in range(3)]
    make_job(ledger, spec_of(spec_set=f"{name}0"), project)
    ledger.pause(jobs[0])
    ledger.started(jobs[2])
    ledger.failed(jobs[2], "no")  # It is STOPPED.
    assert sets.get(name=name).execute()["blockingResources"] == sorted(jobs[:2])
    [listed] = sets.list(parent=parent).execute()["annotationSpecSets"]
    assert listed["blockingResources"] == sorted(jobs[:2])
    for left in (2, 1):
        first = min(jobs[2 - left : 2])
        refused = refusal_of(sets.delete(name=name))
        assert refused[:3] == (400, "FAILED_PRECONDITION", "SPEC_SET_USED")
        assert first in refused.message
        error = refusal("FailedPrecondition", google.labeling.delete_annotation_spec_set, name=name)
        assert error.metadata == {"name": name, "job": first}
        ledger.delete(jobs[2 - left], stop=True)
    assert sets.delete(name=name).execute() == {}
    assert labels(ledger, name) is None
    assert refusal_of(sets.get(name=name))[:2] == (404, "NOT_FOUND")
    assert refusal_of(sets.delete(name=name))[:2] == (404, "NOT_FOUND")
