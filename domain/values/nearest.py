"""Suggestions for unknown names, for error messages."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Returns the most similar known name, or the only one that begins so; None if there is none. Case does not matter."""
    names = {each.lower(): each for each in known}
    near = get_close_matches(name.lower(), names, n=1, cutoff=0.7)
    near = near or [each for each in names if each.startswith(name.lower())]
    return names[near[0]] if len(near) == 1 else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns the end of an error message: the most similar known name, or else all known names."""
    names = list(known)
    if near := nearest(name, names):
        return f"; did you mean {near}?"
    return f"; it is one of {', '.join(names)}" if names else ""
