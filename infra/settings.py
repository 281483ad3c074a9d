"""What the environment says: JOBLEDGER_DSN, JOBLEDGER_HOME, JOBLEDGER_LEDGER, JOBLEDGER_PROJECT."""

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
    """Where the embedded server keeps its data."""
    ledger: str = "default"
    project: str = "default"
