"""What somebody probably meant by a name that is not known, for error messages."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error message: the nearest known name, or all of them; empty where none is known."""
    names = {each.lower(): each for each in known}
    near = get_close_matches(name.lower(), names, n=1, cutoff=0.7)
    if near:
        return f"; did you mean {names[near[0]]}?"
    return f"; it is one of {', '.join(names.values())}" if names else ""
