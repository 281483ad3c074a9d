"""The command line: `jobledger --help`."""

from jobledger.infra.cli.app import main

__all__ = ["main"]
