"""The settings: environment variables that begin with JOBLEDGER_.

They are read with the standard library alone, because every command reads them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any, Final, overload

from jobledger.domain.errors import InvalidFieldError

_PREFIX: Final = "JOBLEDGER_"
DEFAULT_LEDGER: Final = "default"
"""The default ledger, which the embedded server makes."""
SECRETS: Final = frozenset(
    {
        "DSN",
        "LINEAGE_FORWARD_KEY",
        "LINEAGE_FORWARD_URL",
        "PUBLISH",
        "SIGNING_KEY",
        "SMTP",
        "TOKEN",
    }
)
"""Variables, without their prefix, that may hold a key, a password or an address with one in it."""
VARIABLES: Final = {
    "DSN": "libpq's connection string; without one the embedded server is used",
    "HOME": "where the embedded server keeps its data, and the log's keys are",
    "LEDGER": "the ledger's name",
    "PROJECT": "the project of jobs that are named by id",
    "SERVER": "the address of a server to ask instead of the database",
    "TOKEN": "the token that the server is asked with",
    "SEAL": "whether a process that writes lets the log grow, and signs it where it has a key",
    "SIGNING_KEY": "the log's private keys, instead of the files under JOBLEDGER_HOME",
    "POLICY": "the file that names the witnesses to ask (C2SP tlog-policy)",
    "PUBLISH": "where checkpoints go, separated by spaces: folders, addresses, or exec:PROGRAM",
    "SPOOL": "the folder of runs that are not recorded yet, instead of JOBLEDGER_HOME/spool",
    "ARCHIVES": "the folder that retention rules export pruned jobs to, instead of JOBLEDGER_HOME/archives",
    "EVALUATION_JOBS": "which evaluation jobs Google's API creates: strict, those with all fields that a run needs, or lenient",
    "QUERY_TIMEOUT": "seconds after which PostgreSQL ends a query that only reads; without it the server's statement_timeout counts",
    "SCHEDULES": "when evaluation jobs' runs are due: daily, as Google's are, or exact",
    "SMTP": "the server that alerts are mailed by: smtp://[USER:PASSWORD@]HOST[:PORT], or smtps",
    "MAIL_FROM": "the sender of that mail",
    "LINEAGE_FORWARD_URL": "the address that accepted OpenLineage events are sent on to",
    "LINEAGE_FORWARD_KEY": "the bearer token for that address",
    "LINK_TEMPLATES": "links on jobs' pages: NAME=ADDRESS, separated by spaces, with {name}, {project}, {id}, {start}, {end}",
    "PAGER": "the program for long output on a terminal, before PAGER; cat for none",
}
"""The description of each variable, by its name without the prefix."""
MAX_QUERY_MILLISECONDS: Final = 2**31 - 1
"""The largest statement_timeout of PostgreSQL."""
_TRUE: Final = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE: Final = frozenset({"0", "false", "f", "no", "n", "off"})


def public_environment() -> dict[str, str]:
    """Returns the environment for other programs, without secret settings."""
    secret = {_PREFIX + name for name in SECRETS}
    return {name: value for name, value in os.environ.items() if name.upper() not in secret}


def _read(name: str) -> str | None:
    """Returns the variable JOBLEDGER_`name`, in upper or lower case; None if it is not set."""
    whole = _PREFIX + name
    return os.environ.get(whole, os.environ.get(whole.lower()))


def unknown_variables() -> list[str]:
    """Returns the variables with our prefix that the program does not know.

    Those that begin with JOBLEDGER_TEST_ belong to the test suite.
    """
    return sorted(
        name
        for name in os.environ
        if (upper := name.upper()).startswith(_PREFIX)
        and not upper.startswith(f"{_PREFIX}TEST_")
        and upper.removeprefix(_PREFIX) not in VARIABLES
    )


def given_text(name: str) -> str | None:
    """Returns the text of the variable JOBLEDGER_`name`; None if it is not set."""
    return _read(name)


def spool_folder() -> Path:
    """Returns the folder of the spool: JOBLEDGER_SPOOL, or under JOBLEDGER_HOME, or the user's own."""
    if (value := _read("SPOOL")) is not None:
        return Path(value).expanduser()
    if (home := _read("HOME")) is not None:
        return Path(home).expanduser() / "spool"
    from platformdirs import user_state_path

    return user_state_path("jobledger") / "spool"


def archive_folder() -> Path:
    """Returns the folder of pruned jobs' exports: JOBLEDGER_ARCHIVES, or archives in the home folder."""
    value = _read("ARCHIVES")
    return Settings().home / "archives" if value is None else Path(value).expanduser()


def _variable(name: str, default: Any, parse: Callable[[str], Any] = str) -> Callable[[], Any]:
    """Declares a setting that is read from a variable, or else is `default`."""

    def read() -> Any:
        value = _read(name)
        return default if value is None else parse(value)

    return read


def _flag(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise InvalidFieldError(f"{_PREFIX}SEAL", f"{text!r} is not true or false")
    return word in _TRUE


class _Home:
    """The given folder, JOBLEDGER_HOME, or the user's data folder.

    The last is looked up only when it is needed: platformdirs takes long to import, and a program
    with a DSN and without keys needs no folder.
    """

    @overload
    def __get__(self, settings: None, owner: type[Settings]) -> None: ...
    @overload
    def __get__(self, settings: Settings, owner: type[Settings]) -> Path: ...

    def __get__(self, settings: Settings | None, owner: type[Settings]) -> Path | None:
        if settings is None:
            return None
        folder: Path | None = settings.__dict__["home"]
        if folder is None:
            from platformdirs import user_data_path

            folder = user_data_path("jobledger")
        return folder

    def __set__(self, settings: Settings, folder: Path | None) -> None:
        value = _read("HOME")
        settings.__dict__["home"] = Path(value) if folder is None and value is not None else folder


@dataclass(kw_only=True)
class Settings:
    """The settings, read from the environment at each use; options of commands override them.

    Raises InvalidFieldError for a variable that is not valid.
    """

    dsn: str | None = field(default_factory=_variable("DSN", None), repr=False)
    """libpq's connection string; without one the embedded server is used."""
    home: _Home = _Home()
    """The folder of the embedded server's data, and of the log's keys."""
    ledger: str = field(default_factory=_variable("LEDGER", DEFAULT_LEDGER))
    project: str = field(default_factory=_variable("PROJECT", "default"))
    server: str | None = field(default_factory=_variable("SERVER", None))
    """The address of a server to ask instead of the database."""
    token: str | None = field(default_factory=_variable("TOKEN", None), repr=False)
    """The token that is sent to the server."""
    seal: bool = field(default_factory=_variable("SEAL", True, _flag))
    """Whether a process that writes lets the log's tree grow, and signs it where it has a key."""
    signing_key: str | None = field(default_factory=_variable("SIGNING_KEY", None), repr=False)
    """The log's private keys, instead of the files under `home`."""
    policy: Path | None = field(default_factory=_variable("POLICY", None, Path))
    """The file that names the witnesses to ask (C2SP tlog-policy)."""
    publish: str = field(default_factory=_variable("PUBLISH", ""), repr=False)
    """Destinations of checkpoints, separated by spaces: folders, http(s) addresses, or `exec:PROGRAM`."""
    evaluation_jobs: str = field(default_factory=_variable("EVALUATION_JOBS", "strict"))
    """Which evaluation jobs Google's API creates: `strict`, as Google, or `lenient`."""
    query_timeout: str = field(default_factory=_variable("QUERY_TIMEOUT", "0"))
    """Seconds after which PostgreSQL ends a reader's query; 0 for no limit."""
    schedules: str = field(default_factory=_variable("SCHEDULES", "daily"))
    """When evaluation jobs' runs are due: `daily`, as Google's are, or `exact`."""
    smtp: str = field(default_factory=_variable("SMTP", ""), repr=False)
    """The server that alerts are mailed by: `smtp://[USER:PASSWORD@]HOST[:PORT]`, or smtps."""
    mail_from: str = field(default_factory=_variable("MAIL_FROM", "jobledger@localhost"))
    """The sender of that mail."""
    lineage_forward_url: str = field(
        default_factory=_variable("LINEAGE_FORWARD_URL", ""), repr=False
    )
    """The address that accepted OpenLineage events are sent on to, such as Marquez's `/api/v1/lineage`."""
    lineage_forward_key: str = field(
        default_factory=_variable("LINEAGE_FORWARD_KEY", ""), repr=False
    )
    """The bearer token for that."""
    link_templates: str = field(default_factory=_variable("LINK_TEMPLATES", ""))
    """Links on jobs' pages: NAME=ADDRESS pairs, separated by spaces (see web/job_page/log_links.py)."""


def query_milliseconds(text: str) -> int:
    """Returns JOBLEDGER_QUERY_TIMEOUT in milliseconds; raises InvalidFieldError for an invalid duration."""
    try:
        milliseconds = ceil(float(text) * 1_000)
    except (ValueError, OverflowError):
        milliseconds = -1
    if not 0 <= milliseconds <= MAX_QUERY_MILLISECONDS:
        most = MAX_QUERY_MILLISECONDS // 1_000
        raise InvalidFieldError(
            "query_timeout", f"{text!r} is not a number of seconds, 0 to {most}"
        )
    return milliseconds
