"""Reads YAML, and refuses a key that is given twice: yaml.safe_load takes the last one."""

from __future__ import annotations

from typing import Any

import yaml


def load(text: str) -> Any:
    """Returns the document in a text; raises YAMLError."""
    return yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # PyYAML has no types.
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        known = set()
        for key in (each for each, _ in node.value if isinstance(each, yaml.ScalarNode)):
            if key.value in known:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} is given twice", problem_mark=key.start_mark
                )
            known.add(key.value)
        return node
