"""Reading natively: a job, its events, lists and counts; now, and as of any moment on either clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jobledger.infra.eventstore.json_view import event_json, job_json, moment_json
from jobledger.infra.ledger import Ledger

from tests.http.test_http import refusal
from tests.http.test_http_native import asked
from tests.servers import Server

HOUR = "2026-01-31T{:02}:00:00Z"
HAPPENED: list[tuple[str, str, int, dict[str, Any]]] = [
    ("a", "create", 1, {"labels": {"team": "vision"}}),
    ("b", "create", 2, {"labels": {"team": "nlp"}, "spec": {"displayName": "second"}}),
    ("a", "started", 3, {}),
    ("c", "create", 3, {"labels": {"team": "nlp"}}),
    ("a", "failed", 9, {"error": {"code": 8, "message": "out of memory"}}),
    ("b", "started", 4, {}),
    ("b", "succeeded", 8, {"output": {"n": 1}}),
    ("a", "retry", 10, {}),
    ("c", "started", 5, {}),
    ("c", "progressReported", 4, {"output": {"early": True}}),
    ("a", "started", 11, {}),
    ("c", "delete", 12, {"stop": True}),
]
"""Events of three jobs, in the order of their reports, with the hour at which each occurred."""


class Fleet:
    """Those jobs in a project of their own, and what was answered after each event."""

    def __init__(self, client: httpx.Client, ledger: Ledger, project: str) -> None:
        self.client, self.ledger, self.project = client, ledger, project
        self.answers: list[dict[str, Any]] = []
        for job, verb, hour, body in HAPPENED:
            path = f"/ledger/v1/projects/{project}/jobs/{job}"
            self.answers.append(asked(client, path, verb, **body, occurredTime=HOUR.format(hour)))
        self.filter = f"project = {project}"

    def name(self, job: str) -> str:
        return f"projects/{self.project}/jobs/{job}"

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        answer = self.client.get(f"/ledger/v1/{path}", params=query)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


@pytest.fixture
def fleet(client: httpx.Client, server: Server, project: str) -> Fleet:
    return Fleet(client, server.ledger, project)


def refused(client: httpx.Client, path: str, **query: Any) -> str:
    """Returns the message of a refused read."""
    answer = client.get(f"/ledger/v1/{path}", params=query)
    message: str = refusal(answer, 400, "INVALID_ARGUMENT", "INVALID_FIELD")["message"]
    return message


def moments(fleet: Fleet) -> list[dict[str, str]]:
    """Yields each moment of an event or a report, as parameters of a read."""
    events = [event for answer in fleet.answers for event in answer["events"]]
    entries: list[dict[str, str]] = []
    for event in events:
        occurred, recorded = event["occurredTime"], event["recordedTime"]
        entries += [
            {"asOf": f"@{event['position']}"},
            {"asOf": occurred},
            {"asOf": occurred, "clock": "occurred"},
            {"asOf": recorded, "clock": "recorded"},
            {"asOf": f"{occurred}@{event['position']}"},
        ]
    return entries


def python(moment: dict[str, str]) -> dict[str, Any]:
    """The same moment as Python's API takes it."""
    return {"as_of": moment.get("asOf"), "clock": moment.get("clock")}


def test_a_job_is_read_as_it_is_now(fleet: Fleet) -> None:
    assert fleet.get(fleet.name("a")) == job_json(fleet.ledger.get(fleet.name("a")))
    for job in ("c", "nobody"):
        answer = fleet.client.get(f"/ledger/v1/{fleet.name(job)}")
        refusal(answer, 404, "NOT_FOUND", "JOB_NOT_FOUND")


def test_a_job_as_of_a_version_or_a_position_is_what_was_answered_then(fleet: Fleet) -> None:
    for answer in fleet.answers[:-1]:
        then, last = answer["job"], answer["events"][-1]
        for moment in (f"v{then['version']}", f"@{last['position']}"):
            expected = fleet.get(then["name"], asOf=moment)
            at = {"asOf": last["recordedTime"], "clock": "recorded", "position": last["position"]}
            assert expected == then | at


def test_the_two_clocks_differ_where_reports_came_late(fleet: Fleet) -> None:
    noon = {"asOf": HOUR.format(6)}
    assert fleet.get(fleet.name("b"), **noon)["state"] == "RUNNING"
    early = fleet.get(fleet.name("c"), asOf=HOUR.format(4))
    assert (early["state"], early["output"]) == ("QUEUED", {"early": True})
    report = fleet.answers[8]["events"][0]["recordedTime"]
    assert fleet.get(fleet.name("c"), asOf=report, clock="recorded")["output"] is None


@pytest.mark.slow
def test_every_read_of_the_past_is_pythons_and_names_the_moment_it_can_be_asked_again_by(
    fleet: Fleet,
) -> None:
    ledger, name = fleet.ledger, fleet.name("a")
    for moment in moments(fleet):
        at = moment_json(ledger.moment(**python(moment)))
        assert fleet.get("moment", **moment) == at
        counted = fleet.get("jobs:count", filter=fleet.filter, **moment)
        counts = ledger.count("state", fleet.filter, **python(moment)).counts
        assert counted["counts"] == [{"value": v, "count": n} for v, n in counts.items()]
        listed = fleet.get("jobs", filter=fleet.filter, **moment)
        assert listed["jobs"] == [
            job_json(job) for job in ledger.list(fleet.filter, **python(moment))
        ]
        pinned = f"@{at['position']}" if at["clock"] == "recorded" else f"{at['asOf']}@{at['position']}"  # fmt: skip
        for body in (counted, listed):
            assert at.items() <= body.items()
        assert fleet.get("jobs", filter=fleet.filter, asOf=pinned)["jobs"] == listed["jobs"]
        if any(job["name"] == name for job in listed["jobs"]):
            assert fleet.get(name, **moment) == job_json(ledger.get(name, **python(moment))) | at


def test_the_history_of_a_job_is_whole_also_when_it_is_gone(fleet: Fleet) -> None:
    for job in "abc":
        stored = [event_json(event) for event in fleet.ledger.history(fleet.name(job))]
        assert fleet.get(f"{fleet.name(job)}/events") == {"events": stored}
        assert fleet.get(f"{fleet.name(job)}/events", after=2) == {"events": stored[2:]}
        assert fleet.get(f"{fleet.name(job)}/events", after=10**17) == {"events": []}
    answer = fleet.client.get(f"/ledger/v1/{fleet.name('nobody')}/events")
    refusal(answer, 404, "NOT_FOUND", "JOB_NOT_FOUND")


def test_all_events_can_be_read_page_by_page_from_any_position(fleet: Fleet) -> None:
    first = fleet.answers[0]["events"][0]["position"]
    everything = [event_json(event) for event in fleet.ledger.events(first - 1, follow=False)]
    assert [event for answer in fleet.answers for event in answer["events"]] == everything
    read, position = [], first - 1
    while page := fleet.get("events", after=position, pageSize=3)["events"]:
        assert len(page) <= 3
        read += page
        position = page[-1]["position"]
    assert read == everything
    assert fleet.get("events", after=position) == {"events": [], "lastPosition": position}
    assert len(fleet.get("events", after=first - 1, pageSize=10**9)["events"]) == len(everything)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["", "create_time", "name desc", "labels.team, createTime desc"])
@pytest.mark.parametrize("size", [1, 2])
def test_pages_show_one_moment_in_one_order_whatever_happens_meanwhile(
    fleet: Fleet, order: str, size: int
) -> None:
    query: dict[str, Any] = {"filter": fleet.filter, "orderBy": order, "pageSize": size}
    expected = [job_json(job) for job in fleet.ledger.list(fleet.filter, order_by=order)]
    first = page = fleet.get("jobs", **query)
    jobs = page["jobs"]
    fleet.ledger.create(fleet.name("new"))
    fleet.ledger.cancel(fleet.name("a"))
    while page["nextPageToken"]:
        page = fleet.get("jobs", **query, pageToken=page["nextPageToken"])
        assert {**page, "jobs": 0, "nextPageToken": 0} == {**first, "jobs": 0, "nextPageToken": 0}
        jobs += page["jobs"]
    assert jobs == expected


def test_a_filter_and_a_count_look_at_any_field(fleet: Fleet) -> None:
    def names(filter: str) -> list[str]:
        listed = fleet.get("jobs", filter=f"{fleet.filter} AND {filter}", orderBy="name")
        return [job["name"][-1] for job in listed["jobs"]]

    assert names("state = RUNNING") == ["a"]
    assert names("ever(error.code = 8) AND labels.team = vision") == ["a"]
    assert names('display_name : "sec*"') == ["b"]
    assert names("attempt > 5") == []
    by_team = fleet.get("jobs:count", by="labels.team", filter=fleet.filter)
    assert by_team["by"] == "labels.team"
    assert by_team["counts"] == [{"value": "nlp", "count": 1}, {"value": "vision", "count": 1}]


def test_the_moment_of_now_is_the_last_position(fleet: Fleet) -> None:
    body = fleet.get("moment")
    assert (body["clock"], body["position"]) == ("recorded", fleet.ledger.size())
    ahead = refused(fleet.client, "moment", asOf=f"@{body['position'] + 1}")
    assert ahead.startswith("asOf: there is no position ")


@pytest.mark.slow
@pytest.mark.parametrize("path", ["jobs", "jobs:count", "moment", "projects/p/jobs/none"])
@pytest.mark.parametrize(
    "moment",
    [{"asOf": "1/2/2026"}, {"asOf": "soon"}, {"asOf": ""}, {"asOf": "\0"}, {"asOf": "@-1"},
     {"asOf": "9999-12-31T23:59:59Z"}, {"asOf": "0001-01-01T00:00:00+14:00"}, {"asOf": "@99999999999999999"},
     {"asOf": "now", "clock": "wall"}, {"asOf": "@1", "clock": "occurred"}, {"clock": ""},
     {"asOf": "2026-01-01T00:00:00Z@1", "clock": "recorded"}],
)  # fmt: skip
def test_an_invalid_moment_is_refused(
    client: httpx.Client, path: str, moment: dict[str, str]
) -> None:
    assert refused(client, path, **moment).split(":")[0] in {"asOf", "clock"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "query", "field"),
    [("jobs", {"filter": "state ="}, "filter"), ("jobs", {"filter": 'state = "\0"'}, "filter"),
     ("jobs", {"filter": "colour = red"}, "filter"), ("jobs", {"filter": "(" * 2_000}, "filter"),
     ("jobs", {"filter": "(" * 2_000 + "state = RUNNING" + ")" * 2_000}, "filter"),
     ("jobs", {"filter": "NOT " * 3_000 + "state = RUNNING"}, "filter"),
     ("jobs", {"orderBy": "colour"}, "orderBy"), ("jobs", {"orderBy": "labels.\0"}, "orderBy"),
     ("jobs", {"pageSize": -1}, "pageSize"), ("jobs", {"pageSize": "many"}, "pageSize"),
     ("jobs", {"pageSize": ""}, "pageSize"), ("jobs", {"pageToken": "x"}, "pageToken"),
     ("jobs", {"asOf": "v1"}, "asOf"), ("jobs:count", {"by": "colour"}, "by"),
     ("jobs:count", {"by": "labels.\0"}, "by"), ("jobs:count", {"by": ""}, "by"),
     ("events", {"after": -1}, "after"), ("events", {"after": 2**63 - 1}, "after"),
     ("events", {"after": 10**18}, "after"), ("events", {"pageSize": -1}, "pageSize"),
     ("projects/p/jobs/x/events", {"after": "1.5"}, "after"), ("projects/p/x", {}, "name"),
     ("projects/p/jobs/%2F", {}, "name"), ("projects/p/jobs/a/events/events", {}, "name"), ("", {}, "name"),
     ("projects/p/jobs/x", {"asOf": "v99999999999"}, "asOf")],
)  # fmt: skip
def test_an_invalid_query_is_refused_with_its_field(
    client: httpx.Client, path: str, query: dict[str, Any], field: str
) -> None:
    assert refused(client, path, **query).startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("method", "path", "parameter", "hint"),
    [
        ("GET", "jobs", "as_of", "did you mean asOf?"),
        ("GET", "jobs", "state", "it is one of filter, orderBy"),
        ("GET", "projects/p/jobs/a", "readTime", "it is one of asOf, clock"),
        ("GET", "projects/p/jobs/a:tree", "AsOf", "did you mean asOf?"),
        ("GET", "events:stream", "position", "it is one of after, name"),
        ("POST", "projects/p/jobs/a:started", "requestId", "it has none"),
    ],
)
def test_an_unknown_parameter_is_refused(
    client: httpx.Client, method: str, path: str, parameter: str, hint: str
) -> None:
    answer = client.request(
        method, f"/ledger/v1/{path}", params={parameter: "2026-01-31T00:00:00Z"}
    )
    error = refusal(answer, 400, "INVALID_ARGUMENT")
    assert error["message"].startswith(f"query: '{parameter}' is not a parameter of {method} /")
    assert hint in error["message"]


@pytest.mark.parametrize("path", ["jobs", "projects/p/jobs/a", "events", "jobs:count"])
def test_a_repeated_parameter_is_refused(client: httpx.Client, path: str) -> None:
    parameter = "after" if path == "events" else "asOf"
    answer = client.get(f"/ledger/v1/{path}?{parameter}=1&{parameter}=2")
    error = refusal(answer, 400, "INVALID_ARGUMENT")
    assert error["message"] == f"query: '{parameter}' is given more than once; give it once"


def test_a_page_token_is_valid_for_its_own_query_only(fleet: Fleet) -> None:
    token = fleet.get("jobs", filter=fleet.filter, pageSize=1)["nextPageToken"]
    for query in (
        {"filter": "state = RUNNING"},
        {"filter": fleet.filter, "orderBy": "name"},
        {"filter": fleet.filter, "clock": "recorded"},
        {"filter": fleet.filter, "asOf": "now"},
    ):
        message = refused(fleet.client, "jobs", **query, pageToken=token)
        assert message.startswith("pageToken: belongs to another query; ")
    forged = refused(fleet.client, "jobs", filter=fleet.filter, pageToken=token[:-1])
    assert forged.startswith("pageToken: is not a token of this ledger; ")


def test_before_the_first_event_there_were_no_jobs(fleet: Fleet) -> None:
    for clock in ("occurred", "recorded"):
        assert fleet.get("jobs", asOf="0001-01-01T00:00:00Z", clock=clock)["jobs"] == []


@pytest.mark.slow
def test_a_filter_as_long_as_a_url_may_be_is_read_or_refused(fleet: Fleet) -> None:
    long = " AND ".join(["version>0"] * 3_000)
    for connective in (" AND ", " OR ", " "):
        query = {"filter": f"{fleet.filter} AND {long.replace(' AND ', connective)}"}
        answer = fleet.client.get("/ledger/v1/jobs", params=query)
        assert answer.status_code in {200, 400}, answer.text
