"""Compares answers with their schemas in the OpenAPI document."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import httpx
import jsonschema_rs


class Documented:
    """The success bodies of one document; an answer may hold no field that its schema does not name."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._paths = document["paths"]
        self._components = deepcopy(document["components"])
        for schema in self._components["schemas"].values():
            if schema.get("properties"):
                schema["additionalProperties"] = False
        self._made: dict[tuple[str, str], Any] = {}

    def check(self, method: str, path: str, answer: httpx.Response) -> None:
        """Fails unless the answer is as the document says of that path's template."""
        key = (method.lower(), path)
        if key not in self._made:
            content = self._paths[path][key[0]]["responses"]["200"]["content"]
            (kind,) = content
            schema = {**content[kind]["schema"], "components": self._components}
            self._made[key] = kind, jsonschema_rs.validator_for(schema)
        kind, validator = self._made[key]
        assert answer.headers["content-type"].startswith(kind)
        if kind == "application/json":
            problems = [
                f"{e.instance_path}: {e.message}" for e in validator.iter_errors(answer.json())
            ]
            assert problems == [], (method, path)
