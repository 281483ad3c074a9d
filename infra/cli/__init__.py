"""The command line: `jobledger --help`."""

import gc
import os
import sys
from pathlib import Path
from typing import Any, Final

__all__ = ["main", "program"]

GC_THRESHOLD: Final = (50_000, 20, 20)
"""The threshold of garbage collection: imported objects stay, so scanning them finds nothing."""


def program() -> None:
    """Runs the command line as a program; faster than `main`, because the process ends after it."""
    gc.set_threshold(*GC_THRESHOLD)
    sys.stdout, sys.stderr = map(_able, (sys.stdout, sys.stderr))
    try:
        main()
    finally:
        gc.freeze()  # Skips the last garbage collection at the interpreter's end.


def _able(stream: Any) -> Any:
    """Returns a stream that any text can be printed to: to nowhere if the caller has closed it."""
    if stream is None:
        return Path(os.devnull).open("w", encoding="utf-8")
    stream.reconfigure(errors="backslashreplace")  # What the encoding of the locale lacks.
    return stream


def main() -> None:
    """Runs the command line; the usual forms of `run` do not import what the other commands need."""
    if "run" in sys.argv[1:] and _ran_fast(sys.argv[1:]):
        return
    from jobledger.infra.cli.app import main

    main()


def _ran_fast(arguments: list[str]) -> bool:
    """Whether this was a plain `run`, which then ends the program with the command's exit code."""
    from jobledger.infra.cli.jobs.fast_run import parse_run

    if (parsed := parse_run(arguments)) is None:
        return False
    from jobledger.domain.errors import LedgerError
    from jobledger.infra.cli.jobs.run import Runner

    try:
        runner = Runner(*parsed)
    except LedgerError:
        return False  # The error is printed as for every command.
    sys.exit(runner.run())
