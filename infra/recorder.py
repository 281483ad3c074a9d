"""The recorder's name in users' configuration: PERSISTENCE_MODULE=jobledger.infra.recorder."""

from jobledger.infra.adapter.recorder import Factory

__all__ = ["Factory"]
