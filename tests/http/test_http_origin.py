"""Origins of requests: pages of other sites, other host names, and security headers of answers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.errors import ForeignRequestError
from jobledger.infra.http.origin import Hosts, check_site

from tests.http.test_http import document, refusal
from tests.http.test_http_access import OPEN, PAGES, ROUTES, Route, named
from tests.servers import Server, new_server

CHANGING = [route for route in ROUTES if route.method != "GET"]
FOREIGN = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:1"},
    {"origin": "http://localhost"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:{}"},
]
"""What a browser says of a page of another site."""
OTHER_HOSTS = ["evil.example", "evil.example:{}", "127.0.0.1.evil.example", "localhost.evil", "0.0.0.0:{}", "10.0.0.1", "[::2]:{}", ""]  # fmt: skip
OWN_HOSTS = ["127.0.0.1:{}", "localhost:{}", "LOCALHOST", "127.9.9.9", "[::1]:{}", "ledger.internal", "ledger.internal:{}"]  # fmt: skip
ELSEWHERE = re.compile(r"""(?:src|href|action)=["']?(?:https?:)?//""")


@pytest.fixture(scope="module")
def opened(dsn: str) -> Iterator[Server]:
    """A server without tokens that answers to one further name."""
    with new_server(dsn, "--allow-host", "ledger.internal") as started:
        yield started


@pytest.mark.slow
@pytest.mark.parametrize("route", CHANGING, ids=named)
def test_requests_from_pages_of_other_sites_change_nothing(opened: Server, route: Route) -> None:
    size, path = opened.ledger.size(), route.path.format("p")
    with opened.client() as client:
        for body in FOREIGN:
            headers = {key: value.format(opened.port) for key, value in body.items()}
            for content in (b"", b"{}"):
                kind = {"content-type": "text/plain"} if content else {}
                answer = client.request(route.method, path, content=content, headers=headers | kind)
                refusal(answer, 403, "PERMISSION_DENIED", "FOREIGN_REQUEST")
    assert opened.ledger.size() == size


@pytest.mark.parametrize("path", ["/session", "/session:end"])
def test_other_sites_cannot_sign_in_or_out(opened: Server, path: str) -> None:
    with opened.client() as client:
        for body in FOREIGN:
            headers = {key: value.format(opened.port) for key, value in body.items()}
            assert client.post(path, headers=headers).status_code == 403
        own = {"origin": f"http://127.0.0.1:{opened.port}"}
        assert client.post(path, headers=own).status_code == 303
        assert client.post(path, headers={"sec-fetch-site": "same-origin"}).status_code == 303


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_a_server_without_tokens_answers_only_to_its_own_names(
    opened: Server, route: Route
) -> None:
    with opened.client() as client:
        for host in OTHER_HOSTS:
            headers = {"host": host.format(opened.port)}
            answer = client.request(route.method, route.path.format("p"), headers=headers)
            refusal(answer, 403, "PERMISSION_DENIED", "FOREIGN_REQUEST")


@pytest.mark.slow
@pytest.mark.parametrize("host", OWN_HOSTS)
def test_allowed_hosts_are_loopback_and_the_configured_ones(opened: Server, host: str) -> None:
    with opened.client(headers={"host": host.format(opened.port)}) as client:
        for path in ("/", "/ledger/v1/jobs", "/v1/projects/p/jobs", "/openapi.json", "/docs"):
            assert client.get(path).status_code == 200


@pytest.mark.slow
def test_with_tokens_a_server_answers_to_any_name_and_still_to_no_other_site(dsn: str) -> None:
    with new_server(dsn) as server:
        secret = Tokens(server.ledger.pool).create("ci", Role.OPERATOR)
        with server.client(headers={"authorization": f"Bearer {secret}"}) as client:
            behind = {"host": "ledger.example", "origin": "https://ledger.example"}
            path = "/ledger/v1/projects/p/jobs/{}:create"
            assert client.post(path.format("a"), headers=behind).status_code == 200
            foreign = behind | {"origin": "https://evil.example"}
            refusal(client.post(path.format("b"), headers=foreign), 403, "PERMISSION_DENIED")


@pytest.mark.slow
@given(st.from_regex(r"[a-z0-9.:\[\]@-]{0,20}", fullmatch=True))
def test_allowed_hosts_are_compared_exactly(host: str) -> None:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    own = name in {"localhost", "here"} or name == "::1" or name.startswith("127.")
    assert own or not Hosts(["here"]).has(host.encode())


@given(st.binary(max_size=30), st.binary(max_size=30))
def test_an_origin_that_differs_from_the_host_is_foreign(origin: bytes, host: bytes) -> None:
    if origin.lower() in {b"http://" + host.lower(), b"https://" + host.lower()}:
        return
    headers = {b"origin": origin, b"host": host}
    if origin.partition(b"://")[2].lower() != host.lower():
        with pytest.raises(ForeignRequestError):
            check_site("POST", headers, Hosts())


# The type of a body


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/jsonx", "json"])  # fmt: skip
@pytest.mark.parametrize("path", [
    "/ledger/v1/projects/p/jobs/typed:create", "/ledger/v1/reports:batch", "/v1/projects/p/jobs",
    "/v1beta1/projects/p/evaluationJobs", "/ledger/v1/projects/p/evaluationJobs/1:recordPredictions",
])  # fmt: skip
def test_a_body_without_a_json_content_type_is_refused(
    opened: Server, path: str, kind: str
) -> None:
    size = opened.ledger.size()
    with opened.client() as client:
        answer = client.post(path, content=b"{}", headers={"content-type": kind} if kind else {})
    error = refusal(answer, 400, "INVALID_ARGUMENT")
    assert error["message"] == f"Content-Type: {kind!r} must be application/json (curl: --json)"
    assert opened.ledger.size() == size


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/cloudevents+json"])  # fmt: skip
def test_registered_content_types_of_json_are_accepted(opened: Server, kind: str) -> None:
    with opened.client(headers={"content-type": kind}) as client:
        assert (
            client.post("/ledger/v1/reports:batch", content=b'{"reports": []}').status_code == 200
        )
        assert client.post("/ledger/v1/projects/p/jobs/none:cancel").status_code == 404


@pytest.mark.slow
def test_curls_default_content_type_needs_a_token(dsn: str) -> None:
    with new_server(dsn) as server:
        form = {"content-type": "application/x-www-form-urlencoded"}
        batch, body = "/ledger/v1/reports:batch", b'{"reports": []}'
        with server.client(headers=form) as client:
            assert client.post(batch, content=body).status_code == 400
            secret = Tokens(server.ledger.pool).create("ci", Role.REPORTER)
            token = {"authorization": f"Bearer {secret}"}
            assert client.post(batch, content=body, headers=token).status_code == 200


# What answers let a browser do


def policy(answer: httpx.Response) -> dict[str, str]:
    """The answer's only Content-Security-Policy."""
    (message,) = answer.headers.get_list("content-security-policy")
    directives = (part.strip().partition(" ") for part in message.split(";"))
    return {name: sources for name, _, sources in directives}


def check_guarded(answer: httpx.Response) -> None:
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    body = policy(answer)
    assert body["frame-ancestors"] == "'none'"
    assert body["default-src"] == "'none'"
    for directive in ("script-src", "style-src", "connect-src", "form-action"):
        for source in body.get(directive, "'none'").split():
            assert source in {"'none'", "'self'"} or source.startswith("'sha256-")


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_every_answer_can_be_neither_run_nor_framed(opened: Server, route: Route) -> None:
    with opened.client() as client:
        with client.stream(route.method, route.path.format("p")) as answer:
            check_guarded(answer)
        check_guarded(client.get("/ledger/v1/jobs", headers={"host": "evil.example"}))


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [*OPEN, *PAGES, "/nowhere", "/assets/x/page.css", "/assets/x/none", "/label/form.js",
     "/label/projects/p/evaluationJobs/1/1", "/session"],
)  # fmt: skip
def test_every_page_and_file_can_be_framed_by_nobody_and_loads_nothing_from_elsewhere(
    opened: Server, path: str
) -> None:
    with opened.client() as client:
        answer = client.get(path.format("projects/p/jobs/none"))
    check_guarded(answer)
    assert ELSEWHERE.search(answer.text) is None


def test_an_answer_to_invalid_http_has_the_security_headers(opened: Server) -> None:
    with opened.client() as client:
        answer = client.request("BREW", "/")
        assert answer.status_code == 400
        check_guarded(answer)


@pytest.mark.slow
def test_the_reference_names_every_operation(opened: Server) -> None:
    with opened.client() as client:
        page = client.get("/docs").text
    assert "<script" not in page
    for path, methods in document(opened)["paths"].items():
        for method, operation in methods.items():
            assert f'id="{operation["operationId"]}"' in page
            assert f"<b>{method.upper()}</b> {path}" in page
