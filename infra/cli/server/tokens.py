"""Commands of access tokens: token create, list, revoke."""

import getpass
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.times import parse_iso
from jobledger.infra.access.tokens import Role, Token, Tokens
from jobledger.infra.cli.context import ERR, OUT, Json, say, target
from jobledger.infra.cli.forms import Form, FormOption, print_documents
from jobledger.infra.cli.tables import short
from jobledger.infra.errors import UnauthenticatedError
from jobledger.infra.eventstore.json_view import time_text
from rich.table import Table
from rich.text import Text

token = typer.Typer(no_args_is_help=True, help="Manage the server's access tokens.")
FIELDS: Final = (
    "name", "role", "project", "state", "createTime", "createdBy", "expireTime", "revokeTime",
)  # fmt: skip
"""The fields of a token in JSON."""
_LENGTH: Final = re.compile(r"(?P<count>[1-9]\d{0,8})(?P<unit>[smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@token.command()
def create(
    context: typer.Context,
    role: Annotated[
        str,
        typer.Option(
            metavar="ROLE",
            help="reader, reporter, operator or admin; each includes those before it.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="The token's name, and the actor of its writes; default: such as reader-1.",
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(help="The only project that it is valid for; default: all projects."),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(
            metavar="90d|TIME",
            help="Expire after this long, or at this time (ISO 8601); default: never.",
        ),
    ] = None,
) -> None:
    """Create a token and print its secret, which is not stored and cannot be printed again."""
    # The program moves --project before the command, where it is a shared option.
    only = context.find_root().params.get("project") if project is None else project
    what = Role.parse(role)
    until = None if expires is None else parse_expiry(expires, datetime.now(UTC))
    with _tokens(context) as tokens:
        if name is None:
            name, secret = tokens.create_numbered(what, only, until, _user())
        else:
            secret = tokens.create(name, what, only, until, _user())
    _print_created(name, what, only, until)
    typer.echo(secret)


def _print_created(name: str, role: Role, project: str | None, until: datetime | None) -> None:
    scope = f"{role} of {'all projects' if project is None else f'project {project}'}"
    when = "" if until is None else f", until {time_text(until)}"
    ERR.print(f"token {name!r}, {scope}{when}; its secret is shown only now:", markup=False)


@token.command("list")
def list_tokens(
    context: typer.Context, format_: FormOption = Form.TABLE, json: Json = False
) -> None:
    """List all tokens ever created, without secrets, oldest first."""
    now = datetime.now(UTC)
    with _tokens(context) as tokens:
        found = tokens.list()
    form = Form.JSON if json else format_
    if form is Form.TABLE:
        OUT.print(_table(found, now))
    else:
        print_documents([token_json(one, now) for one in found], form, FIELDS)


@token.command()
def revoke(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The token's name.")],
) -> None:
    """Revoke a token: servers refuse it within five seconds, and its name cannot be used again."""
    with _tokens(context) as tokens:
        revoked = tokens.revoke(name)
    say(f"token {name!r} was revoked at {time_text(revoked.revoke_time)}")


def parse_expiry(text: str, now: datetime) -> datetime:
    """Parses when a token expires.

    Args:
        text: A time from now, such as `90d` (s, m, h, d or w), or an ISO 8601 time, in UTC if it
            names no zone.
        now: The present time (UTC).

    Returns:
        The time (UTC).

    Raises:
        InvalidFieldError: The text is neither.
    """
    message = text.strip()
    try:
        if length := _LENGTH.fullmatch(message):
            return now + timedelta(**{_UNITS[length["unit"]]: int(length["count"])})
        time = parse_iso(message)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidFieldError("expires", f"{text!r:.80} is not like 90d or 2026-12-31") from error


def token_json(one: Token, now: datetime) -> JsonObject:
    """Returns a token as JSON; fields without a value are null."""
    return {
        "name": one.name,
        "role": str(one.role),
        "project": one.project,
        "state": _state(one, now),
        "createTime": time_text(one.create_time),
        "createdBy": one.created_by,
        "expireTime": time_text(one.expire_time),
        "revokeTime": time_text(one.revoke_time),
    }


def _state(one: Token, now: datetime) -> str:
    try:
        one.caller(now)
    except UnauthenticatedError as error:
        return error.reason
    return "live"


def _table(found: list[Token], now: datetime) -> Table:
    table = Table(box=None)
    for column in ("name", "role", "project", "state", "created", "by", "expires", "revoked"):
        table.add_column(column, overflow="fold")
    for one in found:
        table.add_row(
            Text(one.name),
            str(one.role),
            Text(one.project or ""),
            _state(one, now),
            short(time_text(one.create_time)),
            Text(one.created_by or ""),
            short(time_text(one.expire_time)),
            short(time_text(one.revoke_time)),
        )
    return table


@contextmanager
def _tokens(context: typer.Context) -> Iterator[Tokens]:
    with target(context).open() as ledger:
        yield Tokens(ledger.pool)


def _user() -> str | None:
    """Returns the operating system's user; None if the user has no name, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None
