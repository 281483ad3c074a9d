"""Measures rows one after the other; each is written to a file as soon as it is measured."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
import psycopg
from jobledger.domain.errors import LedgerError
from jobledger.infra.bench.figures import row_of
from jobledger.infra.bench.pairs import run_pairs

if TYPE_CHECKING:
    from jobledger.infra.bench.arena import Arena
    from jobledger.infra.bench.catalogue import Measure

SETTINGS: Final = ("server_version", "fsync", "synchronous_commit", "shared_buffers")
BUSY: Final = "while True: pass"


class Conditions(NamedTuple):
    """The conditions of a measurement."""

    machine: str
    seconds: float
    pairs: int
    quick: bool = False
    busy: bool = False


def conditions(arena: Arena, pairs: int, *, quick: bool, busy: bool) -> Conditions:
    """Describes this machine, its server, and how it is measured."""
    values = ", ".join(f"{name} {arena.execute(f'SHOW {name}')[0][0]}" for name in SETTINGS)
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()};"
        f" PostgreSQL: {values}"
    )
    return Conditions(machine, arena.seconds, pairs, quick, busy)


def measure_row(measure: Measure, arena: Arena, pairs: int) -> dict[str, Any]:
    """The measure's row; one that cannot be measured here has an `error` in the place of figures."""
    row: dict[str, Any] = measure.described(arena.sizes)
    try:
        with measure.sides(arena) as sides:
            return row | row_of(measure, run_pairs(sides, pairs))
    except (LedgerError, ImportError, OSError, psycopg.Error) as error:
        return row | {"error": str(error) or type(error).__name__}
    except Exception as error:  # A failed row does not stop the others.
        last = traceback.extract_tb(error.__traceback__)[-1]
        why = f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
        return row | {"error": " ".join(why.split())}


def measure_rows(
    measures: Sequence[Measure],
    arena: Arena,
    under: Conditions,
    file: Path | None = None,
    limit: float | None = None,
) -> Iterator[dict[str, Any]]:
    """Yields each row after it is measured and written to the file; starts none after `limit` seconds."""
    rows: list[dict[str, Any]] = []
    begin = time.monotonic()
    for measure in measures:
        if limit is not None and time.monotonic() - begin > limit:
            rows.append(measure.described(arena.sizes) | {"error": f"the {limit:g} s were over"})
        else:
            rows.append(measure_row(measure, arena, under.pairs))
        if file is not None:
            write_rows(file, under, rows)
        yield rows[-1]


def write_rows(file: Path, under: Conditions, rows: Sequence[dict[str, Any]]) -> None:
    """Writes all rows so far; the file is replaced whole."""
    found = under._asdict() | {"measured": datetime.now(UTC).isoformat(timespec="seconds")}
    beside = file.with_name(f".{file.name}.new")
    beside.write_bytes(orjson.dumps(found | {"rows": rows}, option=orjson.OPT_INDENT_2) + b"\n")
    beside.replace(file)


def read_rows(file: Path) -> dict[str, dict[str, Any]]:
    """The rows of a file by their ids."""
    return {row["id"]: row for row in orjson.loads(file.read_bytes())["rows"]}


@contextmanager
def one_core_busy(busy: bool) -> Iterator[None]:
    """Keeps one core busy within the block, if `busy` is set."""
    if not busy:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        yield
    finally:
        process.kill()
        process.wait()
