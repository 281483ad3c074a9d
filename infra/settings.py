"""What the environment says, in variables that begin with JOBLEDGER_."""

from __future__ import annotations

from pathlib import Path

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from the environment at each use; options given by hand win over it."""

    model_config = SettingsConfigDict(env_prefix="JOBLEDGER_")

    dsn: str | None = None
    """libpq's connection string; without one the embedded server is used."""
    home: Path = Field(default_factory=lambda: platformdirs.user_data_path("jobledger"))
    """Where the embedded server keeps its data, and the log's keys are."""
    ledger: str = "default"
    project: str = "default"
    seal: bool = True
    """Whether a process that writes lets the log's tree grow, and signs it where it has a key."""
    signing_key: str | None = Field(default=None, repr=False)
    """The log's private keys, instead of the files under `home`."""
    policy: Path | None = None
    """The file that names the witnesses to ask (C2SP tlog-policy)."""
    publish: str = ""
    """Where checkpoints go, separated by spaces: folders, http(s) addresses, or `exec:PROGRAM`."""
    schedules: str = "daily"
    """When evaluation jobs' runs are due: `daily`, as Google's are, or `exact`."""
    smtp: str = Field(default="", repr=False)
    """The server that alerts are mailed by: `smtp://[USER:PASSWORD@]HOST[:PORT]`, or smtps."""
    mail_from: str = "jobledger@localhost"
    """Whom that mail is from."""
