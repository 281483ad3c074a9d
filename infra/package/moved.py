"""Module names from before the rooms: each is found under its new name, with a DeprecationWarning."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from importlib.abc import Loader  # It takes long to import.

PACKAGE: Final = "jobledger."
OLD_ROOMS: Final = ("infra.past", "infra.reports")


class MovedModules:
    """Finds the modules that moved."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns None for every module that did not move."""
        if not name.startswith(PACKAGE):
            return None
        if not self._names:
            text = Path(__file__).with_name("moved.txt").read_text(encoding="utf-8")
            self._names = dict(line.split() for line in text.splitlines())
        old = name.removeprefix(PACKAGE)
        if old in OLD_ROOMS:
            return ModuleSpec(name, cast("Loader", _Empty()), is_package=True)
        new = self._names.get(old)
        return None if new is None else ModuleSpec(name, cast("Loader", _Moved(PACKAGE + new)))


class _Moved:
    """Puts the module of the new name in the place of the old one."""

    def __init__(self, name: str) -> None:
        self._name = name

    def create_module(self, _spec: ModuleSpec) -> None:
        """A new module is made, and replaced below."""

    def exec_module(self, module: ModuleType) -> None:
        """Warns, and imports the other."""
        sentence = f"{module.__name__} is now {self._name}"
        warnings.warn(sentence, DeprecationWarning, stacklevel=2)
        sys.modules[module.__name__] = import_module(self._name)


class _Empty:
    """A former package; its modules are looked up under their present names."""

    def create_module(self, _spec: ModuleSpec) -> None:
        """A new module is made."""

    def exec_module(self, _module: ModuleType) -> None:
        """Leaves the module empty."""
