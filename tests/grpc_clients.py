"""Google's gRPC clients, pointed at a server of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from tests.ledgers import fresh_ledger
from tests.servers import Server, serving


class Clients(NamedTuple):
    """Google's clients, on one channel."""

    channel: Any
    v: Any
    """google.cloud.aiplatform_v1"""
    d: Any
    """google.cloud.datalabeling_v1beta1"""
    jobs: Any
    pipelines: Any
    tuning: Any
    notebooks: Any
    labeling: Any

    def raw(self, path: str, **options: Any) -> Callable[..., bytes]:
        """An RPC by its path, in bytes."""
        call: Callable[..., bytes] = self.channel.unary_unary(path, **options)
        return call


@contextmanager
def connected(server: Server) -> Iterator[Clients]:
    import grpc
    from google.cloud import aiplatform_v1 as v
    from google.cloud import datalabeling_v1beta1 as d

    def client(cls: Any) -> Any:
        return cls(transport=cls.get_transport_class("grpc")(channel=channel))

    # A connection of its own: channels to one address share one otherwise.
    own = (("grpc.use_local_subchannel_pool", 1),)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", own) as channel:
        yield Clients(
            channel, v, d,
            client(v.JobServiceClient), client(v.PipelineServiceClient),
            client(v.GenAiTuningServiceClient), client(v.NotebookServiceClient),
            client(d.DataLabelingServiceClient),
        )  # fmt: skip


@contextmanager
def new_grpc_server(dsn: str, *options: str) -> Iterator[tuple[Server, Clients]]:
    """A server of a ledger of its own."""
    with (
        fresh_ledger(dsn) as ledger,
        serving(ledger, dsn, *options, command="serve-grpc") as server,
        connected(server) as clients,
    ):
        yield server, clients


def refusal(cls: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """The error of exactly that class of google.api_core that the call raises."""
    from google.api_core import exceptions

    with pytest.raises(exceptions.GoogleAPICallError) as caught:
        call(*arguments, **named)
    assert type(caught.value) is getattr(exceptions, cls), caught.value
    return caught.value


def as_raw(message: Any) -> Any:
    """The protobuf message in one of proto-plus."""
    return type(message).pb(message)


def custom_job(google: Clients, **fields: Any) -> Any:
    """One with a field of every sort, enums as numbers."""
    pool = {
        "machine_spec": {"machine_type": "n1", "accelerator_type": 5, "accelerator_count": 2},
        "replica_count": 3,
        "container_spec": {"image_uri": "image", "args": ["a", "ü"]},
    }
    spec = {
        "worker_pool_specs": [pool, {}],
        "scheduling": {"timeout": {"seconds": 3600, "nanos": 5 * 10**8}, "strategy": 3},
    }
    return google.v.CustomJob(display_name="d", labels={"a": "b", "ü": ""}, job_spec=spec, **fields)
