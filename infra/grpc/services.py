"""Google's gRPC services and their messages, from `google.binpb`, which scripts/descriptors writes.

The messages are in a pool of their own, so a process that has also loaded Google's clients, which
make the same messages, may use both.
"""

from importlib import resources
from typing import Final, NamedTuple

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_VERTEX_SERVICES: Final = ("JobService", "PipelineService", "GenAiTuningService", "NotebookService")
V1: Final = "google.cloud.aiplatform.v1"
V1BETA1: Final = "google.cloud.aiplatform.v1beta1"
LABELING: Final = "google.cloud.datalabeling.v1beta1"
SERVICES: Final = {
    V1: _VERTEX_SERVICES,
    V1BETA1: _VERTEX_SERVICES,
    LABELING: ("DataLabelingService",),
}
"""The services of each proto package."""
OPERATIONS: Final = "google.longrunning.Operations"


class Types(NamedTuple):
    """The service that has an RPC, and its messages."""

    service: str
    request: type[Message]
    response: type[Message]


def _pool() -> DescriptorPool:
    pool = DescriptorPool()
    data = resources.files(__package__).joinpath("google.binpb").read_bytes()
    for file in FileDescriptorSet.FromString(data).file:
        pool.Add(file)
    return pool


POOL: Final = _pool()
"""All messages that the server reads and writes, and the types of an Any within them."""


def types_of(service: str) -> dict[str, Types]:
    """Returns the messages of each RPC of a service.

    Args:
        service: The full name of the service, such as `google.cloud.aiplatform.v1.JobService`.

    Returns:
        The types of request and answer, by the name of the RPC.
    """
    return {
        rpc.name: Types(service, GetMessageClass(rpc.input_type), GetMessageClass(rpc.output_type))
        for rpc in POOL.FindServiceByName(service).methods
    }
