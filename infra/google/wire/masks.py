"""Field masks (AIP-161) and partial answers. Paths may be in camel or snake case, and are converted to camel case."""

import re
from collections.abc import Mapping
from typing import Any, Final

from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.values.canonical import JsonObject
from jobledger.domain.values.nearest import did_you_mean

Paths = tuple[tuple[str, ...], ...]

_PART: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\*", re.ASCII)
_NAME: Final = re.compile(r"[\w-]+|\*")
_TOKEN: Final = re.compile(r"[\w-]+|\S")
_MAPS: Final = frozenset({"labels"})
"""Fields whose keys are chosen by users, and are not converted."""
MAX_LENGTH: Final = 4096
MAX_DEPTH: Final = 20


def camel(name: str) -> str:
    """Returns `create_time` as `createTime`."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def parse_mask(text: str, parameter: str) -> Paths:
    """Returns the paths of a FieldMask such as `labels,job_spec.scheduling`; raises InvalidFieldError."""
    if len(text) > MAX_LENGTH:
        raise InvalidFieldError(parameter, f"has {len(text)} characters; the limit is {MAX_LENGTH}")
    return tuple(_path(path.strip(), parameter) for path in text.split(",") if path.strip())


def _path(text: str, parameter: str) -> tuple[str, ...]:
    first, *rest = text.split(".")
    parts = [first, *rest]
    free = first in _MAPS
    if len(parts) > MAX_DEPTH or not all(
        _PART.fullmatch(part) or (free and part and n) for n, part in enumerate(parts)
    ):
        raise InvalidFieldError(
            parameter,
            f"{text[:80]!r} is not a path of fields; write one such as labels or training_input.region",
        )
    return tuple(part if free else camel(part) for part in parts)


def check_fields(paths: Paths, fields: Mapping[str, Any], parameter: str) -> None:
    """Raises InvalidFieldError for a path that begins with no field of the message."""
    for path in paths:
        if path[0] != "*" and path[0] not in fields:
            asked = ".".join(path)
            raise InvalidFieldError(
                parameter, f"there is no field {asked!r}{did_you_mean(asked, fields)}"
            )


def select(resource: JsonObject, paths: Paths) -> JsonObject:
    """Returns the resource with only the masked fields; all of them for `*`."""
    if not paths or ("*",) in paths:
        return resource
    paths = tuple(
        (key, *rest) for head, *rest in paths for key in (resource if head == "*" else (head,))
    )
    heads = dict.fromkeys(path[0] for path in paths)
    return {
        head: _within(resource[head], tuple(path[1:] for path in paths if path[0] == head))
        for head in heads
        if head in resource
    }


def _within(value: Any, rests: Paths) -> Any:
    """Returns a field's value, limited to the rests of the paths."""
    if () in rests or ("*",) in rests:
        return value
    if isinstance(value, Mapping):
        return select(dict(value), rests)
    if isinstance(value, list):
        return [_within(item, rests) for item in value]
    return value


def merge(old: JsonObject, new: JsonObject, paths: Paths) -> JsonObject:
    """Returns `old` with the masked fields of `new`; fields that `new` lacks are removed (AIP-134)."""
    merged = dict(old)
    for head, *rest in paths:
        if not rest:
            merged.pop(head, None)
            if head in new:
                merged[head] = new[head]
            continue
        inner_old, inner_new = merged.get(head), new.get(head)
        merged[head] = merge(
            inner_old if isinstance(inner_old, dict) else {},
            inner_new if isinstance(inner_new, dict) else {},
            (tuple(rest),),
        )
    return merged


def parse_partial(text: str) -> Paths:
    """Returns the paths of Google's `fields` parameter: `a,b/c,d(e,f/g)`; raises InvalidFieldError."""
    if len(text) > MAX_LENGTH:
        raise InvalidFieldError("fields", f"has {len(text)} characters; the limit is {MAX_LENGTH}")
    paths, rest = _partial(_TOKEN.findall(text), 0)
    if rest or not paths:
        raise InvalidFieldError(
            "fields",
            f"{text[:80]!r} is not a selection of fields; write one such as jobs(jobId,state)",
        )
    return tuple(paths)


def _partial(
    tokens: list[str], depth: int, within: str = ""
) -> tuple[list[tuple[str, ...]], list[str]]:
    """Returns the paths up to a closing parenthesis or the end, and the rest; `within` is the enclosing field."""
    paths: list[tuple[str, ...]] = []
    while tokens and depth <= MAX_DEPTH:
        path: tuple[str, ...] = ()
        while tokens and _NAME.fullmatch(tokens[0]):
            free = (path[-1] if path else within) in _MAPS
            path = (*path, tokens[0] if free else camel(tokens[0]))
            tokens = tokens[1:]
            if tokens[:1] != ["/"]:
                break
            tokens = tokens[1:]
        if not path:
            break
        if tokens[:1] == ["("]:
            inner, tokens = _partial(tokens[1:], depth + 1, path[-1])
            if not inner or tokens[:1] != [")"]:
                return [], [*tokens, "("]
            paths += [(*path, *below) for below in inner]
            tokens = tokens[1:]
        else:
            paths.append(path)
        if tokens[:1] != [","]:
            break
        tokens = tokens[1:]
    return paths, tokens
