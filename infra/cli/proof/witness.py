"""`jobledger witness`: cosigns checkpoints of other logs. It needs no ledger."""

from pathlib import Path
from typing import Annotated

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.proof.signing.keys import read_verifiers
from jobledger.infra.proof.witness.state_file import open_files, read_key
from jobledger.infra.proof.witness.witness import Witness

KeyFile = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        help="The file of its private key; created with --name if it does not exist.",
    ),
]
StateFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="The file of its last cosigned checkpoints; never lose or restore it."
    ),
]
LogKeys = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY|FILE", help="A log's public key, or a file of them."),
]
Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[
    int, typer.Option(min=0, max=65_535, help="The port to listen on; 0 picks a free one.")
]
KeyName = Annotated[
    str | None,
    typer.Option(help="The name of a new key, such as witness.example.com/w1; it cannot change."),
]
PrintKey = Annotated[bool, typer.Option("--print-key", help="Print its public key, and exit.")]


def witness(
    key: KeyFile,
    state: StateFile = None,
    log: LogKeys = None,
    host: Host = "127.0.0.1",
    port: Port = 8090,
    name: KeyName = None,
    print_key: PrintKey = False,
) -> None:
    """Serve a witness, which cosigns checkpoints of logs that only grew (C2SP tlog-witness); needs no database.

    It is ready when it logs "listening", with its public key, and stops on SIGTERM.
    """
    if print_key:
        typer.echo(str(read_key(key).verifier))
        return
    if state is None:
        raise InvalidFieldError("state", "is missing; give --state FILE")
    logs = read_verifiers(log or ())
    if not logs:
        raise InvalidFieldError("log", "is missing; give --log KEY")
    try:
        from jobledger.infra.http.witness_server import serve
    except ImportError as error:
        raise InvalidFieldError("witness", f"needs jobledger[server] ({error})") from error
    signing, memory = open_files(key, state, name)
    serve(Witness(signing, logs, memory), host, port)
