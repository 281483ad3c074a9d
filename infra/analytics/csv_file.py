"""CSV (RFC 4180) without formulas for spreadsheets."""

import csv
from collections.abc import Iterable, Sequence
from typing import Any, Final, TextIO

_COMPUTED: Final = "=+-@"
_SKIPPED: Final = "\t\r\n \x00\ufeff\xa0\u3000"
"""Characters that spreadsheets skip before a formula."""
_FULL_WIDTH: Final = str.maketrans("\uff1d\uff0b\uff0d\uff20", "=+-@")


def write_csv(
    out: TextIO, columns: Sequence[str], rows: Iterable[Sequence[Any]], line_end: str = "\r\n"
) -> None:
    """Writes the columns' names and the rows; text that would be a formula is prefixed with `'`."""
    writer = csv.writer(out, lineterminator=line_end)
    writer.writerow(map(as_text, columns))
    writer.writerows(map(as_text, row) for row in rows)


def as_text(value: Any) -> Any:
    """Returns a cell; text that a spreadsheet would compute is prefixed with `'`."""
    return f"'{value}" if isinstance(value, str) and _is_computed(value) else value


def _is_computed(text: str) -> bool:
    begin = text.lstrip(_SKIPPED)[:1].translate(_FULL_WIDTH)
    return (begin != "" and begin in _COMPUTED) or text[:1] in {"\t", "\r", "\n"}
