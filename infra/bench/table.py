"""Rows as tables: in the terminal, and in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Row = Mapping[str, Any]

HEADINGS: Final = (
    "id", "measure", "value", "CPU", "beside", "value", "CPU", "ratio", "spread", "must", "aim", "met",
)  # fmt: skip
MARKDOWN: Final = "| measure | Job Ledger | compared with | its figure | ratio | spread |\n| --- | ---: | --- | ---: | ---: | ---: |"
NOTED: Final = 0.05
"""A ratio that changed by less is not called changed."""


def cells(row: Row, before: Row | None = None) -> list[str]:
    """A row of the terminal's table; with the ratio of an earlier run if there is one."""
    bounds = [f"{row['must']:g}", f"{row['aim']:g}"]
    named = [row["id"], row["measure"]]
    if "error" in row:
        return [*named, "not measured", "", row["beside"], "", "", row["error"], "", *bounds, ""]
    met = "aim" if row["aim_met"] else "yes" if row["met"] else "NO"
    ours = f"{figure(row['value'])} {row['unit']}", cpu(row.get("cpu_us"))
    theirs = beside_value(row), cpu(row.get("beside_cpu_us"))
    ratio = ratio_text(row) + changed(row, before)
    return [*named, *ours, row["beside"], *theirs, ratio, spread(row), *bounds, met]


def markdown(row: Row) -> str:
    """A row of a document's table."""
    ours = f"{figure(row['value'])} {row['unit']}"
    ratio = [ratio_text(row), spread(row)]
    return f"| {' | '.join([row['measure'], ours, row['beside'], beside_value(row), *ratio])} |"


def changed(row: Row, before: Row | None) -> str:
    """How far the figure that is bounded is from that of an earlier run."""
    if before is None or "error" in before:
        return ""
    now, then = (judged(each) for each in (row, before))
    share = now / then - 1
    return f" (was {then:.2f}, {share:+.0%})" if abs(share) >= NOTED else f" (was {then:.2f})"


def judged(row: Row) -> float:
    """Returns the bounded figure: our value or the ratio."""
    return float(row["value"] if row["bound"].endswith("value") else row["ratio"])


def cpu(microseconds: Mapping[str, float] | None) -> str:
    """CPU of one operation: the client's and PostgreSQL's."""
    if microseconds is None:
        return ""
    client, server = (microseconds.get(of) for of in ("client", "server"))
    return (
        " + ".join("?" if each is None else figure(each) for each in (client, server))
        + " \N{MICRO SIGN}s"
    )


def ratio_text(row: Row) -> str:
    """The median of the pairs' ratios; nothing if the figure stands for itself."""
    return f"{row['ratio']:.2f}" if "ratio" in row else ""


def spread(row: Row) -> str:
    """The smallest and the largest ratio, or value if there is nothing to compare it with."""
    return f"{_short(row['low'])} to {_short(row['high'])}" if "low" in row else ""


def beside_value(row: Row) -> str:
    """Returns the peer's value."""
    return figure(row["beside_value"]) if "beside_value" in row else ""


def figure(value: float) -> str:
    """A number with three digits at least, and thousands apart."""
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.2f}"
