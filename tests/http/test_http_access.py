"""Access over HTTP: every route of every API, by role and by project."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from jobledger.infra import Ledger
from jobledger.infra.access.required import REPORTS, REQUIRED
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.http.google_routes import METHODS

from tests.http.test_http import native_routes, refusal
from tests.http.test_http_batch import BATCH
from tests.http.test_http_native import NEEDED as RUN_FIELDS
from tests.http.test_http_stream import STREAM, eventually
from tests.servers import TIMEOUT_SECONDS, Server, new_server, serving

OPEN = ["/healthz", "/readyz", "/openapi.json", "/docs", "/redoc"]
"""Routes without authentication: health and documentation."""
VERBS: Mapping[Role, str] = {
    Role.READER: "receipt export stream count tree getIamPolicy testIamPermissions wait search"
    " searchModelDeploymentMonitoringStatsAnomalies validateReinforcementTuningReward",
    Role.REPORTER: "batch recordPredictions recordTruths answer import queued preparing started updating"
    " updated paused resumed cancelling cancelled succeeded partiallySucceeded failed expired"
    " progressReported commented heartbeat",
    Role.OPERATOR: "create cancel pause resume update changeConfig retry changeLabels delete batchCancel"
    " batchDelete rebaseTunedModel optimizePrompt processData generateAccessToken reportEvent retried labelsChanged configChanged deleted runStarted datasetCreated"
    " labelingRequested labelingCompleted evaluationCreated runFailed alertRaised scheduled stopped",
    Role.ADMIN: "changePolicy policyChanged setIamPolicy hold release set drop",
}
"""The role of each verb; a path without a verb needs a reader for GET, and an operator otherwise."""
LINEAGE = {"/api/v1/lineage", "/api/v1/lineage/batch"}
"""OpenLineage's paths, which report."""
ROLE_OF = {verb: role for role, verbs in VERBS.items() for verb in verbs.split()}
NEEDED: dict[str, Any] = {
    "changeConfig": {"spec": {}},
    "changeLabels": {"labels": {}},
    "changePolicy": {"policy": {}},
    "heartbeat": {"runId": "r"},
    "hold": {"reason": "case 7"},
    "set": {"name": "old", "keepSeconds": 1e9},
    "drop": {"name": "old"},
    **RUN_FIELDS,
}
"""Required parameters of these routes."""


class Route(NamedTuple):
    """A route, with a place for the project in its path."""

    method: str
    path: str
    role: Role

    def ask(self, client: httpx.Client, project: str) -> httpx.Response:
        path = self.path.format(project)
        body = NEEDED.get(path.rpartition(":")[2], {}) if self.method == "POST" else None
        with client.stream(self.method, path, json=body) as answer:
            if answer.headers["content-type"].startswith("application/json"):
                answer.read()
        return answer


def role_of(method: str, path: str) -> Role:
    """Returns the role of a route by the table above."""
    *_, verb = path.rpartition("/")[2].split(":")
    if ":" in path.rpartition("/")[2]:
        return ROLE_OF[verb]
    if path in LINEAGE:
        return Role.REPORTER
    return Role.READER if method == "GET" else Role.OPERATOR


def of_all(path: str) -> str:
    """What stands for `*`: a job of some project, or a tile of the log, which is of all of them."""
    return "0/000" if "/log/" in path else "projects/{}/jobs/none"


NATIVE = [
    Route(
        method.upper(),
        path.replace("*", of_all(path), 1).replace("*", "1"),
        role_of(method.upper(), path),
    )
    for method, path in sorted(native_routes())
    if path not in OPEN
]
GOOGLE = [
    Route(
        method.http,
        "/" + method.shape.replace("*", "{}", 1).replace("*", "none"),
        role_of(method.http, method.shape),
    )
    for method in METHODS.all
]
ROUTES = NATIVE + GOOGLE


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


class Guarded(NamedTuple):
    """A server with a token of each role, and one for each in project `mine` only."""

    server: Server
    secrets: Mapping[Role | None, str]
    limited: dict[Role, str]

    def client(self, secret: str) -> httpx.Client:
        return self.server.client(headers={"authorization": f"Bearer {secret}"} if secret else {})


@pytest.fixture(scope="module")
def guarded(dsn: str) -> Iterator[Guarded]:
    with new_server(dsn) as server:
        tokens = Tokens(server.ledger.pool)
        secrets: dict[Role | None, str] = {r: tokens.create(f"any-{r}", r) for r in Role}
        limited = {role: tokens.create(f"my-{role}", role, "mine") for role in Role}
        yield Guarded(server, {None: "", **secrets}, limited)


@pytest.fixture(scope="module")
def clients(guarded: Guarded) -> Iterator[dict[Role | None, httpx.Client]]:
    """One of each role, and one without a token."""
    made = {role: guarded.client(secret) for role, secret in guarded.secrets.items()}
    yield made
    for client in made.values():
        client.close()


@pytest.fixture(scope="module")
def limited(guarded: Guarded) -> Iterator[httpx.Client]:
    """A client whose token is an admin's, in one project."""
    with guarded.client(guarded.limited[Role.ADMIN]) as client:
        yield client


def run_server(dsn: str, ledger: Ledger, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs a server that must refuse to start."""
    program = str(Path(sys.executable).parent / "jobledger")
    words = [program, "--dsn", dsn, "--ledger", ledger.name, "serve", "--port", "0", *options]
    return subprocess.run(
        words, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_a_server_without_tokens_listens_on_loopback_only(
    dsn: str, ledger: Ledger, host: str
) -> None:
    refused = run_server(dsn, ledger, "--host", host)
    assert (refused.returncode, refused.stdout) == (2, "")
    (sentence,) = refused.stderr.splitlines()
    assert "make a token first: jobledger token create NAME --role operator" in sentence


@pytest.mark.slow
def test_with_a_token_the_server_may_be_reached_from_elsewhere_until_it_is_revoked(
    dsn: str, ledger: Ledger
) -> None:
    tokens = Tokens(ledger.pool)
    secret = tokens.create("operator", Role.OPERATOR)
    with serving(ledger, dsn, "--host", "0.0.0.0") as server:
        url = f"http://127.0.0.1:{server.port}/ledger/v1/jobs"
        assert httpx.get(url, timeout=60).status_code == 401
        assert (
            httpx.get(url, headers={"authorization": f"bearer {secret}"}, timeout=60).status_code
            == 200
        )
    tokens.revoke("operator")
    assert run_server(dsn, ledger, "--host", "0.0.0.0").returncode == 2
    with serving(ledger, dsn) as server, server.client() as client:
        refusal(client.get("/ledger/v1/jobs"), 401, "UNAUTHENTICATED")


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_every_route_needs_its_role(clients: dict[Role | None, httpx.Client], route: Route) -> None:
    nobody = route.ask(clients[None], "p")
    refusal(nobody, 401, "UNAUTHENTICATED", "UNAUTHENTICATED")
    assert nobody.headers["www-authenticate"] == 'Bearer realm="jobledger"'
    for role in Role:
        answer = route.ask(clients[role], "p")
        if role < route.role:
            error = refusal(answer, 403, "PERMISSION_DENIED", "PERMISSION_DENIED")
            assert (
                error["message"]
                == f"token 'any-{role}' does not permit this: the request needs the role {route.role}"
            )
        else:
            assert answer.status_code in {200, 400, 404, 409, 501}
            assert b"UNKNOWN_METHOD" not in (b"" if route.path == STREAM else answer.content)


@pytest.mark.slow
@pytest.mark.parametrize("route", [route for route in ROUTES if "{}" in route.path], ids=named)
def test_a_token_of_a_project_may_do_nothing_in_another(
    limited: httpx.Client, route: Route
) -> None:
    for other in ("other", "min", "minee", "MINE", "mine.", "%6fther"):
        refusal(route.ask(limited, other), 403, "PERMISSION_DENIED", "PERMISSION_DENIED")
    for nowhere in ("-", "mine%20", "*", "mine%2Fjobs%2Fx%2F"):
        answer = route.ask(limited, nowhere)
        assert answer.status_code in {400, 403, 404, 501} or answer.json() == {}
    for own in ("mine", "%6dine"):
        assert route.ask(limited, own).status_code in {200, 400, 404, 409, 501}


@pytest.mark.slow
@pytest.mark.parametrize("route", NATIVE, ids=named)
def test_a_request_without_a_token_gets_no_validation_errors(
    clients: dict[Role | None, httpx.Client], route: Route
) -> None:
    path = route.path.format("p")
    kind = {"content-type": "application/json"}
    answers = [
        clients[None].request(route.method, f"{path}?pageSize=x&after=x"),
        clients[None].request(route.method, path, content=b"{", headers=kind),
        clients[None].request(route.method, path.replace("projects/", "things/"), json={"x": 1}),
    ]
    for answer in answers:
        refusal(answer, 401, "UNAUTHENTICATED", "UNAUTHENTICATED")
        assert answer.headers["www-authenticate"] == 'Bearer realm="jobledger"'


@pytest.mark.slow
@pytest.mark.parametrize("path", OPEN)
def test_health_and_documentation_need_no_token(
    clients: dict[Role | None, httpx.Client], path: str
) -> None:
    assert clients[None].get(path).status_code == 200


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer x", "Basic {}", "{}", "Bearer {}x", "Bearer x{}", "Bearer\t{}",
     "Token {}", "Bearer jlt_" + "A" * 43, "Bearer {}, Bearer {}", "Bearer \xff"],
)  # fmt: skip
def test_an_invalid_token_is_refused(guarded: Guarded, header: str) -> None:
    expected = header.format(*[guarded.secrets[Role.ADMIN]] * 2).encode("latin-1")
    with guarded.server.client(headers={"authorization": expected}) as client:
        for path in (
            "/ledger/v1/jobs",
            "/v1/projects/p/jobs",
            "/v1beta1/projects/p/evaluationJobs",
        ):
            answer = client.get(path)
            refusal(answer, 401, "UNAUTHENTICATED", "UNAUTHENTICATED")
            assert answer.headers["www-authenticate"] == 'Bearer realm="jobledger"'


# One project


@pytest.fixture(scope="module")
def two_projects(guarded: Guarded) -> Guarded:
    """Jobs of `mine` and of `yours`."""
    ledger = guarded.server.ledger
    for project, jobs in (("mine", 3), ("yours", 5)):
        for number in range(jobs):
            ledger.create(f"projects/{project}/jobs/{project}{number}", {"team": project})
    return guarded


@pytest.mark.slow
@pytest.mark.parametrize(
    "filter",
    ["", "project = yours OR project = mine", "NOT project = nobody", 'name : "*"', "ever(state = QUEUED)",
     'project : "*"', "project != mine OR project = mine", "labels.team = mine OR labels.team = yours"],
)  # fmt: skip
def test_lists_and_counts_are_limited_to_the_tokens_project(
    two_projects: Guarded, limited: httpx.Client, filter: str
) -> None:
    ledger = two_projects.server.ledger
    own = [job.name for job in ledger.list('project = mine AND name : "projects/mine/jobs/mine*"')]
    query = {"filter": f'({filter or "version > 0"}) AND name : "projects/*"'}
    every: dict[str, str | int] = {**query, "orderBy": "name", "pageSize": 1_000}
    listed = limited.get("/ledger/v1/jobs", params=every).json()["jobs"]
    assert {job["project"] for job in listed} == {"mine"}
    assert {job["name"] for job in listed} >= set(own)
    for moment in ({}, {"asOf": "now"}, {"asOf": f"@{ledger.size()}"}):
        counted = limited.get("/ledger/v1/jobs:count", params={"by": "project", **query, **moment})
        assert counted.json()["counts"] == [{"value": "mine", "count": len(listed)}]


def test_a_count_by_state_is_limited_to_the_tokens_project(
    two_projects: Guarded, limited: httpx.Client, clients: dict[Role | None, httpx.Client]
) -> None:
    def total(client: httpx.Client, **query: str) -> int:
        body = client.get("/ledger/v1/jobs:count", params=query).json()
        return sum(count["count"] for count in body["counts"])

    for clock in ("recorded", "occurred"):
        own = len(two_projects.server.ledger.list("project = mine"))
        assert total(limited, asOf="now", clock=clock) == own
        assert total(clients[Role.READER], asOf="now", clock=clock) >= own + 5


def test_events_are_all_those_of_the_tokens_project(
    two_projects: Guarded, limited: httpx.Client
) -> None:
    events = list(two_projects.server.ledger.events(follow=False))
    own = [event.position for event in events if event.name.startswith("projects/mine/")]
    read, last = [], 0
    while last < len(events):
        page = limited.get("/ledger/v1/events", params={"after": last, "pageSize": 2}).json()
        read += [event["position"] for event in page["events"]]
        last = page["lastPosition"]
    assert read == own
    refusal(limited.get("/ledger/v1/projects/yours/jobs/yours0/events"), 403, "PERMISSION_DENIED")


def test_a_page_token_of_another_project_is_refused(
    two_projects: Guarded, limited: httpx.Client, clients: dict[Role | None, httpx.Client]
) -> None:
    query: dict[str, Any] = {"pageSize": 1}
    token = clients[Role.READER].get("/ledger/v1/jobs", params=query).json()["nextPageToken"]
    answer = limited.get("/ledger/v1/jobs", params={**query, "pageToken": token})
    refusal(answer, 400, "INVALID_ARGUMENT")


def test_a_batch_with_one_report_on_anothers_job_is_refused_whole(
    two_projects: Guarded, limited: httpx.Client
) -> None:
    ledger = two_projects.server.ledger
    size = ledger.size()
    names = ["projects/mine/jobs/mine0", "projects/yours/jobs/yours0", "projects/mine/jobs/mine1"]
    reports = [{"name": name, "report": "progressReported"} for name in names]
    error = refusal(limited.post(BATCH, json={"reports": reports}), 403, "PERMISSION_DENIED")
    assert (
        error["message"] == "token 'my-admin' does not permit this: it is for project 'mine' only"
    )
    assert ledger.size() == size
    limited.post(BATCH, json={"reports": reports[::2]}).raise_for_status()
    assert ledger.size() == size + 2


# Content of reports


@pytest.fixture(scope="module")
def reported(guarded: Guarded) -> Guarded:
    """A job of `mine` and one of `yours` to report on."""
    for project in ("mine", "yours"):
        guarded.server.ledger.create(f"projects/{project}/jobs/reported")
    return guarded


@pytest.mark.slow
@pytest.mark.parametrize("verb", REPORTS)
@pytest.mark.parametrize("role", Role)
def test_a_report_takes_the_same_role_alone_and_in_a_batch_and_only_in_its_project(
    reported: Guarded, verb: str, role: Role
) -> None:
    ledger, data = reported.server.ledger, NEEDED.get(verb, {})
    mine, yours = (f"projects/{project}/jobs/reported" for project in ("mine", "yours"))
    with reported.client(reported.limited[role]) as client:
        for name in (mine, yours):
            before, allowed = ledger.size(), name == mine and role >= ROLE_OF[verb]
            alone = client.post(f"/ledger/v1/{name}:{verb}", json=data)
            batch = client.post(BATCH, json={"reports": [{"name": name, "report": verb, **data}]})
            # A job that was deleted keeps what is said of it, as contradicted.
            assert {alone.status_code, batch.status_code} == {200 if allowed else 403}
            assert ledger.size() == before + 2 * allowed


@pytest.mark.parametrize("verb", ["updating", "updated"])
def test_a_report_with_a_configuration_needs_an_operator(
    reported: Guarded, clients: dict[Role | None, httpx.Client], verb: str
) -> None:
    name = "projects/p/jobs/configured"
    if reported.server.ledger.read_current(name) is None:
        reported.server.ledger.create(name)
    for expected in ({"spec": {"image": "x"}}, {"data": {"spec": {"image": "x"}}}):
        report = {"name": name, "report": verb, **expected}
        for role, code in ((Role.REPORTER, 403), (Role.OPERATOR, 200)):
            answer = clients[role].post(f"/ledger/v1/{name}:{verb}", json=expected)
            batch = clients[role].post(BATCH, json={"reports": [report]})
            assert (answer.status_code, batch.status_code) == (code, code)


def test_every_route_and_report_has_its_role_in_the_table() -> None:
    verbs = {path.rpartition("/")[2].partition(":")[2] for _, path in native_routes()} - {""}
    assert {verb: REQUIRED[verb] for verb in verbs & REQUIRED.keys()} == {
        verb: ROLE_OF[verb] for verb in verbs & REQUIRED.keys()
    }
    assert verbs - REQUIRED.keys() == {"count", "export", "stream", "tree"}  # They read.
    assert {method.name: method.role for method in METHODS.all} == {
        method.name: role_of(method.http, method.shape) for method in METHODS.all
    }


PAGES = [
    "/", "/fleet/list", "/fleet/step", "/fleet/offers", "/fleet.csv", "/jobs/{}", "/parts/why/{}",
    "/parts/step/{}", "/parts/window/{}", "/parts/blame/{}", "/parts/steps/{}", "/reports", "/reports.csv",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES)
def test_pages_need_a_reader_and_show_the_tokens_project_only(
    reported: Guarded, limited: httpx.Client, clients: dict[Role | None, httpx.Client], path: str
) -> None:
    mine, yours = (path.format(f"projects/{p}/jobs/reported") for p in ("mine", "yours"))
    assert clients[None].get(mine).status_code == 401
    for role in Role:
        assert clients[role].get(mine).status_code in {200, 400}
    own = limited.get(mine)
    assert own.status_code in {200, 400}
    assert "projects/yours" not in own.text
    assert (mine == yours) or limited.get(yours).status_code == 403


# Names and expiry of tokens


@pytest.mark.slow
def test_the_tokens_name_is_the_actor_of_what_is_written_with_it(guarded: Guarded) -> None:
    with guarded.client(guarded.limited[Role.OPERATOR]) as client:
        for path, body in (
            ("/ledger/v1/projects/mine/jobs/acted:create", {}),
            ("/ledger/v1/projects/mine/jobs/acted:started", {"data": {"actor": "somebody"}}),
            (BATCH, {"reports": [{"name": "projects/mine/jobs/acted", "report": "progressReported"}]}),
            ("/v1/projects/mine/jobs/acted:cancel", {}),
            ("/v1/projects/mine/jobs", {"jobId": "acted_too"}),
        ):  # fmt: skip
            client.post(path, json=body).raise_for_status()
    ledger = guarded.server.ledger
    for job in ("acted", "acted_too"):
        history = ledger.history(f"projects/mine/jobs/{job}")
        assert {event.actor for event in history} == {"my-operator"}
    assert (
        ledger.get("projects/mine/jobs/acted").error_message
        == "cancelled on request of my-operator"
    )


@pytest.mark.slow
def test_an_expired_or_revoked_token_is_refused(guarded: Guarded) -> None:
    tokens = Tokens(guarded.server.ledger.pool)
    soon = datetime.now(UTC) + timedelta(seconds=2)
    brief = tokens.create("brief", Role.READER, expires=soon)
    revoked = tokens.create("revoked", Role.READER)
    with guarded.client(brief) as first, guarded.client(revoked) as second:
        for client in (first, second):
            client.get("/ledger/v1/jobs").raise_for_status()
            client.get("/v1/projects/p/jobs").raise_for_status()
        tokens.revoke("revoked")
        for client, sentence in (
            (first, "token 'brief' has expired; ask for a new one"), (second, "token 'revoked' was revoked; ask for a new one"),
        ):  # fmt: skip
            eventually(lambda asker=client: asker.get("/ledger/v1/jobs").status_code == 401)  # type: ignore[misc]
            for path in ("/ledger/v1/jobs", "/v1/projects/p/jobs", STREAM):
                error = refusal(client.get(path), 401, "UNAUTHENTICATED", "UNAUTHENTICATED")
                assert error["message"] == sentence
    assert datetime.now(UTC) >= soon
