"""Drawings by matplotlib, as files; equal values make equal files."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jobledger.domain.errors import InvalidFieldError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ENDINGS: Final = (".svg", ".png")


def draw_picture(path: Path, inches: tuple[int, int], fill: Callable[[Axes], None]) -> None:
    """Writes a drawing to a file.

    Args:
        path: The file; its name ends in .svg or .png.
        inches: The width and the height.
        fill: Draws on the given axes.

    Raises:
        InvalidFieldError: The name has another ending, the file cannot be written, or matplotlib is
            not installed.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise InvalidFieldError("plot", f"{str(path)!r} does not end in .svg or .png")
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        why = "pictures need matplotlib: pip install 'jobledger[plot]'"
        raise InvalidFieldError("plot", why) from None
    # Names may hold dollars, and letters that the font lacks.
    with mpl.rc_context({"svg.hashsalt": "jobledger", "text.parse_math": False}):
        figure = Figure(figsize=inches, dpi=120, layout="constrained")
        fill(figure.add_subplot())
        metadata = {"Date": None} if ending == ".svg" else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                figure.savefig(path, metadata=metadata)
            except OSError as error:
                raise InvalidFieldError("plot", f"{str(path)!r}: {error.strerror}") from None


def dates_of_pictures() -> Any:
    """Matplotlib's module of dates, which has no types."""
    from matplotlib import dates

    return dates
