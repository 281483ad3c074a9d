"""Random requests by the OpenAPI document: never a 500, and an error is always a Status.

The cases are Schemathesis's, as the document describes them and as it does not, but sent to a server
by httpx and drawn a few at a time: Hypothesis spends more on one example than on five cases in it.
After ten examples it makes most others of parts of earlier ones, and two thirds of the requests would be
sent several times. Therefore each ten examples are drawn with a seed of their own, and no request is sent twice.
They would hardly ever find a job that is there, or a message that Google has; the document that they
are drawn from therefore knows the names of some, and the fields of Google's messages.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from jobledger.domain.data import Data
from jobledger.domain.events import Created, Event, Failed, Paused, Started, Succeeded, Updating
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.google.vertex.resources import RESOURCES
from jobledger.infra.google.wire import messages
from jobledger.infra.google.wire.messages import Api
from schemathesis import Case, GenerationMode, openapi
from schemathesis.core import NOT_SET
from schemathesis.core.result import Ok

from tests.evaluation_jobs import spec_of
from tests.http.documented import Documented
from tests.http.test_http import document, refusal
from tests.http.test_http_access import role_of
from tests.http.test_http_stream import STREAM
from tests.servers import Server, new_server

CASES = 800
"""How many different requests are sent to a surface."""
CASES_OF_A_ROLE = 200
AT_ONCE = 5
EXAMPLES = 10
SURFACES = {
    "native": ("/ledger/v1/",),
    "ml": ("ml.",),
    "aiplatform": ("aiplatform.", "operations."),
    "datalabeling": ("datalabeling.",),
}
"""How the paths begin, or the names of methods."""
JOBS = [f"j{n}" for n in range(60)]
KINDS = ["jobs", "evaluationJobs", *(f"locations/l/{collection}" for collection in RESOURCES)]
BEGAN = datetime(2026, 1, 31, 12, tzinfo=UTC)
LIVES: list[list[Data]] = [
    [Created()],
    [Created(labels={"team": "a"}, spec={"displayName": "x"}), Started()],
    [Created(), Started(), Paused()],
    [Created(), Started(), Failed()],
    [Created(), Started(), Updating(spec={"displayName": "y"})],
    [Created(), Started(), Succeeded(output={"trials": [{}], "nasTrialDetails": [{"id": "1"}, 5]})],
]
MOMENTS = ["2026-01-31T12:01:00Z", "2026-01-31T14:00:00+02:00", "now", "@7", "v2", "2h ago", "2026-01-31T12:01:00Z@9"]  # fmt: skip
KNOWN: dict[str, list[Any]] = {
    "project": ["p"],
    "location": ["l"],
    "operation": [str(position) for position in range(1, 200)],
    "name": [f"projects/p/{kind}/{job}" for kind in KINDS[:4] for job in JOBS],
    "asOf": MOMENTS,
    "readTime": MOMENTS,
    "validTime": MOMENTS,
    "clock": ["recorded", "occurred"],
    "filter": ["state = RUNNING", 'labels.team = "a"', "ever(state = FAILED)", "state:SUCC*",
               "createTime > 2026-01-01T00:00:00Z", 'displayName="x"', "NOT (state=PAUSED OR version < 2)"],
    "orderBy": ["createTime desc", "name", "labels.team, update_time", "displayName"],
    "by": ["state", "kind", "labels.team", "spec.displayName"],
    "pageSize": [1, 10],
    "fields": ["jobs(jobId)", "*"],
    "readMask": ["name,state", "*"],
    "updateMask": ["labels", "*", "etag", "labels.a", "displayName",
                   "evaluationJobConfig.exampleCount"],
    "options.requestedPolicyVersion": [0, 1, 3],
    "view": ["NOTEBOOK_EXECUTION_JOB_VIEW_FULL"],
}  # fmt: skip
SCALARS: dict[str, dict[str, Any]] = {
    "bool": {"type": "boolean"},
    "bytes": {"enum": ["", "AAAA", "_-8"]},
    "double": {"type": "number"},
    "duration": {"enum": ["1s", "-0.5s", "315576000000s"]},
    "float": {"type": "number", "minimum": -1e30, "maximum": 1e30},
    "int32": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"enum": ["0", 7, "-9223372036854775808"]},
    "timestamp": {"enum": ["2026-01-31T12:00:00Z", "0001-01-01T00:00:00Z"]},
    "any": {"type": "object"},
    "value": {},
}


def schema_of(api: Api, type_: str, levels: int) -> dict[str, Any]:
    """What a type of Google's messages may be; free below so many levels."""
    if type_ in SCALARS:
        return SCALARS[type_]
    if type_.startswith("["):
        return {"type": "array", "items": schema_of(api, type_[1:-1], levels), "maxItems": 2}
    if type_.startswith("map<"):
        values = schema_of(api, type_[4:-1], levels)
        return {"type": "object", "additionalProperties": values, "maxProperties": 2}
    try:
        fields = api.fields(type_)
    except KeyError:
        with suppress(KeyError):
            return {"enum": list(api.enum(type_))}
        return {"type": "string"}
    if levels == 0:
        return {"type": "object"}
    return {
        "type": "object",
        "properties": {name: schema_of(api, of, levels - 1) for name, of in fields.items()},
        "additionalProperties": False,
        "maxProperties": 4,
    }


def body_schema(message: str) -> dict[str, Any] | None:
    """What a message that the document names may be; None for one that it names and Google has not."""
    match message:
        case "names":
            pipelines = [f"projects/p/locations/l/pipelineJobs/{job}" for job in JOBS]
            names = {"type": "array", "items": {"enum": pipelines}, "minItems": 1, "maxItems": 3}
            return {"type": "object", "properties": {"names": names}, "required": ["names"]}
        case "CreateEvaluationJobRequest":
            drawn = schema_of(messages.load("datalabeling_v1beta1"), "EvaluationJob", 2)
            either = {"anyOf": [drawn, whole_evaluation_job()]}
            return {"type": "object", "properties": {"job": either}, "required": ["job"]}
        case "Job":
            job = schema_of(messages.load("ml_v1"), "Job", 2)
            job["properties"]["jobId"] = {"type": "string", "pattern": "^new_[a-z]{6}$"}
            return {**job, "required": ["jobId"]}
    for api in map(messages.load, ("ml_v1", "aiplatform_v1", "datalabeling_v1beta1")):
        for name in (message, f"GoogleIamV1__{message}"):
            with suppress(KeyError):
                return schema_of(api, name, 2) if api.fields(name) else None
    return None


def whole_evaluation_job() -> dict[str, Any]:
    """An evaluation job that can be created: one drawn field by field hardly ever has all that it must have."""
    fields: dict[str, Any] = {field: {"const": value} for field, value in spec_of().items()}
    fields["modelVersion"] = {
        "type": "string",
        "pattern": "^projects/q/models/m/versions/[a-z]{6}$",
    }
    return {"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False}  # fmt: skip


def knowing(entries: dict[str, Any]) -> dict[str, Any]:
    """The document, narrowed down to what is there."""
    known = deepcopy(entries)
    for methods in known["paths"].values():
        for operation in methods.values():
            for parameter in operation.get("parameters", ()):
                usual = JOBS if parameter["in"] == "path" else []
                if values := KNOWN.get(parameter["name"], usual):
                    parameter["schema"] = {"enum": values}
            body = operation.get("requestBody", {})
            if schema := body_schema(body.get("description", "")):
                body["content"]["application/json"]["schema"] = schema
    return known


@cache
def cases(document: str, surface: str) -> list[Case[Any]]:
    """The cases of one surface, always the same: drawn once for all tests, as that takes longer than to send them."""
    strategy = strategy_of(json.loads(document), surface)
    drawn: dict[str, Case[Any]] = {}
    for number in count():

        @seed(number)
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def draw(some: list[Case[Any]]) -> None:
            for case in some:
                drawn.setdefault(repr(request_of(case, "http://server")), case)

        draw()
        if len(drawn) >= CASES:
            break
    return [*drawn.values()][:CASES]


def strategy_of(body: dict[str, Any], surface: str) -> st.SearchStrategy[list[Case[Any]]]:
    """Some requests of one surface: three that know what is there, one that does not, one that is wrong."""
    good = of_surface(knowing(body), surface, GenerationMode.POSITIVE)
    wild = of_surface(body, surface, GenerationMode.POSITIVE)
    wrong = of_surface(body, surface, GenerationMode.NEGATIVE)
    return st.lists(st.one_of(good, good, good, wild, wrong), min_size=AT_ONCE, max_size=AT_ONCE)


def of_surface(
    entries: dict[str, Any], surface: str, mode: GenerationMode
) -> st.SearchStrategy[Case[Any]]:
    begins = SURFACES[surface]
    found = openapi.from_dict(entries).get_all_operations()
    chosen = [
        operation.as_strategy(generation_mode=mode)
        for operation in (each.ok() for each in found if isinstance(each, Ok))
        if operation.path != STREAM
        and (operation.path.startswith(begins)
             or operation.definition.raw.get("summary", "").startswith(begins))
    ]  # fmt: skip
    assert chosen
    return st.sampled_from(chosen).flatmap(lambda one: one)


def request_of(case: Case[Any], base_url: str) -> dict[str, Any]:
    """The arguments of `httpx.Client.request`."""
    sent = case.as_transport_kwargs(base_url=base_url)
    content = sent.get("data")
    if sent.get("json", NOT_SET) is not NOT_SET:
        content = json.dumps(sent["json"]).encode()
    kind = {"content-type": "application/json"} if content is not None else {}
    return {
        "method": sent["method"], "url": sent["url"], "params": sent.get("params"),
        "content": content, "headers": kind,
    }  # fmt: skip


def check(answer: httpx.Response, case: Case[Any], documented: Documented) -> None:
    """Checks that the answer is as documented, or a Status."""
    if answer.status_code == 200:
        documented.check(case.method, case.operation.path, answer)
        return
    assert answer.status_code < 500 or answer.status_code in {501, 503, 504}, answer.text
    refusal(answer, answer.status_code, answer.json()["error"]["status"])


@pytest.fixture(scope="module")
def lived(dsn: str) -> Iterator[Server]:
    """A server with jobs of every kind in every state."""
    with new_server(dsn) as server:
        server.ledger.append_many(_events())
        yield server


def _events() -> Iterable[Event]:
    for kind in KINDS:
        for number, job in enumerate(JOBS):
            for version, data in enumerate(LIVES[number % len(LIVES)], 1):
                at = BEGAN + timedelta(minutes=version)
                yield Event(f"projects/p/{kind}/{job}", version, data, at)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize("surface", SURFACES)
def test_random_requests_are_answered_or_refused_with_a_status(lived: Server, surface: str) -> None:
    answers: Counter[int] = Counter()
    expected = document(lived)
    documented = Documented(expected)
    with lived.client() as client:
        for case in cases(json.dumps(expected), surface):
            answer = client.request(**request_of(case, str(client.base_url)))
            answers[answer.status_code] += 1
            check(answer, case, documented)
    assert answers.total() == CASES
    assert answers[200] > CASES // 20  # It was not all nonsense.
    bad = [record for record in lived.logs if record.get("level") not in {"INFO", "WARNING"}]
    assert bad == []


SECRET = "hushed-up"
"""What another project's jobs are called, and say."""


@pytest.fixture(scope="module")
def guarded(dsn: str) -> Iterator[tuple[Server, dict[Role, str]]]:
    """A server with such jobs, with jobs of another project, and a token of each role in the first one."""
    with new_server(dsn) as server:
        server.ledger.append_many(_events())
        for kind in KINDS:
            server.ledger.create(
                f"projects/other/{kind}/{SECRET}", {"team": "a"}, spec={"displayName": SECRET}
            )
        tokens = Tokens(server.ledger.pool)
        yield server, {role: tokens.create(f"my-{role}", role, "p") for role in Role}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize("role", Role, ids=str)
@pytest.mark.parametrize("surface", SURFACES)
def test_random_requests_of_a_role_stay_within_its_rights(
    guarded: tuple[Server, dict[Role, str]], surface: str, role: Role
) -> None:
    server, secrets = guarded
    refused = 0
    expected = document(server)
    documented = Documented(expected)
    with server.client(headers={"authorization": f"Bearer {secrets[role]}"}) as client:
        for case in cases(json.dumps(expected), surface)[:CASES_OF_A_ROLE]:
            answer = client.request(**request_of(case, str(client.base_url)))
            check(answer, case, documented)
            assert SECRET not in answer.text
            assert answer.status_code != 401
            refused += answer.status_code == 403
            if role < role_of(case.method, case.operation.path):
                assert answer.status_code != 200, (case.method, case.operation.path)
    assert refused > 0 or role >= Role.OPERATOR  # Of these little is kept back.
