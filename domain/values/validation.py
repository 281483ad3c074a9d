"""What pydantic finds wrong with a value, in the words of the ledger's errors."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from jobledger.domain.errors import shown
from jobledger.domain.values.canonical import json_type
from jobledger.domain.values.nearest import did_you_mean

OBJECTS = frozenset({"model_type", "model_attributes_type", "dict_type", "dataclass_type"})


def why_invalid(found: Mapping[str, Any], known: Iterable[str] = ()) -> str:
    """Returns what would be right, and the value that was given.

    Args:
        found: One of the errors of a ValidationError.
        known: The fields that can be given, for an error about an unknown field.
    """
    type_, text = found["type"], found["msg"].removeprefix("Value error, ")
    if type_ == "missing":
        return "is missing; it must be given"
    if type_ == "extra_forbidden":
        return f"is not a field that can be given{did_you_mean(str(found['loc'][-1]), known)}"
    if type_ in OBJECTS:
        text = "Input should be an object"
    wanted = re.sub(r"^\w+ should (.*?)(, unable to .*)?$", r"must \1", text)
    return f"{wanted}, not {_given(found['input'])}" if wanted.startswith("must ") else text


def _given(value: Any) -> str:
    return shown(value) if isinstance(value, str | int | float) else json_type(value)
