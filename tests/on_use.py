"""Large libraries that few tests use: each process of a test run collects all tests, and would load them."""

from importlib import import_module
from typing import Any


def sklearn(module: str) -> Any:
    """A module of scikit-learn, which takes 3 s of CPU to load."""
    return import_module(f"sklearn.{module}")


def bench_of_evaluations() -> Any:
    """The rows of the benchmark that measure evaluations, beside scikit-learn."""
    return import_module("jobledger.infra.bench.rows.evaluation")
