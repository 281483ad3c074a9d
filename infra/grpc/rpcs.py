"""Maps RPCs to methods of the APIs, by their names and by the clients' types.

A method `aiplatform.projects.locations.customJobs.create` is the RPC `CreateCustomJob`. Which
service has it, and which messages it takes and gives, the transports of Google's clients say.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import import_module
from typing import Any, Final, NamedTuple, get_args, get_type_hints

import proto
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from jobledger.infra.google.labeling import methods as datalabeling_v1beta1
from jobledger.infra.google.vertex import methods as aiplatform_v1
from jobledger.infra.google.wire.calls import Method

OF_ONE: Final = frozenset({"create", "get", "patch", "delete", "cancel", "pause", "resume", "wait"})
OF_MANY: Final = frozenset({"list", "search", "batchCancel", "batchDelete"})
"""Verbs that are followed by the name of a resource in plural."""

_VERTEX_SERVICES: Final = ("JobService", "PipelineService", "GenAiTuningService", "NotebookService")
V1: Final = "google.cloud.aiplatform.v1"
V1BETA1: Final = "google.cloud.aiplatform.v1beta1"
LABELING: Final = "google.cloud.datalabeling.v1beta1"
SERVICES: Final = {
    V1: _VERTEX_SERVICES,
    V1BETA1: _VERTEX_SERVICES,
    LABELING: ("DataLabelingService",),
}
"""The services of each proto package; their transports hold the message types of RPCs."""
OPERATIONS: Final = operations_pb2.DESCRIPTOR.services_by_name["Operations"]


class Types(NamedTuple):
    """The service that has an RPC, and its messages."""

    service: str
    request: type[Message]
    response: type[Message]


class Rpc(NamedTuple):
    """One RPC, and the method that it is over HTTP."""

    name: str
    types: Types
    method: Method

    @property
    def path(self) -> str:
        """The path of the RPC in HTTP/2 requests."""
        return f"/{self.types.service}/{self.name}"


def rpc_name(method: str) -> str:
    """`CreateCustomJob`, of `aiplatform.projects.locations.customJobs.create`."""
    *_, collection, verb = method.split(".")
    noun = ""
    if verb in OF_ONE | OF_MANY:
        noun = collection if verb in OF_MANY else collection.removesuffix("s")
    return _capital("update" if verb == "patch" else verb) + _capital(noun)


def client_types(packages: Iterable[str]) -> dict[tuple[str, str], Types]:
    """Returns the RPCs of Google's client packages, and those of google.longrunning.Operations.

    Each package is imported, which takes seconds for Vertex AI.

    Args:
        packages: The names of the packages.

    Returns:
        The types of request and answer, by API and name of the RPC.
    """
    found = {}
    for package in packages:
        for service in SERVICES[package]:
            for name, stub in vars(_transport(package, service)).items():
                types = _types(f"{package}.{service}", stub) if isinstance(stub, property) else None
                if types is not None:
                    rpc = "".join(map(_capital, name.split("_")))
                    found[package.split(".")[2], rpc] = types
    for rpc in OPERATIONS.methods:
        asked, answer = GetMessageClass(rpc.input_type), GetMessageClass(rpc.output_type)
        found["operations", rpc.name] = Types(OPERATIONS.full_name, asked, answer)
    return found


def _transport(package: str, service: str) -> type:
    """The base of the transports in Google's client of a service."""
    *parents, version = package.split(".")
    snake = re.sub(r"(?<!^)(?=[A-Z])", "_", service).lower()
    module = f"{'.'.join(parents)}_{version}.services.{snake}.transports"
    transport: type = getattr(import_module(module), f"{service}Transport")
    return transport


def _types(service: str, stub: property) -> Types | None:
    """Returns an RPC's message types, from the annotation `Callable[[Request], Response | Awaitable[Response]]` of its transport."""
    match get_args(get_type_hints(stub.fget).get("return")):
        case [[asked], answered] if issubclass(asked, proto.Message):
            return Types(service, _raw(asked), _raw(get_args(answered)[0]))
    return None


def _raw(message: Any) -> type[Message]:
    """The protobuf class, of one of proto-plus, too."""
    raw: type[Message] = message.pb() if issubclass(message, proto.Message) else message
    return raw


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _rpcs(packages: tuple[str, ...], methods: Iterable[Method]) -> Iterator[Rpc]:
    known = client_types(packages)
    for method in methods:
        api, name = method.name.partition(".")[0], rpc_name(method.name)
        if (api, name) in known:
            yield Rpc(name, known[api, name], method)


def _vertex(path: str) -> list[Method]:
    return [m for m in aiplatform_v1.METHODS.all if m.shape.startswith(f"{path}/")]


RPCS: Final = {
    rpc.path: rpc
    for rpc in _rpcs((V1, LABELING), (*_vertex("v1"), *datalabeling_v1beta1.METHODS.all))
}
"""The RPCs by path, such as `/google.cloud.aiplatform.v1.JobService/CreateCustomJob`, without those of V1BETA1."""


@cache
def beta_rpcs() -> dict[str, Rpc]:
    """Returns the RPCs of V1BETA1. They are loaded by the first call, as few callers need them and it takes seconds."""
    found = {rpc.path: rpc for rpc in _rpcs((V1BETA1,), _vertex("v1beta1"))}
    return {path: rpc for path, rpc in found.items() if path not in RPCS}
