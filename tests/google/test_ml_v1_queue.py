"""Places in the queue, policies, and the past of AI Platform ml v1 jobs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from jobledger.infra import Ledger
from jobledger.infra.google.wire.queue import Queue

from tests.clients import discovered, read_refusal, refusal_of, tell
from tests.servers import Server


@pytest.fixture(scope="module")
def jobs(server: Server) -> Iterator[Any]:
    with discovered("ml", "v1", server) as ml:
        yield ml.projects().jobs()


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def parent(project: str) -> str:
    return f"projects/{project}"


def make(jobs: Any, parent: str, job_id: str, priority: int | None = None) -> str:
    scheduling = {} if priority is None else {"scheduling": {"priority": priority}}
    body = {"jobId": job_id, "trainingInput": {"region": "r", **scheduling}}
    jobs.create(parent=parent, body=body).execute()
    return f"{parent}/jobs/{job_id}"


def line(jobs: Any, parent: str) -> dict[str, str | None]:
    """Returns every job's place from a list; checks that each job shows the same."""
    listed = jobs.list(parent=parent).execute().get("jobs", [])
    places = {job["jobId"]: job.get("jobPosition") for job in listed}
    for job_id, place in places.items():
        assert jobs.get(name=f"{parent}/jobs/{job_id}").execute().get("jobPosition") == place
    return places


# jobPosition


@pytest.mark.slow
@pytest.mark.parametrize("added", [0, 1, 3])
def test_the_queue_begins_again_if_the_ledger_lost_events(ledger: Ledger, added: int) -> None:
    old, new = ([f"projects/p/jobs/{job_id}" for job_id in ids] for ids in ("abc", "xyz"))
    for name in old:
        ledger.create(name)
    queue = Queue(ledger.reader)
    assert queue.places(old) == {name: place for place, name in enumerate(old, start=1)}
    with ledger.connection() as connection, connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        connection.execute("DELETE FROM events WHERE position > 1")
        connection.execute("DELETE FROM jobs WHERE first_position > 1")
        connection.execute("UPDATE head SET size = 1")
    for name in new[:added]:
        ledger.create(name)
    waiting = [old[0], *new[:added]]
    assert queue.places(old + new) == {name: place for place, name in enumerate(waiting, start=1)}


def test_jobs_wait_in_the_order_they_came(jobs: Any, server: Server, parent: str) -> None:
    first, second, _ = (make(jobs, parent, job_id) for job_id in "abc")
    assert line(jobs, parent) == {"a": "1", "b": "2", "c": "3"}

    tell(server, first, "started")
    assert line(jobs, parent) == {"a": None, "b": "1", "c": "2"}

    jobs.cancel(name=second).execute()
    make(jobs, parent, "d")
    assert line(jobs, parent) == {"a": None, "b": None, "c": "1", "d": "2"}


def test_jobs_of_other_projects_have_no_place_in_the_queue(jobs: Any, parent: str) -> None:
    make(jobs, f"{parent}x", "a")
    make(jobs, parent, "b")
    assert line(jobs, parent) == {"b": "1"}


def test_higher_priorities_go_first(jobs: Any, server: Server, parent: str) -> None:
    for job_id, priority in (("none", None), ("low", 0), ("high", 1000), ("mid", 5), ("mid2", 5)):
        make(jobs, parent, job_id, priority)
    assert line(jobs, parent) == {"high": "1", "mid": "2", "mid2": "3", "none": "4", "low": "5"}
    tell(server, f"{parent}/jobs/high", "started")
    assert line(jobs, parent)["mid"] == "1"


def test_a_reported_place_in_the_queue_is_shown(jobs: Any, server: Server, parent: str) -> None:
    name = make(jobs, parent, "a")
    make(jobs, parent, "b")
    tell(server, name, "queued", queuePosition=7)
    assert line(jobs, parent) == {"a": "7", "b": "2"}
    tell(server, name, "queued", queuePosition=0)  # It is scheduled already.
    assert line(jobs, parent) == {"a": "0", "b": "2"}
    tell(server, name, "queued", queuePosition=2**40)
    assert line(jobs, parent) == {"a": str(2**40), "b": "2"}
    tell(server, name, "queued")
    assert line(jobs, parent) == {"a": "1", "b": "2"}


def test_a_job_that_is_sent_back_or_retried_is_queued_again(
    jobs: Any, server: Server, parent: str
) -> None:
    names = [make(jobs, parent, job_id) for job_id in "abc"]
    tell(server, names[0], "preparing")
    tell(server, names[1], "failed", error="no")
    assert line(jobs, parent) == {"a": None, "b": None, "c": "1"}
    tell(server, names[0], "queued")
    tell(server, names[1], "retried")
    assert line(jobs, parent) == {"a": "1", "b": "2", "c": "3"}
    tell(server, names[2], "paused")
    assert line(jobs, parent)["c"] is None
    tell(server, names[2], "resumed")
    assert line(jobs, parent)["c"] == "3"


def test_a_job_that_is_patched_keeps_its_place(jobs: Any, parent: str) -> None:
    make(jobs, parent, "a")
    name = make(jobs, parent, "b")
    patched = jobs.patch(name=name, updateMask="labels", body={"labels": {"x": "y"}}).execute()
    assert patched["jobPosition"] == "2"
    assert patched == jobs.get(name=name).execute()


@pytest.mark.slow
def test_queued_jobs_have_places_under_concurrent_reads(http: httpx.Client, parent: str) -> None:
    def make_and_get(n: int) -> int:
        path = f"/v1/{parent}/jobs"
        assert http.post(path, json={"jobId": f"j{n}"}).status_code == 200
        return int(http.get(f"{path}/j{n}").json().get("jobPosition", 0))

    with ThreadPoolExecutor(8) as threads:
        places = list(threads.map(make_and_get, range(200)))
    assert min(places) == 1
    assert max(places) <= 200


# Policies


def test_a_job_has_no_policy_at_first(jobs: Any, parent: str) -> None:
    policy = jobs.getIamPolicy(resource=make(jobs, parent, "a")).execute()
    assert policy.keys() == {"etag"}


def test_a_policy_is_kept_and_its_etag_guards_it(jobs: Any, server: Server, parent: str) -> None:
    name = make(jobs, parent, "a")
    first = jobs.getIamPolicy(resource=name).execute()
    bindings = [{"role": "roles/viewer", "members": ["user:a@example.com"]}]
    body = {"policy": {"bindings": bindings, "version": 1, "etag": first["etag"]}}

    content = jobs.setIamPolicy(resource=name, body=body).execute()
    assert (content["bindings"], content["version"]) == (bindings, 1)
    assert content["etag"] != first["etag"]
    versions = {"options_requestedPolicyVersion": 3}
    assert jobs.getIamPolicy(resource=name, **versions).execute() == content

    stale = refusal_of(jobs.setIamPolicy(resource=name, body=body))
    assert stale[:3] == (409, "ABORTED", "ETAG_MISMATCH")
    assert jobs.getIamPolicy(resource=name).execute() == content

    tell(server, name, "started")  # The job changed, and its policy did not.
    body["policy"]["etag"] = content["etag"]
    assert jobs.setIamPolicy(resource=name, body=body).execute()["bindings"] == bindings
    del body["policy"]["etag"]  # Whatever it is.
    assert jobs.setIamPolicy(resource=name, body=body).execute()["bindings"] == bindings


def test_only_what_the_mask_names_of_a_policy_changes(jobs: Any, parent: str) -> None:
    name = make(jobs, parent, "a")
    bindings = [{"role": "roles/viewer", "members": ["user:a@example.com"]}]
    audit = [{"service": "allServices", "auditLogConfigs": [{"logType": "DATA_READ"}]}]
    both = {"bindings": bindings, "auditConfigs": audit}

    def set_policy(policy: Any, mask: str | None = None) -> Any:
        body = {"policy": policy} | ({"updateMask": mask} if mask else {})
        content = jobs.setIamPolicy(resource=name, body=body).execute()
        return {field: content[field] for field in both if field in content}

    assert set_policy(both) == {"bindings": bindings}  # `bindings, etag` by default.
    assert set_policy(both, "bindings,auditConfigs") == both
    assert set_policy({}, "bindings") == {"auditConfigs": audit}
    assert set_policy({"bindings": bindings}, "audit_configs") == {}
    refused = refusal_of(
        jobs.setIamPolicy(resource=name, body={"policy": {}, "updateMask": "owner"})
    )
    assert refused[:2] == (400, "INVALID_ARGUMENT")
    refused = refusal_of(jobs.setIamPolicy(resource=name, body={"updateMask": "bindings"}))
    assert refused[:2] == (400, "INVALID_ARGUMENT")


def test_a_policy_of_another_form_is_shown_as_far_as_googles_can_hold_it(
    jobs: Any, server: Server, parent: str
) -> None:
    name = make(jobs, parent, "a")
    viewer = {"role": "roles/viewer", "members": ["user:a@example.com"]}
    policy = {"bindings": [viewer, {"role": 7}], "version": "new", "owner": "b"}
    server.ledger.policy_changed(name, policy)
    shown = jobs.getIamPolicy(resource=name).execute()
    assert shown["bindings"][0] == viewer
    assert shown.keys() == {"bindings", "etag"}
    assert server.ledger.history(name)[-1].json == {"policy": policy}


def test_permissions_are_those_asked_about(jobs: Any, parent: str) -> None:
    name = make(jobs, parent, "a")
    body = {"permissions": ["ml.jobs.get", "ml.jobs.cancel"]}
    assert jobs.testIamPermissions(resource=name, body=body).execute() == body
    # The reference says an empty set of a resource there is not, and no error.
    unknown = f"{parent}/jobs/unknown"
    assert jobs.testIamPermissions(resource=unknown, body=body).execute() == {}
    wild = {"permissions": ["ml.jobs.*"]}
    assert refusal_of(jobs.testIamPermissions(resource=name, body=wild))[0] == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [({"policy": {"bindings": [{"role": 1}]}}, "policy.bindings[0].role"), ({"policies": {}}, "policies"),
     ({"policy": {"etag": "é"}}, "policy.etag"), ({"policy": []}, "policy")],
)  # fmt: skip
def test_a_policy_is_as_the_reference_says(jobs: Any, parent: str, body: Any, field: str) -> None:
    name = make(jobs, parent, "a")
    refused = refusal_of(jobs.setIamPolicy(resource=name, body=body))
    assert refused[:2] == (400, "INVALID_ARGUMENT")
    assert refused.message.startswith(f"{field}: ")
    refused = refusal_of(jobs.getIamPolicy(resource=name, options_requestedPolicyVersion=2))
    assert refused[:2] == (400, "INVALID_ARGUMENT")


# The past: `readTime` and `validTime` are the ledger's own, and Google's clients know neither.


def recorded(server: Server, name: str) -> list[str]:
    """When each of a job's events was recorded."""
    return [event.recorded_time.isoformat() for event in server.ledger.history(name)]


def test_a_job_is_shown_as_it_was_known_then(
    jobs: Any, http: httpx.Client, server: Server, parent: str
) -> None:
    name = make(jobs, parent, "a")
    make(jobs, parent, "b", 9)
    content = [jobs.get(name=name).execute()]
    jobs.patch(name=name, updateMask="labels", body={"labels": {"x": "y"}}).execute()
    content.append(jobs.get(name=name).execute())
    tell(server, name, "started")
    content.append(jobs.get(name=name).execute())
    assert [job.get("jobPosition") for job in content] == ["2", "2", None]
    content[0]["jobPosition"] = "1"  # Just after its creation, no job was before it.
    for time, before in zip(recorded(server, name), content, strict=True):
        assert http.get(f"/v1/{name}", params={"readTime": time}).json() == before
        listed = http.get(f"/v1/{parent}/jobs", params={"readTime": time}).json()["jobs"]
        assert before in listed


def test_a_job_is_shown_as_it_happened(
    jobs: Any, http: httpx.Client, server: Server, parent: str
) -> None:
    name = f"{parent}/jobs/a"
    days = [f"2026-01-0{day}T12:00:00Z" for day in range(1, 6)]
    created = {"occurredTime": days[0], "labels": {"a": "b"}}
    assert http.post(f"/ledger/v1/{name}:create", json=created).status_code == 200
    tell(server, name, "failed", occurredTime=days[3], error="no")
    for path in (f"/v1/{name}", f"/v1/{parent}/jobs"):
        for day, state in ((days[1], "QUEUED"), (days[3], "FAILED"), (days[4], "FAILED")):
            shown = http.get(path, params={"validTime": day}).json()
            job = shown["jobs"][0] if "jobs" in shown else shown
            assert (job["state"], job["createTime"]) == (state, days[0])
    before = {"validTime": "2025-12-31T00:00:00Z"}
    assert http.get(f"/v1/{parent}/jobs", params=before).json() == {}
    unknown = http.get(f"/v1/{name}", params=before)
    assert read_refusal(unknown.status_code, unknown.json())[:2] == (404, "NOT_FOUND")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "collection"),
    [
        ("v1", "jobs"),
        ("v1", "locations/r/customJobs"),
        ("v1", "locations/r/pipelineJobs"),
        ("v1beta1", "evaluationJobs"),
    ],
)
def test_a_job_does_not_exist_before_its_creation_on_the_valid_clock(
    http: httpx.Client, server: Server, parent: str, version: str, collection: str
) -> None:
    name = f"{parent}/{collection}/a"
    days = [f"2026-01-0{day}T12:00:00Z" for day in range(1, 4)]
    http.post(f"/ledger/v1/{name}:create", json={"occurredTime": days[1]}).raise_for_status()
    tell(server, name, "progressReported", occurredTime=days[0], output={"x": 1})
    for day, status, listed in ((days[0], 404, 0), (days[1], 200, 1), (days[2], 200, 1)):
        asked = {"validTime": day}
        assert http.get(f"/{version}/{name}", params=asked).status_code == status
        page = http.get(f"/{version}/{parent}/{collection}", params=asked)
        assert sum(map(len, page.raise_for_status().json().values())) == listed
        asked = {"asOf": day, "clock": "occurred"}
        assert http.get(f"/ledger/v1/{name}", params=asked).status_code == status


def test_both_times_select_one_bitemporal_moment(
    jobs: Any, http: httpx.Client, server: Server, parent: str
) -> None:
    name = f"{parent}/jobs/a"
    days = [f"2026-01-0{day}T12:00:00Z" for day in range(1, 6)]
    http.post(f"/ledger/v1/{name}:create", json={"occurredTime": days[0]})
    tell(server, name, "cancelled", occurredTime=days[2], reason="late")
    known = recorded(server, name)
    for read, state in ((known[0], "QUEUED"), (known[1], "CANCELLED")):
        asked = {"validTime": days[3], "readTime": read}
        assert http.get(f"/v1/{name}", params=asked).json()["state"] == state
        listed = http.get(f"/v1/{parent}/jobs", params=asked).json()["jobs"]
        assert [job["state"] for job in listed] == [state]


def test_pages_of_the_past_show_the_past(http: httpx.Client, server: Server, parent: str) -> None:
    for n in range(45):
        server.ledger.create(f"{parent}/jobs/j{n}", {"n": str(n)})
    [event] = server.ledger.history(f"{parent}/jobs/j29")
    asked, seen = {"readTime": event.recorded_time.isoformat()}, list[str]()
    while "pageToken" not in asked or asked["pageToken"]:
        page = http.get(f"/v1/{parent}/jobs", params=asked).json()
        seen += [job["jobId"] for job in page["jobs"]]
        asked["pageToken"] = page.get("nextPageToken", "")
    assert seen == [f"j{n}" for n in reversed(range(30))]


def test_a_policy_is_shown_as_it_was(
    jobs: Any, http: httpx.Client, server: Server, parent: str
) -> None:
    name = make(jobs, parent, "a")
    content = [jobs.getIamPolicy(resource=name).execute()]
    for member in ("user:a@example.com", "user:b@example.com"):
        policy = {"bindings": [{"role": "roles/viewer", "members": [member]}]}
        content.append(jobs.setIamPolicy(resource=name, body={"policy": policy}).execute())
    for time, before in zip(recorded(server, name), content, strict=True):
        for clock in ("readTime", "validTime"):
            shown = http.get(f"/v1/{name}:getIamPolicy", params={clock: time}).json()
            assert shown == before
    assert http.get(f"/v1/{name}:getIamPolicy").json() == content[-1]


def test_a_waiting_job_is_shown_as_of_a_version_or_position(
    jobs: Any, http: httpx.Client, server: Server, parent: str
) -> None:
    name = make(jobs, parent, "a")
    before = jobs.get(name=name).execute()
    jobs.patch(name=name, updateMask="labels", body={"labels": {"a": "b"}}).execute()
    for moment in ("v1", f"@{server.ledger.history(name)[0].position}"):
        assert http.get(f"/v1/{name}", params={"readTime": moment}).json() == before
        answer = http.get(f"/v1/{name}", params={"validTime": moment})
        refused = read_refusal(answer.status_code, answer.json())
        assert refused.message.startswith(f"validTime: {moment} is a version or position, ")


@pytest.mark.slow
@pytest.mark.parametrize("parameter", ["readTime", "validTime", "read_time"])
@pytest.mark.parametrize(
    "time", ["tomorrow", "9999-01-01T00:00:00Z", "v1x", "", "2026-13-01T00:00:00Z"]
)
def test_an_invalid_time_is_refused(
    jobs: Any, http: httpx.Client, parent: str, parameter: str, time: str
) -> None:
    name = make(jobs, parent, "a")
    for path in (f"/v1/{name}", f"/v1/{parent}/jobs", f"/v1/{name}:getIamPolicy"):
        answer = http.get(path, params={parameter: time})
        refused = read_refusal(answer.status_code, answer.json())
        assert refused[:2] == (400, "INVALID_ARGUMENT")
        if "9999" not in time:
            assert refused.message.startswith(parameter.replace("_t", "T") + ": ")
    answer = http.post(f"/v1/{parent}/jobs", params={"readTime": "now"}, json={"jobId": "b"})
    assert answer.status_code == 400  # Nothing is written into the past.
