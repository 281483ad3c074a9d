"""`jobledger serve` and `serve-grpc`: serve the ledger over the network, each in its own process."""

from typing import Annotated, Final

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.cli.context import target

Host = Annotated[
    str, typer.Option(help="The address to listen on; beyond loopback it needs tokens.")
]
Port = Annotated[
    int, typer.Option(min=0, max=65_535, help="The port to listen on; 0 picks a free one.")
]
LogLevel = Annotated[str, typer.Option(help="debug, info, warning or error.")]
MaxBody = Annotated[int, typer.Option(min=1024, help="The largest request body, in bytes.")]
MaxWaiting = Annotated[
    int, typer.Option(min=1, help="The most requests at the same time; further ones are refused.")
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(help="A host name to accept without tokens, besides localhost; may be repeated."),
]
Deadline = Annotated[float, typer.Option(min=0.1, help="The time limit for an answer, in seconds.")]
Grace = Annotated[
    float,
    typer.Option(
        min=0.0,
        help="How long current requests may wait for the database after SIGTERM, in seconds.",
    ),
]
THREADS: Final = 16
"""Threads that answer RPCs; simultaneous writes are committed together."""
LEVELS: Final = ("debug", "info", "warning", "error")


def serve(
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    log_level: LogLevel = "info",
    max_body: MaxBody = 4 * 1024 * 1024,
    max_waiting: MaxWaiting = 256,
    deadline: Deadline = 30.0,
    allow_host: AllowHost = None,
    grace: Grace = 5.0,
) -> None:
    """Serve the ledger over HTTP: its own API under /ledger/v1 (described at /docs), and Google's three job APIs.

    It is ready when GET /readyz answers 200, and stops on SIGTERM. Then it
    finishes the current requests, or refuses them if the database does not answer within --grace.
    """
    try:
        from jobledger.infra.http.serve import serve as run
        from jobledger.infra.serving.context import Limits
    except ImportError as error:
        raise InvalidFieldError("serve", f"needs jobledger[server] ({error})") from error
    hosts = tuple(allow_host or ())
    limits = Limits(max_body, max_waiting, deadline=deadline, grace=grace, hosts=hosts)
    _check_level(log_level)
    aim = target(context)
    run(aim.dsn, aim.ledger, host, port, limits, log_level)


def serve_grpc(
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = 8081,
    log_level: LogLevel = "info",
    max_body: MaxBody = 4 * 1024 * 1024,
    max_waiting: MaxWaiting = 256,
    deadline: Deadline = 30.0,
    grace: Grace = 5.0,
) -> None:
    """Serve Google's Vertex AI and Data Labeling job APIs over gRPC, for their Python clients.

    It is ready when it logs "listening", and stops on SIGTERM. Then it
    finishes the current requests, or refuses them if the database does not answer within --grace.
    """
    _check_level(log_level)
    try:
        from jobledger.infra.grpc.serve import serve as run
        from jobledger.infra.serving.context import Limits
    except ImportError as error:
        raise InvalidFieldError("serve-grpc", f"needs jobledger[grpc] ({error})") from error
    limits = Limits(max_body, max_waiting, deadline=deadline, grace=grace, threads=THREADS)
    aim = target(context)
    run(aim.dsn, aim.ledger, host, port, limits, log_level)


def _check_level(level: str) -> None:
    if level not in LEVELS:
        raise InvalidFieldError("log_level", f"{level!r} is not debug, info, warning or error")
