"""`jobledger witness`: cosigns for other people's logs. It has no ledger of its own."""

from pathlib import Path
from typing import Annotated

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.proof.signing.keys import read_verifiers
from jobledger.infra.proof.witness.state_file import open_files, read_key
from jobledger.infra.proof.witness.witness import Witness


def witness(
    key: Annotated[
        Path,
        typer.Option(metavar="FILE", help="Its private key; made, with --name, if not there."),
    ],
    state: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What it cosigned last; never lose or restore this."),
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY|FILE", help="A log's public key, or a file of them."),
    ] = None,
    host: Annotated[str, typer.Option(help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any that is free.")] = 8090,
    name: Annotated[
        str | None,
        typer.Option(help="What a new key is called, such as witness.example.com/w1; for good."),
    ] = None,
    print_key: Annotated[
        bool, typer.Option("--print-key", help="Only print its public key.")
    ] = False,
) -> None:
    """Serve a witness: it cosigns that logs only ever grow (C2SP tlog-witness). Needs no database.

    It is ready when it logs "listening", with its public key, and stops on SIGTERM.
    """
    if print_key:
        typer.echo(str(read_key(key).verifier))
        return
    if state is None:
        raise InvalidFieldError("state", "a witness needs a file to remember in: --state FILE")
    logs = read_verifiers(log or ())
    if not logs:
        raise InvalidFieldError("log", "a witness needs a log to witness: --log KEY")
    try:
        from jobledger.infra.http.witness_server import serve
    except ImportError as error:
        raise InvalidFieldError("witness", f"needs jobledger[server] ({error})") from error
    signing, memory = open_files(key, state, name)
    serve(Witness(signing, logs, memory), host, port)
