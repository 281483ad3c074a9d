"""Which RPC is which method of the faces: found by names and by the clients' types, never listed here.

A method `aiplatform.projects.locations.customJobs.create` is the RPC `CreateCustomJob`. Which
service has it, and which messages it takes and gives, the transports of Google's clients say.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple, get_args, get_type_hints

import proto
from google.cloud.aiplatform_v1.services.gen_ai_tuning_service.transports import (
    GenAiTuningServiceTransport,
)
from google.cloud.aiplatform_v1.services.job_service.transports import JobServiceTransport
from google.cloud.aiplatform_v1.services.notebook_service.transports import NotebookServiceTransport
from google.cloud.aiplatform_v1.services.pipeline_service.transports import PipelineServiceTransport
from google.cloud.datalabeling_v1beta1.services.data_labeling_service.transports import (
    DataLabelingServiceTransport,
)
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from jobledger.infra.google.labeling import methods as datalabeling_v1beta1
from jobledger.infra.google.vertex import methods as aiplatform_v1
from jobledger.infra.google.wire.calls import Method

OF_ONE: Final = frozenset({"create", "get", "patch", "delete", "cancel", "pause", "resume", "wait"})
OF_MANY: Final = frozenset({"list", "search", "batchCancel", "batchDelete"})
"""Verbs that are followed by what they are of; another one says all there is to say."""

_VERTEX: Final = "google.cloud.aiplatform.v1"
SERVICES: Final[dict[str, type]] = {
    f"{_VERTEX}.JobService": JobServiceTransport,
    f"{_VERTEX}.PipelineService": PipelineServiceTransport,
    f"{_VERTEX}.GenAiTuningService": GenAiTuningServiceTransport,
    f"{_VERTEX}.NotebookService": NotebookServiceTransport,
    "google.cloud.datalabeling.v1beta1.DataLabelingService": DataLabelingServiceTransport,
}
"""Where RPCs may be, and what says of each which messages it has."""
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
        return f"/{self.types.service}/{self.name}"


def rpc_name(method: str) -> str:
    """`CreateCustomJob`, of `aiplatform.projects.locations.customJobs.create`."""
    *_, collection, verb = method.split(".")
    noun = ""
    if verb in OF_ONE | OF_MANY:
        noun = collection if verb in OF_MANY else collection.removesuffix("s")
    return _capital("update" if verb == "patch" else verb) + _capital(noun)


def client_types() -> dict[tuple[str, str], Types]:
    """Every RPC of those services by its API and name, and of google.longrunning.Operations."""
    found = {}
    for service, transport in SERVICES.items():
        api = service.split(".")[2]
        for name, stub in vars(transport).items():
            if isinstance(stub, property) and (types := _types(service, stub)) is not None:
                found[api, "".join(map(_capital, name.split("_")))] = types
    for rpc in OPERATIONS.methods:
        asked, said = GetMessageClass(rpc.input_type), GetMessageClass(rpc.output_type)
        found["operations", rpc.name] = Types(OPERATIONS.full_name, asked, said)
    return found


def _types(service: str, stub: property) -> Types | None:
    """A transport says `Callable[[Request], Response | Awaitable[Response]]` of each RPC of its own."""
    match get_args(get_type_hints(stub.fget).get("return")):
        case [[asked], said] if issubclass(asked, proto.Message):
            return Types(service, _raw(asked), _raw(get_args(said)[0]))
    return None


def _raw(message: Any) -> type[Message]:
    """The protobuf class, of one of proto-plus, too."""
    raw: type[Message] = message.pb() if issubclass(message, proto.Message) else message
    return raw


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _rpcs() -> Iterator[Rpc]:
    known = client_types()
    for method in (*aiplatform_v1.METHODS.all, *datalabeling_v1beta1.METHODS.all):
        api, name = method.name.partition(".")[0], rpc_name(method.name)
        if (api, name) in known:
            yield Rpc(name, known[api, name], method)


RPCS: Final = {rpc.path: rpc for rpc in _rpcs()}
"""By path, such as `/google.cloud.aiplatform.v1.JobService/CreateCustomJob`."""
