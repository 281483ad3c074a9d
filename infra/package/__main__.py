"""`python -m jobledger` is the command line."""

from jobledger.infra.cli import program

program()
