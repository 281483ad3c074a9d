"""`jobledger settings`: every variable of the environment that counts, and what it says."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from jobledger.infra.cli.context import OUT
from jobledger.infra.cli.forms import Form, FormOption, print_documents
from jobledger.infra.settings import SECRETS, VARIABLES, Settings, spool_folder

JsonToo = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def settings(
    context: typer.Context, format_: FormOption = Form.TABLE, json: JsonToo = False
) -> None:
    """Show the variables that the program reads, what each is for, and what it is now; secrets are hidden."""
    del context
    form = Form.JSON if json else format_
    rows = [
        {"variable": f"JOBLEDGER_{name}", "value": _shown(name), "meaning": meaning}
        for name, meaning in VARIABLES.items()
    ]
    if form is not Form.TABLE:
        print_documents(rows, form, ["variable", "value", "meaning"])
        return
    for row in rows:
        OUT.print(f"{row['variable']}={row['value']}\n    {row['meaning']}", markup=False)


def _shown(name: str) -> str:
    """The value in force; of a secret only whether it is set."""
    if name in SECRETS:
        return "(set)" if os.environ.get(f"JOBLEDGER_{name}") else ""
    if name == "PAGER":
        return os.environ.get("JOBLEDGER_PAGER", "")
    if name == "SPOOL":
        return str(spool_folder())
    value = getattr(Settings(), name.lower())
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
