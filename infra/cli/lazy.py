"""The top group of the command line: it imports a command's module when that command is run."""

import os
import sys
from typing import Any, Final

import typer
from jobledger.infra.cli.commands import COMMANDS, OTHER_WORDS, PASSING_ON, Entry
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

WORD: Final = "jobledger.command"
"""The key of the command's name, as it was given, in the context of the program."""

WRONG_WORD: Final = ("No such command", "Got unexpected extra argument")
"""Beginnings of errors about a word that is no command, or that the command does not take."""


class Unloaded(TyperCommand):
    """A command that is not imported yet: only its name and its help are known."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(name, help=entry.help)
        self.entry = entry

    def load(self) -> Any:
        """Imports the command: the function or typer.Typer that the table names."""
        assert self.name is not None
        from jobledger.infra.cli.option_values import check_values

        found = self.entry.find()
        holder = typer.Typer(add_completion=False)
        # With a single command, typer would make it the program, so a group is added.
        holder.callback()(lambda: None)
        if isinstance(found, typer.Typer):
            holder.add_typer(found, name=self.name)
        else:
            settings = {"ignore_unknown_options": self.name in PASSING_ON}
            holder.command(self.name, context_settings=settings)(found)
        group = get_command(holder)
        assert isinstance(group, TyperGroup)
        return _plain(check_values(group.commands[self.name]))


def _plain(command: Any) -> Any:
    """Returns the command with plain help: rich would break its lines as the docstring does."""
    command.rich_markup_mode = None
    for each in getattr(command, "commands", {}).values():
        _plain(each)
    return command


class LazyGroup(TyperGroup):
    """Lists and completes commands by the table alone; running one, or asking for its help, imports it."""

    def __init__(self, **attributes: Any) -> None:
        """`attributes` are TyperGroup's."""
        super().__init__(**attributes)
        self.commands = {name: Unloaded(name, entry) for name, entry in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Resolves as any group, and imports the command."""
        ctx.meta[WORD] = args[0]
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, Unloaded) else command, rest

    def invoke(self, ctx: Any) -> Any:
        """Invokes the command; a closed pipe is not an error, and an invalid value is named."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except typer.BadParameter as error:
            _name_value(error)
            raise
        except TyperException as error:
            _name_command(error, ctx.meta.get(WORD))
            raise
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses as any group; without arguments it prints the help and exits with 2."""
        if not args and not ctx.resilient_parsing:
            typer.echo(self.get_help(ctx))
            raise typer.Exit(2)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Prints plain text, because importing rich takes too long."""
        super(TyperGroup, self).format_help(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Lists every command with its complete help."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self.commands[name].help or "") for name in self.list_commands(ctx)]
            )


def _name_value(error: typer.BadParameter) -> None:
    """Rewrites an error of pydantic's in the words of the ledger: what would be right, and the value."""
    if error.__cause__ is not None:
        from jobledger.domain.values.validation import why_invalid
        from pydantic import ValidationError

        if isinstance(error.__cause__, ValidationError):
            error.message = why_invalid(error.__cause__.errors()[0])


def _name_command(error: TyperException, word: str | None) -> None:
    """Adds the command that does what another program does by this word, if a word is wrong."""
    why, _, suggested = error.message.partition(" Did you mean")
    if not why.startswith(WRONG_WORD) or (suggested and word in COMMANDS):
        return
    for command, words in OTHER_WORDS.items():
        if word in words.split():
            error.message = f"{why.rstrip('.')}. Did you mean '{command}'?"
