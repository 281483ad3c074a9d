"""Google's messages: what fields each has, and JSON checked against them as proto3 JSON says.

The schemas are data, written by `scripts/schemas`. A type in them is a scalar in lower case,
a message or an enum by its name, `[T]` a list, `map<T>` an object with whatever keys.
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
    """The messages of an API (`ml_v1`, `aiplatform_v1`, `datalabeling_v1beta1`)."""
    file = resources.files(__package__).joinpath("schemas", f"{api}.json")
    return Api(orjson.loads(file.read_bytes()))


class Api:
    """The messages and enums of one API; a name it does not know is a KeyError."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._messages: Mapping[str, Any] = schema["messages"]
        self._enums: Mapping[str, Mapping[str, int | None]] = schema["enums"]
        self._checks: dict[tuple[str, bool, bool], Check] = {}

    def parse(self, message: str, body: Any, path: str = "", *, output: bool = False) -> JsonObject:
        """Parses a message, with every name and value in its one normal form.

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
        """Reads what the message can hold of some JSON, at any depth; the rest is left out.

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
        """The types of a message's fields, by JSON name."""
        fields: Mapping[str, str] = self._messages[message]["fields"]
        return fields

    def read_only(self, message: str) -> frozenset[str]:
        """The fields that are output only."""
        return frozenset(self._messages[message].get("readOnly", ()))

    def required(self, message: str) -> frozenset[str]:
        """The fields that Google's documents call required; `parse` does not ask for them."""
        return frozenset(self._messages[message].get("required", ()))

    def oneofs(self, message: str) -> tuple[frozenset[str], ...]:
        """Groups of fields of which one at most may be set."""
        return tuple(map(frozenset, self._messages[message].get("oneofs", ())))

    def is_enum(self, name: str) -> bool:
        """Whether an enum is called that."""
        return name in self._enums

    def enum(self, name: str) -> Mapping[str, int]:
        """An enum's values and their numbers, but for values of which only the name is known."""
        return {value: number for value, number in self._enums[name].items() if number is not None}

    def check(self, type_: str, *, output: bool, lenient: bool = False) -> Check:
        """How values of that type are checked; made once. `lenient`: as in `read`."""
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

    What its fields must be is looked up when it is first needed: a message may hold its own kind.
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
        """Each field by its JSON name: that name, and its check, or None for one to leave out."""
        checks = {
            name: None
            if name in self._ignored
            else self._api.check(type_, output=self._output, lenient=self._lenient)
            for name, type_ in self._api.fields(self._name).items()
        }
        return {name: (name, check) for name, check in checks.items()}

    @cached_property
    def _proto_names(self) -> dict[str, tuple[str, Check | None]]:
        """The same by the names that fields have in the proto."""
        return {_snake(name): field for name, field in self._fields.items()}

    def __call__(self, value: Any, depth_left: int) -> JsonObject:
        if not isinstance(value, dict):
            raise Refused(f"must be an object, not {json_type(value)}")
        nesting.check_depth(depth_left)
        fields, key, accepted = self._fields, "", {}
        try:
            for key, item in value.items():
                name, check = fields.get(key) or self._by_proto_name(key, value)
                # Null is no value, but in free JSON it is one.
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
    """Reads what a message can hold, and leaves the rest out."""

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
            # The same one whatever the order in which they were given.
            for name in sorted(group & held.keys())[1:]:
                del held[name]
        return held


def _oneof_conflict(group: frozenset[str], accepted: JsonObject) -> Refused:
    first, second, *_ = (name for name in accepted if name in group)
    return Refused(f"is set, and so is {first}; set only one of them").under(second)


def _enum(name: str, numbers: Mapping[str, int | None]) -> Check:
    """A value of the enum by name, by number, or by number in a string; by name afterwards."""
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
    """A field's name in its proto, made of its JSON name."""
    return re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name)


def _perhaps(word: str, known: Iterable[str]) -> str:
    """A hint at the name that was perhaps meant. A long word is not worth the search."""
    folded = {_folded(name): name for name in known}
    close = get_close_matches(_folded(word), folded, 1) if len(word) <= 100 else []
    return f"; perhaps {folded[close[0]]} is meant" if close else ""


def _folded(name: str) -> str:
    return name.replace("_", "").lower()
