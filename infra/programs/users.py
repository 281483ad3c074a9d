"""Who runs a program."""

from __future__ import annotations

import os
import pwd


def user_name() -> str:
    """The name of the user whose rights the program has; `uid` and the number of one without a name."""
    number = os.geteuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return os.environ.get("LOGNAME") or os.environ.get("USER") or f"uid{number}"
