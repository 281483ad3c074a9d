"""The served RPCs and their requests, derived from the APIs' tables, without gaps."""

from __future__ import annotations

import runpy
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.google.labeling import methods as datalabeling_v1beta1
from jobledger.infra.google.vertex import methods as aiplatform_v1
from jobledger.infra.google.wire import details
from jobledger.infra.google.wire.status import CODES

from tests.checkout import ROOT
from tests.google.test_google_messages import VERTEX, VERTEX_JOBS, bodies

METHODS = [*aiplatform_v1.METHODS.all, *datalabeling_v1beta1.METHODS.all]


def stubs_of(client: Any) -> dict[str, tuple[str, str]]:
    """The RPCs of a client as it really calls them: which message it sends, and which it expects."""
    import grpc

    stubs = dict[str, tuple[str, str]]()

    def note(path: str, request_serializer: Any, response_deserializer: Any) -> Any:
        sent = getattr(request_serializer, "__self__", None)  # None: an RPC of every service.
        if sent is not None:
            stubs[path] = full_name(sent), full_name(response_deserializer.__self__)
        return lambda: None

    with (
        pytest.MonkeyPatch.context() as patch,
        grpc.insecure_channel("127.0.0.1:1") as unused,
    ):
        patch.setattr(grpc, "intercept_channel", lambda *_: SimpleNamespace(unary_unary=note))
        client.get_transport_class("grpc")(channel=unused)
    return stubs


def full_name(message: Any) -> str:
    descriptor = message.DESCRIPTOR if hasattr(message, "DESCRIPTOR") else message.pb().DESCRIPTOR
    return str(descriptor.full_name)


@pytest.mark.slow
def test_every_rpc_about_jobs_is_served_with_the_messages_that_clients_send_and_expect() -> None:
    from google.cloud import aiplatform_v1, aiplatform_v1beta1
    from google.cloud import datalabeling_v1beta1 as labeling
    from jobledger.infra.grpc.rpcs import RPCS

    vertex_clients = (
        (getattr(package, client), about)
        for package in (aiplatform_v1, aiplatform_v1beta1)
        for client, about in (
            ("JobServiceClient", ""),
            ("PipelineServiceClient", ""),
            ("GenAiTuningServiceClient", ""),
            ("NotebookServiceClient", "NotebookExecutionJob"),
        )
    )
    expected = {
        path: messages
        for client, about in (
            *vertex_clients,
            (labeling.DataLabelingServiceClient, "Evaluation"),
            (labeling.DataLabelingServiceClient, "ExampleComparisons"),
            (labeling.DataLabelingServiceClient, "AnnotationSpecSet"),
        )
        for path, messages in stubs_of(client).items()
        if about in path
    }

    served = {
        path: (full_name(rpc.types.request), full_name(rpc.types.response))
        for path, rpc in RPCS.items()
    }
    operations = {path for path in served if path.startswith("/google.longrunning.Operations/")}
    assert {path: served[path] for path in served.keys() - operations} == expected
    assert {path.rpartition("/")[2] for path in operations} == {
        f"{verb}Operation" for verb in ("Get", "Wait", "Cancel", "Delete")
    } | {"ListOperations"}


def test_every_method_over_http_has_its_rpc() -> None:
    """But for paths of one job's operations, which gRPC has under other names; v1beta has no package."""
    from jobledger.infra.grpc.rpcs import RPCS

    for version in ("v1", "v1beta1"):
        twins = {rpc.method.shape for rpc in RPCS.values()}
        twins |= {shape.replace("v1/", "v1beta1/", 1) for shape in twins if "/operations" in shape}
        of_version = [m for m in METHODS if m.shape.startswith(f"{version}/") and m.call]
        assert [
            m for m in of_version if m.shape not in twins and "/*/operations" not in m.shape
        ] == []
    methods = {(rpc.types.service, rpc.method.name) for rpc in RPCS.values()}
    assert len(RPCS) == len(methods)


def test_every_field_of_every_request_is_understood() -> None:
    from jobledger.infra.grpc.rpcs import RPCS
    from jobledger.infra.grpc.wire import Wire

    left = {}
    for rpc in RPCS.values():
        if rpc.method.call is not None:
            wire = Wire(rpc)
            fields = {field.json_name for field in rpc.types.request.DESCRIPTOR.fields}
            fields -= {wire.name_path[0], wire.body_field} | rpc.method.query
            left[rpc.name] = fields
    # Of these the rest is the body.
    assert left.pop("CreateEvaluationJob") == {"job"}
    assert left.pop("CreateAnnotationSpecSet") == {"annotationSpecSet"}
    assert left.pop("SearchExampleComparisons") == {"pageSize", "pageToken"}
    assert left.pop("BatchCancelPipelineJobs") == left.pop("BatchDeletePipelineJobs") == {"names"}
    assert {name: fields for name, fields in left.items() if fields} == {}


@pytest.mark.slow
@pytest.mark.parametrize("job", VERTEX_JOBS)
@settings(
    suppress_health_check=[HealthCheck.too_slow],
    deadline=None, max_examples=25,
)  # fmt: skip
@given(data=st.data())
def test_a_body_comes_to_the_same_over_grpc_as_over_http(job: str, data: st.DataObject) -> None:
    from google.cloud import aiplatform_v1 as vertex
    from google.protobuf import json_format
    from jobledger.infra.grpc.rpcs import RPCS
    from jobledger.infra.grpc.wire import Wire

    by_name = {
        rpc.name: rpc
        for path, rpc in RPCS.items()
        if path.startswith("/google.cloud.aiplatform.v1.")
    }
    wire = Wire(by_name[f"Create{job}"])
    message = getattr(vertex, job).pb()
    try:
        over_http = VERTEX.parse(job, data.draw(bodies(VERTEX, job)))
    except InvalidFieldError:
        reject()  # Free JSON takes no integer that a double cannot hold.
    sent = json_format.ParseDict(over_http, message(), ignore_unknown_fields=True)
    request = {"parent": "projects/p/locations/l", wire.body_field: json_format.MessageToDict(sent)}

    asked = wire.read(json_format.ParseDict(request, wire.rpc.types.request()).SerializeToString())

    assert asked.ids == ("p", "l")
    parsed = VERTEX.parse(job, asked.body)
    assert json_format.ParseDict(parsed, message(), ignore_unknown_fields=True) == sent


@pytest.mark.slow
def test_the_descriptors_are_what_the_script_makes_of_googles_packages() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "descriptors"))
    assert script["render"]() == (ROOT / "infra/grpc/google.binpb").read_bytes()


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_every_type_that_an_operation_names_is_known(version: str) -> None:
    """These are sent as an Any, which no RPC names."""
    from jobledger.infra.grpc.services import POOL

    package = f"google.cloud.aiplatform.{version}"
    for name in ("DeleteOperationMetadata", "CreateNotebookExecutionJobOperationMetadata",
                 "UpdateModelDeploymentMonitoringJobOperationMetadata",
                 "BatchCancelPipelineJobsOperationMetadata", "BatchDeletePipelineJobsResponse"):  # fmt: skip
        assert POOL.FindMessageTypeByName(f"{package}.{name}")
    for name in details.MESSAGES:
        assert POOL.FindMessageTypeByName(f"google.rpc.{name}")


def test_every_code_is_one_of_grpcs() -> None:
    import grpc

    ours = {code.name: code.number for code in CODES.values()}
    assert ours == {code.name: code.value[0] for code in grpc.StatusCode if code.value[0]}
