"""AI Platform ml v1 jobs, through Google's own client."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from jobledger.domain.states import JobState as S

from tests.clients import ENDED, EVERY_STATE, ML_STATES, WHY, bring, discovered, refusal_of, tell
from tests.servers import Server


@pytest.fixture(scope="module")
def ml(server: Server) -> Iterator[Any]:
    with discovered("ml", "v1", server) as made:
        yield made


@pytest.fixture(scope="module")
def jobs(ml: Any) -> Any:
    return ml.projects().jobs()


@pytest.fixture
def parent(project: str) -> str:
    return f"projects/{project}"


@pytest.fixture
def name(jobs: Any, parent: str) -> str:
    """A job that was just made."""
    jobs.create(parent=parent, body={"jobId": "train_1", "labels": {"a": "b"}}).execute()
    return f"{parent}/jobs/train_1"


# Create, get


def test_a_job_is_queued_once_it_was_created(jobs: Any, parent: str) -> None:
    made = jobs.create(parent=parent, body={"jobId": "Train_1", "labels": {"a": "b"}}).execute()

    assert made["jobId"] == "Train_1"
    assert made["state"] == "QUEUED"
    assert made["labels"] == {"a": "b"}
    assert made["createTime"].endswith("Z")
    assert len(base64.b64decode(made["etag"], validate=True)) == 8
    assert not {"startTime", "endTime", "errorMessage", "name"} & made.keys()
    shown = jobs.get(name=f"{parent}/jobs/Train_1").execute()
    assert shown == made | {"jobPosition": "1"}


def test_output_only_fields_in_a_body_are_ignored(jobs: Any, parent: str) -> None:
    expected = {"state": "SUCCEEDED", "endTime": "2020-01-01T00:00:00Z", "errorMessage": "no",
            "jobPosition": "9", "etag": "AAAA", "trainingOutput": {"consumedMLUnits": 3}}  # fmt: skip
    made = jobs.create(parent=parent, body={"jobId": "j", **expected}).execute()
    assert made["state"] == "QUEUED"
    assert not {"endTime", "errorMessage", "trainingOutput", "jobPosition"} & made.keys()
    assert made["etag"] != "AAAA"


def test_an_id_can_never_be_used_again(jobs: Any, name: str, parent: str) -> None:
    again = refusal_of(jobs.create(parent=parent, body={"jobId": "train_1"}))
    assert again[:3] == (409, "ALREADY_EXISTS", "JOB_EXISTS")
    jobs.create(parent=parent, body={"jobId": "Train_1"}).execute()  # Another one: case counts.


@pytest.mark.parametrize("job_id", ["1st", "a-b", "_a", "a b", "", "é", "a" * 129, None])
def test_an_id_is_as_the_reference_says(jobs: Any, parent: str, job_id: str | None) -> None:
    refused = refusal_of(jobs.create(parent=parent, body={"jobId": job_id} if job_id else {}))
    assert refused[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert refused.message.startswith("jobId: ")
    jobs.create(parent=parent, body={"jobId": "a" * 128}).execute()


def test_an_unknown_job_is_not_found(jobs: Any, parent: str) -> None:
    unknown = f"{parent}/jobs/unknown"
    for request in (
        jobs.get(name=unknown),
        jobs.cancel(name=unknown, body={}),
        jobs.patch(name=unknown, updateMask="labels", body={}),
        jobs.getIamPolicy(resource=unknown),
        jobs.setIamPolicy(resource=unknown, body={"policy": {}}),
    ):
        assert refusal_of(request)[:3] == (404, "NOT_FOUND", "JOB_NOT_FOUND")


# Patch


def test_labels_are_replaced_whole(jobs: Any, name: str) -> None:
    before = jobs.get(name=name).execute()
    body = {"labels": {"owner": "google", "color": "blue"}}
    after = jobs.patch(name=name, updateMask="labels", body=body).execute()
    assert after["labels"] == body["labels"]
    assert after["etag"] != before["etag"]
    assert jobs.get(name=name).execute() == after
    assert "labels" not in jobs.patch(name=name, updateMask="labels", body={"labels": {}}).execute()


def test_a_patch_with_the_etag_of_just_this_version_is_done(jobs: Any, name: str) -> None:
    for n, mask in enumerate(("labels,etag", "etag,labels", "labels, etag")):
        etag = jobs.get(name=name).execute()["etag"]
        body = {"labels": {"n": str(n)}, "etag": etag}
        assert jobs.patch(name=name, updateMask=mask, body=body).execute()["labels"] == {
            "n": str(n)
        }


def test_a_patch_with_a_stale_etag_is_aborted(jobs: Any, name: str) -> None:
    stale = jobs.get(name=name).execute()["etag"]
    jobs.patch(name=name, updateMask="labels", body={"labels": {"x": "y"}}).execute()
    for etag in (stale, "33a64df551425fcc55e4d42a148795d9f25f89d4"):  # That of the reference.
        body: Any = {"labels": {}, "etag": etag}
        refused = refusal_of(jobs.patch(name=name, updateMask="labels,etag", body=body))
        assert refused[:3] == (409, "ABORTED", "ETAG_MISMATCH")
    assert jobs.get(name=name).execute()["labels"] == {"x": "y"}


def test_an_etag_is_bytes_in_whichever_alphabet(jobs: Any, parent: str) -> None:
    """gcloud prints it in the url-safe one."""
    tried = 0
    for n in range(40):
        made = jobs.create(parent=parent, body={"jobId": f"j{n}"}).execute()
        safe = made["etag"].translate(str.maketrans("+/", "-_"))
        if safe != made["etag"]:
            tried += 1
            body = {"labels": {"a": "b"}, "etag": safe}
            jobs.patch(name=f"{parent}/jobs/j{n}", updateMask="labels,etag", body=body).execute()
    assert tried


def test_an_etag_that_the_mask_does_not_name_is_not_compared(jobs: Any, name: str) -> None:
    body = {"labels": {"x": "y"}, "etag": "AAAA"}
    assert jobs.patch(name=name, updateMask="labels", body=body).execute()["labels"] == {"x": "y"}
    body = {"labels": {"x": "z"}}  # It is in the mask, and not in the body.
    shown = jobs.patch(name=name, updateMask="labels,etag", body=body).execute()
    assert shown["labels"] == {"x": "z"}


def test_without_a_mask_a_patch_replaces_the_labels(jobs: Any, name: str) -> None:
    assert jobs.patch(name=name, body={"labels": {"x": "y"}}).execute()["labels"] == {"x": "y"}
    assert refusal_of(jobs.patch(name=name, body={}))[:2] == (400, "INVALID_ARGUMENT")


@pytest.mark.slow
@pytest.mark.parametrize(
    "mask", ["state", "labels,trainingInput", "training_input.job_dir", "*", "labels.a", "no", "a b", ".", "jobId"]
)  # fmt: skip
def test_nothing_else_can_be_patched(jobs: Any, name: str, mask: str) -> None:
    before = jobs.get(name=name).execute()
    refused = refusal_of(jobs.patch(name=name, updateMask=mask, body={"labels": {"no": "no"}}))
    assert refused[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert refused.message.startswith("updateMask: ")
    assert jobs.get(name=name).execute() == before


@pytest.mark.slow
@EVERY_STATE
def test_labels_can_be_patched_in_any_state(server: Server, jobs: Any, name: str, state: S) -> None:
    bring(server, name, state)
    body = {"labels": {"was": state.name.lower()}}
    after = jobs.patch(name=name, updateMask="labels", body=body).execute()
    assert after["state"] == ML_STATES[state]
    assert after["labels"] == body["labels"]


# Cancel


@pytest.mark.slow
@EVERY_STATE
def test_a_job_is_cancelled_unless_it_has_ended(
    server: Server, jobs: Any, name: str, state: S
) -> None:
    bring(server, name, state)
    before = server.ledger.size()
    if state in ENDED:
        refused = refusal_of(jobs.cancel(name=name, body={}))
        assert refused[:3] == (400, "FAILED_PRECONDITION", "ILLEGAL_TRANSITION")
        assert server.ledger.size() == before
        return
    assert jobs.cancel(name=name, body={}).execute() == {}
    at_once = state in {S.QUEUED, S.PAUSED}
    shown = jobs.get(name=name).execute()
    assert shown["state"] == ("CANCELLED" if at_once else "CANCELLING")
    assert shown["errorMessage"] == WHY.get(state, "cancelled on request")
    assert (server.ledger.size() == before) is (state is S.CANCELLING)


def test_a_cancellation_needs_no_body(jobs: Any, name: str) -> None:
    assert jobs.cancel(name=name).execute() == {}
    assert jobs.get(name=name).execute()["state"] == "CANCELLED"


def test_a_cancellation_has_no_fields(jobs: Any, name: str) -> None:
    refused = refusal_of(jobs.cancel(name=name, body={"reason": "dear"}))
    assert refused[:2] == (400, "INVALID_ARGUMENT")
    assert refused.message.startswith("reason: ")


def test_a_job_that_is_being_cancelled_may_still_succeed(
    server: Server, jobs: Any, name: str
) -> None:
    tell(server, name, "started")
    jobs.cancel(name=name).execute()
    tell(server, name, "succeeded")
    shown = jobs.get(name=name).execute()
    assert shown["state"] == "SUCCEEDED"
    assert "errorMessage" not in shown
