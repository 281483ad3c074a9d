"""How large the histories are that rows are measured on."""

from __future__ import annotations

from typing import Final, NamedTuple

MILLION: Final = 1_000_000


class Sizes(NamedTuple):
    """Numbers of events, jobs and examples; texts of rows name them as `{history}`."""

    history: int = 2_000_000
    """Events of a fleet's history."""
    events: int = 200_000
    """Events that are imported, rebuilt, verified and read."""
    long_job: int = 7_000
    """Events of one job with a long history."""
    page_job: int = 5_000
    """Events of the job whose page is opened."""
    jobs: int = 1_000_000
    """Jobs that are searched."""
    predictions: int = 50_000
    examples: int = 100_000
    log: int = 2_000
    """Events of a short log."""
    grown: int = 20_000_000
    """Events of a ledger that has grown."""
    young: int = 200_000
    """Events of the ledger beside it."""
    source: int = 60_000
    """Changes of a source."""
    page: int = 100
    """Jobs on a page of a list."""

    def describe(self, text: str) -> str:
        """Fills the sizes into the text of a row.

        Args:
            text: The text, with sizes as `{name}`.

        Returns:
            The text.

        Examples:
            >>> Sizes().describe("count, {history} events")
            'count, 2 million events'
        """
        return text.format_map({name: count(size) for name, size in self._asdict().items()})


QUICK: Final = Sizes(
    history=100_000,
    events=40_000,
    long_job=2_000,
    page_job=1_000,
    jobs=50_000,
    predictions=5_000,
    examples=10_000,
    log=500,
    grown=100_000,
    young=10_000,
    source=8_000,
)
"""For figures before and after a change."""


def count(number: int) -> str:
    """A number as it is read: "2 million", "200,000"."""
    millions, rest = divmod(number, MILLION)
    return f"{millions:,} million" if millions and not rest else f"{number:,}"
