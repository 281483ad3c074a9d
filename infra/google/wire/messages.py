"""Google's messages: their fields, and the check of JSON by the rules of proto3 JSON.

The schemas are data that `scripts/schemas` writes. A type is a scalar in lower case,
the name of a message or an enum, `[T]` for a list, or `map<T>` for an object with any keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from functools import cache, cached_property, partial
from importlib import resources
from typing import Any, Final

import orjson
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import JsonObject, json_type
from jobledger.infra.google.wire import nesting
from jobledger.infra.google.wire.scalars import SCALARS, Check, Refused, shown

TYPES: Final = SCALARS | {"any": nesting.typed, "value": nesting.anything}


@cache
def load(api: str) -> Api:
    """Returns the messages of an API (`ml_v1`, `aiplatform_v1`, `datalabeling_v1beta1`)."""
    file = resources.files(__package__).joinpath("schemas", f"{api}.json")
    return Api(orjson.loads(file.read_bytes()))


class Api:
    """The messages and enums of one API; an unknown name raises KeyError."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._messages: Mapping[str, Any] = schema["messages"]
        self._enums: Mapping[str, Mapping[str, int | None]] = schema["enums"]
        self._checks: dict[tuple[str, bool, bool], Check] = {}

    def parse(self, message: str, body: Any, path: str = "", *, output: bool = False) -> JsonObject:
        """Parses a message, and returns it with all names and values in their normal form.

        Args:
            message: The name of the message.
            body: The JSON.
            path: Where the body was found; paths in errors begin with it.
            output: Keep fields that are output only; otherwise they are ignored.

        Returns:
            The message.

        Raises:
            InvalidFieldError: A field is unknown, or its value is not of its type.
        """
        try:
            accepted: JsonObject = self.check(message, output=output)(body, nesting.MAX_DEPTH)
        except Refused as refused:
            field = (path + refused.path).removeprefix(".") or "body"
            raise InvalidFieldError(field, refused.why) from None
        return accepted

    def read(self, message: str, body: Mapping[str, Any], *, output: bool) -> JsonObject:
        """Returns the part of some JSON that fits the message, at any depth; the rest is left out.

        The JSON may be of another API, or of another version of this one.

        Args:
            message: The name of the message.
            body: The JSON.
            output: Keep fields that are output only.

        Returns:
            The message.
        """
        check = self.check(message, output=output, lenient=True)
        held: JsonObject = check(dict(body), nesting.MAX_DEPTH)
        return held

    def fields(self, message: str) -> Mapping[str, str]:
        """Returns the types of a message's fields, by JSON name."""
        fields: Mapping[str, str] = self._messages[message]["fields"]
        return fields

    def read_only(self, message: str) -> frozenset[str]:
        """Returns the fields that are output only."""
        return frozenset(self._messages[message].get("readOnly", ()))

    def required(self, message: str) -> frozenset[str]:
        """Returns the fields that Google's documents call required; `parse` does not require them."""
        return frozenset(self._messages[message].get("required", ()))

    def oneofs(self, message: str) -> tuple[frozenset[str], ...]:
        """Returns groups of fields of which at most one may be set."""
        return tuple(map(frozenset, self._messages[message].get("oneofs", ())))

    def is_enum(self, name: str) -> bool:
        """Whether there is an enum of that name."""
        return name in self._enums

    def enum(self, name: str) -> Mapping[str, int]:
        """Returns an enum's values and their numbers; values without a known number are left out."""
        return {value: number for value, number in self._enums[name].items() if number is not None}

    def check(self, type_: str, *, output: bool, lenient: bool = False) -> Check:
        """Returns the check for values of a type, which is made once; `lenient` is for `read`."""
        key = (type_, output, lenient)
        found = self._checks.get(key)
        if found is None:
            found = self._checks[key] = self._make(type_, output=output, lenient=lenient)
        return found

    def _make(self, type_: str, *, output: bool, lenient: bool) -> Check:
        within = partial(self.check, output=output, lenient=lenient)
        if type_ in TYPES:
            return TYPES[type_]
        if type_.startswith("["):
            return nesting.repeated(within(type_[1:-1]))
        if type_.startswith("map<"):
            return nesting.mapping(within(type_[4:-1]))
        if type_ in self._enums:
            return _enum(type_, self._enums[type_])
        kind = _LenientMessage if lenient else _Message
        return kind(self, type_, output=output)


class _Message:
    """The check of one message.

    Its fields are looked up when they are first needed, because a message may contain its own type.
    """

    _lenient = False

    def __init__(self, api: Api, name: str, *, output: bool) -> None:
        self._api = api
        self._name = name
        self._ignored = frozenset() if output else api.read_only(name)
        self._oneofs = api.oneofs(name)
        self._output = output

    @cached_property
    def _fields(self) -> dict[str, tuple[str, Check | None]]:
        """Each field by its JSON name: that name, and its check, or None for a field to leave out."""
        checks = {
            name: None
            if name in self._ignored
            else self._api.check(type_, output=self._output, lenient=self._lenient)
            for name, type_ in self._api.fields(self._name).items()
        }
        return {name: (name, check) for name, check in checks.items()}

    @cached_property
    def _proto_names(self) -> dict[str, tuple[str, Check | None]]:
        """The same by the fields' names in the proto."""
        return {_snake(name): field for name, field in self._fields.items()}

    def __call__(self, value: Any, depth_left: int) -> JsonObject:
        if not isinstance(value, dict):
            raise Refused(f"must be an object, not {json_type(value)}")
        nesting.check_depth(depth_left)
        fields, key, accepted = self._fields, "", {}
        try:
            for key, item in value.items():
                name, check = fields.get(key) or self._by_proto_name(key, value)
                # Null means that a field is absent, except in free JSON.
                if check is not None and (item is not None or check is nesting.anything):
                    accepted[name] = check(item, depth_left - 1)
        except Refused as refused:
            raise refused.under(key) from None
        for group in self._oneofs:
            if len(group & accepted.keys()) > 1:
                raise _oneof_conflict(group, accepted)
        return accepted

    def _by_proto_name(self, key: str, value: JsonObject) -> tuple[str, Check | None]:
        field = self._proto_names.get(key)
        if field is None:
            raise Refused(f"there is no such field in {self._name}{_perhaps(key, self._fields)}")
        if field[0] in value:
            raise Refused(f"is given twice; the other name is {field[0]}")
        return field


class _LenientMessage(_Message):
    """Reads the fields of a message, and leaves out the rest."""

    _lenient = True

    def __call__(self, value: Any, depth_left: int) -> JsonObject:
        if not isinstance(value, dict):
            raise Refused(f"must be an object, not {json_type(value)}")
        nesting.check_depth(depth_left)
        held: JsonObject = {}
        for key, item in value.items():
            name, check = self._fields.get(key) or self._proto_names.get(key) or (key, None)
            if check is None or name in held or (item is None and check is not nesting.anything):
                continue
            with suppress(Refused):
                held[name] = check(item, depth_left - 1)
        for group in self._oneofs:
            # The choice does not depend on the order in which they were given.
            for name in sorted(group & held.keys())[1:]:
                del held[name]
        return held


def _oneof_conflict(group: frozenset[str], accepted: JsonObject) -> Refused:
    first, second, *_ = (name for name in accepted if name in group)
    return Refused(f"is set, and so is {first}; set only one of them").under(second)


def _enum(name: str, numbers: Mapping[str, int | None]) -> Check:
    """Returns a check of an enum's values, which are given by name, number, or number in a string; the result is the name."""
    names: dict[Any, str] = {value: value for value in numbers}
    for value, number in numbers.items():
        if number is not None:
            names |= {number: value, str(number): value}

    def check(value: Any, _: int) -> str:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise Refused(f"must be a {name}, by name or number, not {json_type(value)}")
        found = names.get(value)
        if found is None:
            if not isinstance(value, str):
                raise Refused(f"there is no {name} of that number")
            raise Refused(f"there is no {name} {shown(value)}{_perhaps(value, numbers)}")
        return found

    return check


def _snake(name: str) -> str:
    """Returns a field's name in the proto, from its JSON name."""
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)


def _perhaps(word: str, known: Iterable[str]) -> str:
    """Returns a hint at a similar name; long words are not searched."""
    folded = {_folded(name): name for name in known}
    close = get_close_matches(_folded(word), folded, 1) if len(word) <= 100 else []
    return f"; perhaps {folded[close[0]]} is meant" if close else ""


def _folded(name: str) -> str:
    return name.replace("_", "").lower()
