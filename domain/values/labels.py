"""Labels: what the ledger takes, which is what Vertex AI and Kubernetes take, and what Google's APIs show of them.

    team, größe                Vertex AI: lowercase letters of any script, digits, `_` and `-`,
                               a letter first, 64 characters at most
    app.kubernetes.io/name     Kubernetes: an optional prefix (a DNS name, 253 characters at most)
                               and `/`; a name of letters, digits, `-`, `_` and `.`, 63 at most.
                               Capital letters only after a prefix

A value is of Vertex AI's letters, or of Kubernetes': letters, digits, `-`, `_` and `.`, with a
letter or digit at both ends, 63 at most; or empty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from jobledger.domain.errors import InvalidFieldError, shown

MAX_LABELS: Final = 64
MAX_LABEL_LENGTH: Final = 64
MAX_PREFIX: Final = 253
MAX_KUBERNETES: Final = 63
MAX_KEY_LENGTH: Final = MAX_PREFIX + len("/") + MAX_KUBERNETES
CACHED_TEXTS: Final = 4096
"""Keys and values whose check is remembered: most events have labels that others had."""
_PART: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PREFIX: Final = re.compile(rf"{_PART}(?:\.{_PART})*", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII)
_BARE_NAME: Final = re.compile(r"[a-z](?:[a-z0-9_.-]{0,61}[a-z0-9])?", re.ASCII)

KEYS: Final = (
    "a key is lowercase letters, digits, _ - and ., a letter first, 64 at most;"
    " or a Kubernetes prefix, / and a name (app.kubernetes.io/name)"
)
VALUES: Final = (
    "a value is lowercase letters, digits, _ and -, 64 at most;"
    " or letters, digits, _ - and . between letters or digits, 63 at most"
)
GOOGLE_KEYS: Final = "a key is lowercase letters, digits, _ and -, a letter first, 64 at most"
GOOGLE_VALUES: Final = "a value is lowercase letters, digits, _ and -, 64 at most"


def parse_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Validates labels.

    Args:
        labels: At most 64 labels.

    Returns:
        The labels.

    Raises:
        InvalidFieldError: A key or value is not valid, or there are more than 64.
    """
    return _checked(labels, is_key, is_value, (KEYS, VALUES))


def parse_pair(text: str) -> tuple[str, str]:
    """Parses a label written as `K=V`.

    Args:
        text: The label.

    Returns:
        The key and the value.

    Raises:
        InvalidFieldError: The text has no `=`.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise InvalidFieldError("label", f"{text!r} is not K=V, such as team=vision")
    return key, value


def parse_google_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Validates labels by Vertex AI's rules.

    Args:
        labels: At most 64 labels.

    Returns:
        The labels.

    Raises:
        InvalidFieldError: A key or value is not valid, or there are more than 64.
    """
    return _checked(labels, _is_google_key, _is_google_text, (GOOGLE_KEYS, GOOGLE_VALUES))


def _checked(
    labels: Mapping[str, str],
    is_key: Callable[[str], bool],
    is_value: Callable[[str], bool],
    rules: tuple[str, str],
) -> dict[str, str]:
    _check_count(labels)
    for key, value in labels.items():
        if not is_key(key):
            raise InvalidFieldError("labels", f"{shown(key)} is not a label's key: {rules[0]}")
        if not is_value(value):
            raise InvalidFieldError(
                "labels", f"{shown(value)} is not a value for {key}: {rules[1]}"
            )
    return dict(labels)


def is_key(key: object) -> bool:
    """Whether the text is a valid key of a label."""
    return isinstance(key, str) and len(key) <= MAX_KEY_LENGTH and _is_key(key)


@lru_cache(CACHED_TEXTS)
def _is_key(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash:
        return bool(
            len(prefix) <= MAX_PREFIX and _PREFIX.fullmatch(prefix) and _NAME.fullmatch(name)
        )
    return _is_google_key(key) or _BARE_NAME.fullmatch(key) is not None


def is_value(value: object) -> bool:
    """Whether the text is a valid value of a label."""
    return isinstance(value, str) and len(value) <= MAX_LABEL_LENGTH and _is_value(value)


@lru_cache(CACHED_TEXTS)
def _is_value(value: str) -> bool:
    return _is_google_text(value) or _NAME.fullmatch(value) is not None


def nearest(key: str, value: str) -> tuple[str, str]:
    """Returns the nearest valid label: each invalid character becomes `_`."""
    if not is_key(key):
        key = _letters(key.lower(), "_-.")
        key = key if key[:1].isalpha() else f"k_{key}"
        key = key[:MAX_KUBERNETES].rstrip("._-") or "k"
        key = key if is_key(key) else _letters(key, "_-")
    if not is_value(value):
        kept = _letters(value, "_-.")[:MAX_KUBERNETES]
        value = kept.strip("._-") if is_value(kept.strip("._-")) else _letters(kept.lower(), "_-")
    return key, value


def google_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Returns the labels in the form of Google's APIs.

    `app.kubernetes.io/name` is `app_kubernetes_io_name`. If two labels get the same key, the one
    that has the key unchanged is used, else the first.
    """
    mapped = {key: value for key, value in labels.items() if _is_google_key(key)}
    for key in sorted(labels.keys() - mapped.keys()):
        mapped.setdefault(google_key(key), labels[key])
    return {key: google_value(value) for key, value in mapped.items()}


def google_key(key: str) -> str:
    """Returns a key in the form of Google's APIs."""
    if _is_google_key(key):
        return key
    first = "k_" if key[:1].isdigit() else ""
    return (first + key.translate(_KEY_MAP).lower())[:MAX_LABEL_LENGTH]


def google_value(value: str) -> str:
    """Returns a value in the form of Google's APIs."""
    return value if _is_google_text(value) else value.replace(".", "_").lower()


def from_google(given: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, str]:
    """Merges labels set through a Google API into a job's: a label that came back unchanged stays."""
    shown = google_labels(labels)
    kept = {google_key(key): (key, value) for key, value in sorted(labels.items(), reverse=True)}
    kept |= {key: (key, value) for key, value in labels.items() if _is_google_key(key)}
    return dict(
        kept[key] if shown.get(key) == value else (key, value) for key, value in given.items()
    )


_KEY_MAP: Final = str.maketrans("./", "__")


def _check_count(labels: Mapping[str, str]) -> None:
    if len(labels) > MAX_LABELS:
        raise InvalidFieldError(
            "labels", f"there are {len(labels)} labels; the limit is {MAX_LABELS}"
        )


def _is_google_key(key: object) -> bool:
    return _is_google_text(key) and isinstance(key, str) and key[:1].isalpha()


def _is_google_text(text: object) -> bool:
    return isinstance(text, str) and len(text) <= MAX_LABEL_LENGTH and _has_label_letters(text)


@lru_cache(CACHED_TEXTS)
def _has_label_letters(text: str) -> bool:
    return text == text.lower() and all(c in "_-" or c.isalnum() for c in text)


def _letters(text: str, others: str) -> str:
    """Replaces each character by `_` that is not a letter, a digit, or one of `others`."""
    return "".join(c if c.isalnum() or c in others else "_" for c in text)
