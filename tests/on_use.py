"""Large libraries that few tests use: each process of a test run collects all tests, and would load them."""

from importlib import import_module
from typing import Any


class OnUse:
    """A module that is imported when a name of it is first used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


sklearn_datasets = OnUse("sklearn.datasets")
sklearn_linear_model = OnUse("sklearn.linear_model")
sklearn_metrics = OnUse("sklearn.metrics")
sklearn_model_selection = OnUse("sklearn.model_selection")
