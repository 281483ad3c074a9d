"""The user who runs a program."""

from __future__ import annotations

import os
import pwd


def user_name() -> str:
    """Returns the name of the program's effective user; `uid` and the number without a name."""
    number = os.geteuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return os.environ.get("LOGNAME") or os.environ.get("USER") or f"uid{number}"
