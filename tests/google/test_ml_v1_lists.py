"""Lists of AI Platform ml v1 jobs, filtered and paged by Google's own client."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from jobledger.infra import Ledger

from tests.clients import Refusal, discovered, refusal_of
from tests.servers import Server

SEVERAL = 250


@pytest.fixture(scope="module")
def jobs(server: Server) -> Iterator[Any]:
    with discovered("ml", "v1", server) as ml:
        yield ml.projects().jobs()


@pytest.fixture
def parent(project: str) -> str:
    return f"projects/{project}"


@pytest.fixture(scope="module")
def fleet(server: Server) -> str:
    """The parent of a few jobs for filters: census jobs, and rnn jobs in several states."""
    parent, ledger = "projects/filters-of-ml", server.ledger
    teams = {"census_1": "a", "census_2": "b", "rnn_1": "a", "rnn_2": "b", "other": ""}
    for name, team in teams.items():
        labels = {"team": team} if team else {}
        spec = {"trainingInput": {"region": f"region-{name}", "scaleTier": "BASIC"}}
        ledger.create(f"{parent}/jobs/{name}", labels, spec)
    ledger.started(f"{parent}/jobs/rnn_1")
    ledger.failed(f"{parent}/jobs/rnn_1", "no")
    ledger.started(f"{parent}/jobs/rnn_2")
    ledger.failed(f"{parent}/jobs/census_2", {"code": 3, "message": "bad data"})
    ledger.preparing(f"{parent}/jobs/other")
    return parent


def make_several(ledger: Ledger, parent: str, count: int = SEVERAL) -> list[str]:
    """Jobs that were made one after another, newest first, as lists show them."""
    for n in range(count):
        ledger.create(f"{parent}/jobs/j{n}")
    return [f"j{n}" for n in reversed(range(count))]


def ids(page: Any) -> list[str]:
    return [job["jobId"] for job in page.get("jobs", [])]


def walk(jobs: Any, request: Any) -> Iterator[list[str]]:
    """The ids on each page, as `list_next` leads from one to the next."""
    while request is not None:
        page = request.execute()
        yield ids(page)
        request = jobs.list_next(request, page)


# Filters


@pytest.mark.slow
@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ("jobId:census*", "census_1 census_2"),
        ("jobId:rnn* AND state:FAILED", "rnn_1"),
        ("state:FAILED", "rnn_1 census_2"),
        ("state=FAILED", "rnn_1 census_2"),
        ("state!=FAILED", "census_1 rnn_2 other"),
        ("NOT state:FAILED", "census_1 rnn_2 other"),
        ("-state:FAILED", "census_1 rnn_2 other"),
        ("state:(FAILED)", None),
        ("state:PREPARING", "other"),
        ("state=QUEUED OR state=RUNNING", "census_1 rnn_2"),
        ("jobId:rnn* AND state:FAILED OR state:RUNNING", "rnn_1 rnn_2"),
        ("jobId=other OR jobId:rnn* AND state:FAILED", "rnn_1"),
        ("(jobId=other) OR (jobId:rnn* AND state:FAILED)", "other rnn_1"),
        ("jobId:rnn* state:FAILED", "rnn_1"),
        ("job_id=census_1", "census_1"),
        ("labels.team=a", "census_1 rnn_1"),
        ('labels.team = "a" AND NOT jobId:rnn*', "census_1"),
        ("labels.team:*", "census_1 census_2 rnn_1 rnn_2"),
        ("NOT labels.team:*", "other"),
        ("labels.nobody:*", ""),
        ("labels:*", "census_1 census_2 rnn_1 rnn_2"),
        ("NOT labels:*", "other"),
        ("errorMessage:bad*", "census_2"),
        ("error_message = no", "rnn_1"),
        ("trainingInput.region=region-other", "other"),
        ("training_input.scale_tier=BASIC AND jobId:*2", "census_2 rnn_2"),
        ('createTime>"2020-01-01T00:00:00Z"', "census_1 census_2 rnn_1 rnn_2 other"),
        ('createTime<"2020-01-01T00:00:00Z"', ""),
        ('create_time>"2020-01-01T01:00:00+01:00" AND endTime:*', "rnn_1 census_2"),
        ("startTime:*", "rnn_1 rnn_2"),
        ("", "census_1 census_2 rnn_1 rnn_2 other"),
        ("jobId:CENSUS*", ""),
        ("jobId=*", "census_1 census_2 rnn_1 rnn_2 other"),
    ],
)  # fmt: skip
def test_a_filter_finds_the_matching_resources(
    jobs: Any, fleet: str, filter: str, found: str | None
) -> None:
    request = jobs.list(parent=fleet, filter=filter)
    if found is None:
        assert refusal_of(request)[:2] == (400, "INVALID_ARGUMENT")
    else:
        assert sorted(ids(request.execute())) == sorted(found.split())


def test_a_filter_by_time_separates_two_jobs(jobs: Any, server: Server, parent: str) -> None:
    before, after = make_several(server.ledger, parent, 2)
    times = [job["createTime"] for job in jobs.list(parent=parent).execute()["jobs"]]
    for comparison, found in (
        (f'createTime>="{times[0]}"', [before]),
        (f'createTime>"{times[1]}"', [before]),
        (f'createTime<"{times[0]}"', [after]),
        (f'createTime="{times[1]}"', [after]),
        (f'createTime!="{times[1]}"', [before]),
    ):
        assert ids(jobs.list(parent=parent, filter=comparison).execute()) == found


@pytest.mark.slow
@pytest.mark.parametrize(
    "filter",
    ["state:", "state", "AND", "jobId:a AND", "(jobId:a", "nothing=1", "state=DONE", "state<FAILED", "jobPosition=1",
     "createTime>yesterday", 'jobId="a', "state:SUCCEED OR", "labels=a", "labels.a.b=c", "spec.x=1", "version=1",
     "project=another", 'name="x"', "a" * 5000, "(" * 60 + "jobId=a" + ")" * 60],
)  # fmt: skip
def test_an_invalid_filter_is_refused(jobs: Any, parent: str, filter: str) -> None:
    refused = refusal_of(jobs.list(parent=parent, filter=filter))
    assert refused[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    assert refused.message.startswith("filter: ")


def test_no_filter_leads_out_of_the_project(jobs: Any, fleet: str, parent: str) -> None:
    for elsewhere in (
        "jobId:census*",
        "NOT jobId:census*",
        "jobId=nothing OR state:*",
        "state!=DONE*",
    ):
        assert jobs.list(parent=parent, filter=elsewhere).execute() == {}


# Pages


def test_a_list_of_nothing_is_empty(jobs: Any, parent: str) -> None:
    assert jobs.list(parent=parent).execute() == {}
    assert jobs.list(parent=parent, filter="state:FAILED", pageSize=5).execute() == {}


@pytest.mark.slow
def test_a_page_holds_twenty_jobs_and_never_more_than_a_hundred(
    jobs: Any, server: Server, parent: str
) -> None:
    several = make_several(server.ledger, parent, 120)
    for size, held in ((None, 20), (0, 20), (1, 1), (100, 100), (101, 100), (10**9, 100)):
        asked = {} if size is None else {"pageSize": size}
        page = jobs.list(parent=parent, **asked).execute()
        assert ids(page) == several[:held]
        assert page["nextPageToken"]
    for size in (-1, -(10**9)):
        refused = refusal_of(jobs.list(parent=parent, pageSize=size))
        assert refused[:2] == (400, "INVALID_ARGUMENT")
        assert refused.message.startswith("pageSize: ")


@pytest.mark.slow
def test_pages_show_each_job_once_while_others_are_made(
    jobs: Any, server: Server, parent: str
) -> None:
    several = make_several(server.ledger, parent)
    seen = list[str]()
    for number, page in enumerate(walk(jobs, jobs.list(parent=parent))):
        assert len(page) == (10 if number == SEVERAL // 20 else 20)
        seen += page
        server.ledger.create(f"{parent}/jobs/meanwhile_{number}")
        server.ledger.started(f"{parent}/jobs/j{number * 20}")
    assert seen == several


@pytest.mark.slow
def test_filtered_pages_show_each_job_once_though_jobs_leave_the_filter(
    jobs: Any, server: Server, parent: str
) -> None:
    several = make_several(server.ledger, parent, 50)
    seen = list[str]()
    for page in walk(jobs, jobs.list(parent=parent, filter="state=QUEUED", pageSize=7)):
        seen += page
        for job_id in page:
            server.ledger.cancel(f"{parent}/jobs/{job_id}")
    assert seen == several
    assert jobs.list(parent=parent, filter="state=QUEUED").execute() == {}


def test_a_last_page_names_no_other(jobs: Any, server: Server, parent: str) -> None:
    make_several(server.ledger, parent, 4)
    assert "nextPageToken" not in jobs.list(parent=parent, pageSize=4).execute()
    pages = list(walk(jobs, jobs.list(parent=parent, pageSize=2)))
    assert [len(page) for page in pages] == [2, 2]


def test_a_page_token_is_valid_for_its_own_list_only(
    jobs: Any, server: Server, parent: str, fleet: str
) -> None:
    make_several(server.ledger, parent, 4)
    token = jobs.list(parent=parent, pageSize=2).execute()["nextPageToken"]

    def refused(**asked: Any) -> Refusal:
        return refusal_of(jobs.list(**{"parent": parent, "pageToken": token} | asked))

    for answer in (
        refused(parent=fleet),
        refused(filter="state=QUEUED"),
        refused(pageToken=token[:-2]),
        refused(pageToken="AAAA"),
        refused(pageToken="é/+= %"),
    ):
        assert answer[:3] == (400, "INVALID_ARGUMENT", "INVALID_FIELD")
    # Another page size is no other list.
    assert ids(jobs.list(parent=parent, pageToken=token, pageSize=3).execute()) == ["j1", "j0"]


def test_the_newest_job_comes_first_whatever_its_name(jobs: Any, parent: str) -> None:
    for job_id in ("m", "z", "a"):
        jobs.create(parent=parent, body={"jobId": job_id}).execute()
    listed = jobs.list(parent=parent).execute()["jobs"]
    assert [job["jobId"] for job in listed] == ["a", "z", "m"]
    assert listed == [jobs.get(name=f"{parent}/jobs/{job['jobId']}").execute() for job in listed]
    assert all(datetime.fromisoformat(job["createTime"]) <= datetime.now(UTC) for job in listed)


def test_jobs_of_other_kinds_are_not_listed(jobs: Any, server: Server, parent: str) -> None:
    server.ledger.create(f"{parent}/locations/us-central1/customJobs/1")
    server.ledger.create(f"{parent}/evaluationJobs/1")
    server.ledger.create(f"{parent}x/jobs/j")
    assert jobs.list(parent=parent).execute() == {}
