"""The gRPC server as a process: refusals, authentication, limits, and stopping."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import JobState
from jobledger.infra import Ledger
from jobledger.infra.access.tokens import Role, Tokens
from jobledger.infra.serving.context import Limits

from tests.grpc_clients import Clients, as_raw, connected, custom_job, new_grpc_server, refusal
from tests.ledgers import fresh_ledger
from tests.servers import TIMEOUT_SECONDS, Server, serving

pytestmark = pytest.mark.slow

IN_P = "projects/p/locations/l"


@pytest.fixture(scope="module")
def server_and_clients(dsn: str) -> Iterator[tuple[Server, Clients]]:
    with new_grpc_server(dsn) as started:
        yield started


@pytest.fixture(scope="module")
def served(server_and_clients: tuple[Server, Clients]) -> Server:
    return server_and_clients[0]


@pytest.fixture(scope="module")
def google(server_and_clients: tuple[Server, Clients]) -> Clients:
    return server_and_clients[1]


@pytest.fixture
def parent(project: str) -> str:
    return f"projects/{project}/locations/us-central1"


# What is refused


@pytest.mark.parametrize(
    "name",
    ["", "x", "projects/p/jobs/x", "projects/p/locations/l/nasJobs/1", "projects/p/locations/l/customJobs/",
     "/v1/projects/p/locations/l/customJobs/1", "projects//locations/l/customJobs/1",
     "projects/p/locations/l/customJobs/1/operations/2", "projects/p/locations/l/customJobs/ü",
     "projects/p/locations/l/customJobs/1:cancel", "projects/p/locations/l/customJobs/a%2Fb",
     "projects/p/locations/l/customJobs/1\n", "projects/p/locations/l/customJobs/\0",
     "projects/p/locations/l/customJobs/" + "x" * 2_049, "projects/p/locations/l/customJobs/" + "ü" * 1_000,
     "ü" * 1_000],
)  # fmt: skip
def test_bad_names_are_refused(google: Clients, name: str) -> None:
    for call in (google.jobs.get_custom_job, google.jobs.cancel_custom_job):
        error = refusal("InvalidArgument", call, name=name)
        assert (error.reason, error.domain) == ("INVALID_FIELD", "jobledger")
        assert error.metadata["field"] == "name"


BAD_CREATES: list[tuple[dict[str, Any], str]] = [
    ({"parent": "", "custom_job": {}}, "parent"),
    ({"parent": "projects/p", "custom_job": {}}, "parent"),
    ({"parent": "projects/p/locations/l/customJobs", "custom_job": {}}, "parent"),
    ({}, "customJob"),
    ({"custom_job": {"display_name": "d" * 129}}, "displayName"),
    ({"custom_job": {"labels": {"A": "b"}}}, "labels"),
]
BAD_LISTS: list[tuple[dict[str, Any], str]] = [
    ({"parent": "projects/p"}, "parent"),
    ({"page_size": -1}, "pageSize"),
    ({"filter": "state = "}, "filter"),
    ({"filter": "ü" * 100_000}, "filter"),
    ({"page_token": "x"}, "page_token"),
    ({"read_mask": {"paths": ["nothing"]}}, "readMask"),
]


def test_an_invalid_request_is_refused_with_the_field(google: Clients, parent: str) -> None:
    for call, bad in (
        (google.jobs.create_custom_job, BAD_CREATES),
        (google.jobs.list_custom_jobs, BAD_LISTS),
    ):
        for asked, field in bad:
            error = refusal("InvalidArgument", call, {"parent": parent} | asked)
            assert error.metadata["field"] == field
    update = google.jobs.update_model_deployment_monitoring_job
    error = refusal("InvalidArgument", update, {})
    assert error.metadata["field"] == "modelDeploymentMonitoringJob.name"


def test_an_unknown_enum_number_is_refused(google: Clients, parent: str) -> None:
    job = as_raw(custom_job(google))
    job.job_spec.worker_pool_specs[0].machine_spec.accelerator_type = 999
    request = google.v.CreateCustomJobRequest.pb()(parent=parent, custom_job=job)
    error = refusal("InvalidArgument", google.jobs.create_custom_job, request)
    assert error.metadata["field"] == "jobSpec.workerPoolSpecs[0].machineSpec.acceleratorType"


@pytest.mark.parametrize(
    "data",
    [b"\xff", b"\x0a\xff", b"\x0a\x01\xff", b"\x12" + b"\x80" * 20, bytes(1_000)],
    ids=["key", "length", "utf-8", "varint", "zeros"],
)  # fmt: skip
def test_an_invalid_message_is_refused(google: Clients, data: bytes) -> None:
    import grpc

    for path in (
        "JobService/CreateCustomJob",
        "JobService/ListCustomJobs",
        "PipelineService/CreatePipelineJob",
    ):
        with pytest.raises(grpc.RpcError) as caught:
            google.raw(f"/google.cloud.aiplatform.v1.{path}")(data, timeout=30)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT, caught.value


def test_values_outside_json_are_refused_over_grpc(google: Clients, parent: str) -> None:
    for value in (float("nan"), float("inf")):
        asked = {"parent": parent, "pipeline_job": {"pipeline_spec": {"n": value}}}
        error = refusal("InvalidArgument", google.pipelines.create_pipeline_job, asked)
        assert error.metadata["field"] == "request"
    request = google.v.CreateCustomJobRequest.pb()(parent=parent)
    request.custom_job.job_spec.scheduling.timeout.seconds = 10**15
    error = refusal("InvalidArgument", google.jobs.create_custom_job, request)
    assert "cannot be read" in error.message


def field(number: int, data: bytes) -> bytes:
    """A field as protobuf writes it."""
    size, length = len(data), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + data


@pytest.mark.parametrize(
    ("levels", "code"), [(30, "OK"), (40, "INVALID_ARGUMENT"), (9_999, "INVALID_ARGUMENT")]
)
def test_json_may_go_as_deep_as_clients_can_read(
    google: Clients, parent: str, levels: int, code: str
) -> None:
    import grpc

    spec = b""
    for _ in range(levels):  # A struct's entry, and the value in it, which is a struct.
        spec = field(1, field(1, b"a") + field(2, field(5, spec)))
    assert google.v.PipelineJob.pb().DESCRIPTOR.fields_by_name["pipeline_spec"].number == 7
    create = google.raw("/google.cloud.aiplatform.v1.PipelineService/CreatePipelineJob")
    try:
        job = google.v.PipelineJob.deserialize(
            create(field(1, parent.encode()) + field(2, field(7, spec)), timeout=30)
        )
        assert google.pipelines.get_pipeline_job(name=job.name) == job
        assert code == "OK"
    except grpc.RpcError as error:
        assert error.code().name == code, error


def test_a_message_over_the_limit_is_refused(google: Clients, parent: str) -> None:
    large = {"parent": parent, "custom_job": {"display_name": "x" * 5_000_000}}
    assert "larger than max" in str(
        refusal("ResourceExhausted", google.jobs.create_custom_job, large)
    )
    # And what an event cannot hold, by the ledger.
    pools = [{"machine_spec": {"machine_type": "x" * 300_000}}]
    large["custom_job"] = {"job_spec": {"worker_pool_specs": pools}}
    assert (
        refusal("InvalidArgument", google.jobs.create_custom_job, large).reason == "DATA_TOO_LARGE"
    )


def test_a_small_message_cannot_expand_beyond_the_limit(google: Clients, parent: str) -> None:
    import grpc

    request = google.v.CreateCustomJobRequest(
        parent=parent, custom_job={"display_name": "x" * 10**7}
    )
    data = type(request).serialize(request)
    call = google.raw("/google.cloud.aiplatform.v1.JobService/CreateCustomJob")
    with pytest.raises(grpc.RpcError) as caught:
        call(data, timeout=30, compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED, caught.value


@pytest.mark.parametrize(
    "path",
    ["/google.cloud.aiplatform.v1.NotebookService/CreateNotebookRuntime",
     "/google.cloud.datalabeling.v1beta1.DataLabelingService/CreateDataset",
     "/google.cloud.aiplatform.v1.JobService/getCustomJob", "/google.cloud.location.Locations/ListLocations",
     "/x", "/x/y", "/" + "x" * 4_000],
)  # fmt: skip
def test_an_unknown_method_is_not_implemented(google: Clients, path: str) -> None:
    import grpc

    unary, stream = google.raw(path), google.channel.stream_stream(path)
    for call in (lambda: unary(b"x", timeout=30), lambda: list(stream(iter([b"x"]), timeout=30))):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED, caught.value


def test_methods_that_only_google_has_are_unimplemented(google: Clients) -> None:
    search = google.jobs.search_model_deployment_monitoring_stats_anomalies
    asked = {"model_deployment_monitoring_job": f"{IN_P}/modelDeploymentMonitoringJobs/1"}
    assert refusal("MethodNotImplemented", search, asked).reason == "UNIMPLEMENTED"


def test_a_method_that_the_state_does_not_allow_is_refused(
    google: Clients, served: Server, parent: str
) -> None:
    job = google.jobs.create_batch_prediction_job(parent=parent, batch_prediction_job={})
    served.ledger.started(job.name)
    error = refusal("FailedPrecondition", google.jobs.delete_batch_prediction_job, name=job.name)
    assert error.reason == "ILLEGAL_TRANSITION"
    allowed = '["SUCCEEDED","FAILED","CANCELLED","EXPIRED","PARTIALLY_SUCCEEDED"]'
    assert error.metadata == {
        "name": job.name, "state": "RUNNING", "event": "Deleted", "allowed": allowed,
    }  # fmt: skip
    served.ledger.succeeded(job.name)
    refusal("FailedPrecondition", google.jobs.cancel_batch_prediction_job, name=job.name)


# Authentication


@pytest.fixture(scope="module")
def guarded(dsn: str) -> Iterator[tuple[Server, Clients, dict[str, str]]]:
    """A server that asks for tokens, reached from anywhere, and their secrets."""
    with fresh_ledger(dsn) as ledger:
        tokens = Tokens(ledger.pool)
        secrets = {role.name: tokens.create(role.name.lower(), role) for role in Role}
        secrets["OF_Q"] = tokens.create("of-q", Role.ADMIN, "q")
        with (
            serving(ledger, dsn, "--host", "0.0.0.0", command="serve-grpc") as server,
            connected(server) as google,
        ):
            yield server, google, secrets


IN_P = "projects/p/locations/l"


def bearer(secret: str) -> dict[str, Any]:
    return {"metadata": [("authorization", f"Bearer {secret}")]}


def test_a_call_without_a_valid_token_is_refused(
    guarded: tuple[Server, Clients, dict[str, str]],
) -> None:
    _, google, _ = guarded
    get = google.jobs.get_custom_job
    asked = {"name": f"{IN_P}/customJobs/1"}
    error = refusal("Unauthenticated", get, asked)
    assert (error.reason, error.metadata) == ("UNAUTHENTICATED", {"reason": "missing"})
    error = refusal("Unauthenticated", get, asked, **bearer("jlt_" + "x" * 43))
    assert error.metadata == {"reason": "unknown"}
    refusal("Unauthenticated", get, {"name": "no name"})
    refusal("Unauthenticated", google.labeling.search_evaluations, {"parent": "projects/p"})
    import grpc

    with pytest.raises(grpc.RpcError) as caught:
        google.raw("/x/y")(b"", timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_each_method_takes_its_role_and_its_project(
    guarded: tuple[Server, Clients, dict[str, str]],
) -> None:
    server, google, secrets = guarded
    create = google.jobs.create_custom_job
    asked = {"parent": IN_P, "custom_job": {"display_name": "d"}}
    for role in ("READER", "REPORTER"):
        error = refusal("PermissionDenied", create, asked, **bearer(secrets[role]))
        assert error.metadata == {"name": role.lower(), "role": "operator"}
    error = refusal("PermissionDenied", create, asked, **bearer(secrets["OF_Q"]))
    assert error.metadata == {"name": "of-q", "project": "q"}

    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = [*bearer(secrets["OPERATOR"])["metadata"], ("traceparent", trace)]
    job = create(asked, metadata=headers)
    (event,) = server.ledger.history(job.name)
    assert (event.actor, event.trace_parent) == ("operator", trace)
    for role in ("READER", "ADMIN"):
        assert google.jobs.get_custom_job(name=job.name, **bearer(secrets[role])) == job
    refusal(
        "PermissionDenied", google.jobs.get_custom_job, name=job.name, **bearer(secrets["OF_Q"])
    )
    parents = {"parent": "projects/q/locations/l"}
    assert list(google.jobs.list_custom_jobs(parents, **bearer(secrets["OF_Q"]))) == []

    output = [log for log in server.logs if log.get("message") == "request"]
    written = next(log for log in output if log["trace_id"] == trace.split("-")[1])
    assert written["method"] == "/google.cloud.aiplatform.v1.JobService/CreateCustomJob"
    assert (written["code"], written["actor"]) == ("OK", "operator")
    denied = next(log for log in output if log["code"] == "PERMISSION_DENIED")
    assert "token 'reader' does not permit" in denied["error"]
    assert not any(secret in str(server.logs) for secret in secrets.values())


def test_every_rpc_takes_the_role_of_its_method_and_its_project(
    guarded: tuple[Server, Clients, dict[str, str]],
) -> None:
    import grpc
    from jobledger.infra.grpc.rpcs import RPCS
    from jobledger.infra.grpc.wire import Wire

    _, google, secrets = guarded
    for path, rpc in RPCS.items():
        asked: Any = rpc.types.request()
        wire = Wire(rpc)
        names = {each.json_name: each.name for each in asked.DESCRIPTOR.fields}
        *inside, field = wire.name_path
        of = getattr(asked, names[inside[0]]) if inside else asked
        name = wire.resource.replace("*", "p", 1).replace("*", "none")
        setattr(of, field if inside else names[field], name)
        if wire.body_field is not None:
            getattr(asked, names[wire.body_field]).SetInParent()
        for role, secret in secrets.items():
            try:
                google.raw(path)(asked.SerializeToString(), timeout=30, **bearer(secret))
                code = grpc.StatusCode.OK
            except grpc.RpcError as error:
                code = error.code()
            allowed = role != "OF_Q" and Role[role] >= rpc.method.role
            assert (code is not grpc.StatusCode.PERMISSION_DENIED) == allowed, (path, role, code)


@pytest.mark.parametrize(
    ("host", "taken", "sentence"),
    [("0.0.0.0", False, "make a token first"), ("127.0.0.1", True, "cannot be listened on")],
)
def test_it_is_open_to_others_only_with_tokens_and_alone_on_its_port(
    served: Server, host: str, taken: bool, sentence: str
) -> None:
    from jobledger.infra.grpc import serve as serving

    port = served.port if taken else 0
    with pytest.raises(InvalidFieldError, match=sentence):
        asyncio.run(serving._serve(served.dsn, served.ledger.name, host, port, Limits()))


# Processes


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT_SECONDS
    )


def test_googles_messages_are_loaded_in_this_process_only() -> None:
    done = python(
        "import sys, jobledger.infra.cli.app, jobledger.infra.http.app\n"
        "print([name for name in sys.modules if name.startswith(('grpc', 'google.'))"
        " and name != 'google.cloud'])"
    )
    assert done.stdout == "[]\n", done


def test_it_loads_none_of_googles_clients() -> None:
    done = python(
        "import sys, jobledger.infra.grpc.serve\n"
        "print([name for name in sys.modules if name.startswith(('proto.', 'google.cloud.', 'google.api_core'))])"
    )
    assert done.stdout == "[]\n", done


@pytest.mark.parametrize("missing", ["grpc", "google.protobuf"])
def test_without_the_extra_the_command_names_it(missing: str) -> None:
    done = python(
        f"import sys; sys.modules[{missing!r}] = None; sys.argv[1:] = ['serve-grpc']\n"
        "from jobledger.infra.cli.app import main; main()"
    )
    assert done.returncode == 2
    assert done.stderr.startswith("jobledger: serve-grpc: needs jobledger[grpc]"), done.stderr


@contextmanager
def locked(ledger: Ledger) -> Iterator[None]:
    """Nobody reads or writes meanwhile."""
    with ledger.connection() as connection, connection.transaction():
        connection.execute("LOCK TABLE jobs, events")
        yield


def until(what: Callable[[], Any]) -> None:
    end = time.monotonic() + TIMEOUT_SECONDS
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="module")
def small(dsn: str) -> Iterator[tuple[Server, Clients]]:
    """A server that takes on two reads and two writes at once, for two seconds."""
    with new_grpc_server(dsn, "--max-waiting", "2", "--deadline", "2") as started:
        yield started


ASKED = {"name": f"{IN_P}/customJobs/1"}


def test_excess_and_slow_calls_are_refused(small: tuple[Server, Clients]) -> None:
    server, google = small
    get = google.jobs.get_custom_job
    refusal("NotFound", get, ASKED)
    with (
        connected(server) as second,
        connected(server) as third,
        ThreadPoolExecutor(2) as threads,
        locked(server.ledger),
    ):
        # Of different kinds: reads of single jobs share a session. One connection gets half of the places.
        asked = [(get, ASKED), (second.jobs.list_custom_jobs, {"parent": IN_P})]
        slow = [threads.submit(refusal, "DeadlineExceeded", *each) for each in asked]
        until(lambda: _in_work(server) == 2)
        refusal(
            "ServiceUnavailable", third.jobs.get_custom_job, ASKED
        )  # It does not wait for the deadline.
        errors = [future.result() for future in slow]
        expected = ("DEADLINE_EXCEEDED", {"seconds": "2.0"})
        assert [(error.reason, error.metadata) for error in errors] == [expected] * 2
        # And the caller's own deadline.
        refusal("DeadlineExceeded", get, ASKED, timeout=0.5)
    refusal("NotFound", get, ASKED)
    until(lambda: any(body.get("code") == "CANCELLED" for body in server.logs))


def test_an_internal_error_reveals_no_details(small: tuple[Server, Clients]) -> None:
    server, google = small
    with server.ledger.connection() as connection:
        connection.execute("ALTER TABLE jobs RENAME labels TO lost")
        error = refusal("InternalServerError", google.jobs.get_custom_job, ASKED)
        assert (error.message, error.metadata) == ("the ledger failed; its log says how", {})
        connection.execute("ALTER TABLE jobs RENAME lost TO labels")
    until(lambda: any("UndefinedColumn" in body.get("exc_info", "") for body in server.logs))
    refusal("NotFound", google.jobs.get_custom_job, ASKED)


def _in_work(server: Server) -> int:
    """How many wait for a lock in the database."""
    with server.ledger.connection() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%%jobs%%'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def _accepts(port: int) -> bool:
    """Whether the server takes new connections."""
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def test_it_stops_after_accepted_calls_are_done(dsn: str) -> None:
    with (
        new_grpc_server(dsn) as (server, google),
        connected(server) as other,
        ThreadPoolExecutor(1) as threads,
    ):
        asked = {"parent": IN_P, "custom_job": {"display_name": "d"}}
        for one in (google, other):
            one.jobs.create_custom_job(asked)
        with locked(server.ledger):
            taken_on = threads.submit(google.jobs.create_custom_job, asked)
            until(lambda: _in_work(server))
            server.process.terminate()
            until(lambda: not _accepts(server.port))
            refusal("ServiceUnavailable", other.jobs.create_custom_job, asked, timeout=5)
            assert server.process.poll() is None
        job = taken_on.result(TIMEOUT_SECONDS)
        assert server.process.wait(TIMEOUT_SECONDS) == 0
        assert server.ledger.get(job.name).state is JobState.QUEUED
        assert len(server.ledger.list()) == 3
