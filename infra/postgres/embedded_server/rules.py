"""The rules for who may connect to the embedded server: users of the operating system."""

import os
import pwd
from contextlib import suppress
from pathlib import Path
from typing import Final

MAP: Final = "jobledger"
ROLES: Final = ("all", "postgres")
HBA: Final = f"# Written by jobledger at each start.\nlocal all all peer map={MAP}\n"


def missing_rules(data: Path) -> dict[Path, str]:
    """Returns the rule files in a server's folder that must be written, with their text.

    The rules let in root, this user, and the owner of the folder above, as any role.
    """
    users = {pwd.getpwuid(uid).pw_name for uid in _trusted(data)}
    # PostgreSQL 15 takes `all` for a role's name; 16 and later for any role.
    ident = "".join(f'{MAP} "{user}" {role}\n' for user in sorted(users) for role in ROLES)
    rules = {data / "pg_hba.conf": HBA, data / "pg_ident.conf": ident}
    return {file: text for file, text in rules.items() if file.read_text(errors="replace") != text}


def _trusted(data: Path) -> set[int]:
    known = set()
    for uid in {0, os.geteuid(), data.parent.stat().st_uid}:
        with suppress(KeyError):  # Rules cannot name a user without a name.
            pwd.getpwuid(uid)
            known.add(uid)
    return known
