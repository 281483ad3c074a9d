"""Request ids belong to a project: other projects neither use nor see them."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobledger.domain.errors import LedgerError, RequestReusedError
from jobledger.infra import Ledger

from tests.http.test_http import refusal
from tests.http.test_http_batch import BATCH
from tests.servers import Server

PROJECTS = ["p", "q", "p-q", "1"]
IDS = ["1", "r", "q/r", "p/r", "/", "ü"]
RUNS = count()
CALLS = st.lists(
    st.tuples(st.sampled_from(PROJECTS), st.sampled_from(["a", "b"]), st.sampled_from(IDS)),
    min_size=1, max_size=12,
)  # fmt: skip


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(calls=CALLS)
def test_each_project_has_request_ids_of_its_own(
    ledger: Ledger, calls: list[tuple[str, str, str]]
) -> None:
    run = next(RUNS)
    used: dict[tuple[str, str], str] = {}
    for project, job, id_ in calls:
        name, request = f"projects/{project}/jobs/{job}-{run}", f"{id_} {run}"
        first = used.setdefault((project, request), name)
        if first != name:
            with pytest.raises(RequestReusedError) as caught:
                ledger.create(name, request_id=request)
            assert caught.value.name == first
            continue
        # The same request again is the same answer; another one on the same job is refused.
        try:
            ledger.create(name, request_id=request)
        except LedgerError as error:
            assert type(error).__name__ == "JobExistsError"
            del used[project, request]
    for (_, request), name in used.items():
        assert ledger.history(name)[0].request_id == request


def test_a_request_id_of_another_project_is_neither_revealed_nor_blocked(
    server: Server, project: str
) -> None:
    other = f"{project}x"
    with server.client() as client:
        path = "/ledger/v1/projects/{}/jobs/{}:create"
        made = client.post(path.format(other, "secret"), json={"requestId": "deploy"})
        assert made.status_code == 200
        assert (
            client.post(path.format(project, "a"), json={"requestId": "deploy"}).status_code == 200
        )
        reused = client.post(path.format(project, "b"), json={"requestId": "deploy"})
        error = refusal(reused, 409, "ALREADY_EXISTS")
        assert f"projects/{project}/jobs/a" in error["message"]
        client.post(path.format(project, "c")).raise_for_status()
        reports = [
            {"name": f"projects/{project}/jobs/c", "report": "started", "requestId": id_}
            for id_ in ("deploy", "new")
        ]
        results = client.post(BATCH, json={"reports": reports}).json()["results"]
        assert "error" in results[0]
        assert results[1]["type"] == "Started"
        assert "secret" not in str(results) + reused.text
