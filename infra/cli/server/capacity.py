"""The command that plans how much disk, memory and time a ledger will take: plan-capacity."""

from datetime import timedelta
from typing import Annotated

import typer
from jobledger.infra.cli.context import Json, aside, print_json, say
from jobledger.infra.upkeep.capacity import FIGURES, Capacity, parse_keep, parse_rate, plan


def plan_capacity(
    rate: Annotated[
        str, typer.Option(metavar="500/s", help="Events on average: per s, min, h, d, w or y.")
    ],
    keep: Annotated[
        str, typer.Option(metavar="2y", help="How long events are kept: in s, min, h, d, w or y.")
    ],
    events_per_job: Annotated[
        float | None,
        typer.Option(min=1, help="Events of one job; default: as in simulated histories."),
    ] = None,
    event_bytes: Annotated[
        int | None,
        typer.Option(min=2, help="Bytes of an event's data; default: as in simulated histories."),
    ] = None,
    json: Json = False,
) -> None:
    """Plan the disk, memory and time that a ledger takes, from measured figures; needs no database."""
    found = plan(parse_rate(rate), parse_keep(keep), events_per_job, event_bytes)
    if json:
        print_json(found._asdict() | {"figures": FIGURES})
        return
    for line in _lines(found):
        say(line)
    aside(f"from measured figures: {FIGURES['source']}")


def _lines(found: Capacity) -> list[str]:
    cached, server = size_text(found.indexes), size_text(found.server)
    verify, rebuild = (timedelta(seconds=n) for n in (found.verify_seconds, found.rebuild_seconds))
    largest = ", ".join(f"{name} {size_text(size)}" for name, size in found.tables.items())
    return [
        f"events: {found.events:,} of {found.jobs:,} jobs",
        f"disk: {size_text(found.disk)} ({largest}); the same again for a backup",
        f"memory: {cached} hold all indexes in PostgreSQL; a server process takes {server}",
        f"appends: {found.append_share:.1%} of what one ledger was measured to take",
        f"verify: {verify}; rebuild: {rebuild}",
    ]


def size_text(size: float) -> str:
    """Returns a number of bytes in decimal units."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1_000:
            return f"{size:.3g} {unit}"
        size /= 1_000
    return f"{size:,.3g} PB"
