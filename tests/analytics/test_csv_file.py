"""The content of CSV files, as a spreadsheet reads them."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobledger.infra.analytics.csv_file import write_csv

BEGINNINGS = st.sampled_from(
    ["=", "+", "-", "@", "\t=", "\r", "\n", " =", "\ufeff=", "\uff1d", "\xa0@", ""]
)
TEXTS = st.builds(str.__add__, BEGINNINGS, st.text(st.characters(codec="utf-8"), max_size=8))


def written(columns: list[str], rows: list[list[object]]) -> list[list[str]]:
    out = io.StringIO(newline="")
    write_csv(out, columns, rows)
    return list(csv.reader(io.StringIO(out.getvalue(), newline="")))


@pytest.mark.slow
@given(header=TEXTS, cell=TEXTS)
def test_no_cell_is_a_formula_and_no_text_is_lost(header: str, cell: str) -> None:
    for text, given_text in zip(
        (line[0] for line in written([header, "n"], [[cell, -1.5]])), (header, cell), strict=True
    ):
        begin = text.strip("\ufeff\xa0\u3000 \t\r\n\x00")[:1]
        assert begin not in {"=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"}
        assert text.removeprefix("'") == given_text or text == given_text


@pytest.mark.parametrize("value", [-1, -1.5, 0, None])
def test_numbers_are_written_as_numbers(value: float | None) -> None:
    assert written(["n", "m"], [[value, 0]])[1] == ["" if value is None else str(value), "0"]
