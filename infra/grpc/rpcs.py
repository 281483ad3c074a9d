"""Maps RPCs to methods of the APIs, by their names.

A method `aiplatform.projects.locations.customJobs.create` is the RPC `CreateCustomJob`.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from jobledger.infra.google.labeling import methods as datalabeling_v1beta1
from jobledger.infra.google.vertex import methods as aiplatform_v1
from jobledger.infra.google.wire.calls import Method
from jobledger.infra.grpc.services import (
    LABELING,
    OPERATIONS,
    SERVICES,
    V1,
    V1BETA1,
    Types,
    types_of,
)

OF_ONE: Final = frozenset({"create", "get", "patch", "delete", "cancel", "pause", "resume", "wait"})
OF_MANY: Final = frozenset({"list", "search", "batchCancel", "batchDelete"})
"""Verbs that are followed by the name of a resource in plural."""


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


def _capital(word: str) -> str:
    return word[:1].upper() + word[1:]


def _rpcs(package: str, methods: Iterable[Method]) -> Iterator[Rpc]:
    """The RPCs of a package that are served, and those of google.longrunning.Operations."""
    api = package.split(".")[2]
    known = {("operations", name): types for name, types in types_of(OPERATIONS).items()}
    for service in SERVICES[package]:
        known |= {(api, name): types for name, types in types_of(f"{package}.{service}").items()}
    for method in methods:
        key = method.name.partition(".")[0], rpc_name(method.name)
        if key in known:
            yield Rpc(key[1], known[key], method)


def _vertex(path: str) -> list[Method]:
    return [m for m in aiplatform_v1.METHODS.all if m.shape.startswith(f"{path}/")]


RPCS: Final = {
    rpc.path: rpc
    for package, methods in (
        (V1BETA1, _vertex("v1beta1")),
        (LABELING, datalabeling_v1beta1.METHODS.all),
        (V1, _vertex("v1")),  # The last one has the operations, which all versions share.
    )
    for rpc in _rpcs(package, methods)
}
"""The RPCs by path, such as `/google.cloud.aiplatform.v1.JobService/CreateCustomJob`."""
