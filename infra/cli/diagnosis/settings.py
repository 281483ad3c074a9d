"""The command `settings`: every variable that the program reads, and its current value."""

from typing import NamedTuple

import typer
from jobledger.domain.errors import InvalidFieldError
from jobledger.infra.cli.context import Json, Target, say, target
from jobledger.infra.cli.diagnosis.variables import read_settings
from jobledger.infra.cli.forms import Form, FormOption, print_documents
from jobledger.infra.postgres.connections import conninfo
from jobledger.infra.settings import SECRETS, VARIABLES, Settings, given_text, spool_folder
from psycopg.conninfo import conninfo_to_dict, make_conninfo

HIDDEN = "(set, not shown)"


class Setting(NamedTuple):
    """A variable and its value."""

    variable: str
    value: str | None
    """None if it is not set; secrets are not shown."""
    source: str
    """`option`, `environment` or `default`."""
    meaning: str
    """The description of the setting."""


def settings(context: typer.Context, format_: FormOption = Form.TABLE, json: Json = False) -> None:
    """Show all settings: environment variables, their present values, and their meaning."""
    found = list_settings(target(context), read_settings())
    form = Form.JSON if json else format_
    if form is not Form.TABLE:
        print_documents([setting._asdict() for setting in found], form, Setting._fields)
        return
    for setting in found:
        value = "(none)" if setting.value is None else setting.value
        say(f"{setting.variable} = {value}  ({setting.source})\n    {setting.meaning}")


def list_settings(aim: Target, read: Settings) -> list[Setting]:
    """Returns all settings as a command with these options reads them."""
    options = {
        "DSN": aim.dsn,
        "LEDGER": _other(aim.ledger, read.ledger),
        "PROJECT": _other(aim.project, read.project),
    }
    found = []
    for name, help_ in VARIABLES.items():
        option, given = options.get(name), given_text(name)
        source = "option" if option else "environment" if given is not None else "default"
        value = option or given or _default(read, name)
        found.append(Setting(f"JOBLEDGER_{name}", _shown(name, value), source, help_))
    return found


def _default(read: Settings, name: str) -> str | None:
    value = spool_folder() if name == "SPOOL" else getattr(read, name.lower(), None)
    return str(value).lower() if isinstance(value, bool) else str(value) if value else None


def _other(option: str, setting: str) -> str | None:
    """Returns the value of an option that overrides the setting."""
    return None if option == setting else option


def _shown(name: str, value: str | None) -> str | None:
    if value is None or name not in SECRETS:
        return value
    if name != "DSN":
        return HIDDEN
    try:
        conninfo(value, "x")
        parts = conninfo_to_dict(value).items()
        return make_conninfo("", **{key: str(part) for key, part in parts if key != "password"})
    except InvalidFieldError:
        return HIDDEN
