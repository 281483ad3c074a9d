"""Runs faults against a server under load, and judges what came of it.

python -m tests.faults.run faults [NAME …]      each fault on a server of its own
python -m tests.faults.run soak MINUTES [SEED]  faults at random on one server
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import TextIO

from jobledger.infra.postgres.connections import connect, conninfo, schema_of
from jobledger.infra.upkeep.verify import verify

from tests.clusters import new_cluster
from tests.faults.judge import MAX_NAMED, Verdict, judge
from tests.faults.matrix import BY_NAME, FAULTS, Fault, Load
from tests.schemas import make_ledger

CALM_SECONDS = 1.0
"""Between two faults of a soak."""


@contextmanager
def loaded() -> Iterator[Load]:
    """Yields clients at work on a ledger of their own durable server."""
    with (
        new_cluster(fsync="on", max_connections="60") as cluster,
        tempfile.TemporaryDirectory(prefix="jobledger-faults-") as folder,
    ):
        load = Load(cluster, make_ledger(cluster.dsn), Path(folder))
        try:
            load.wait_for_more()
            yield load
        finally:
            load.kill()


def finish(load: Load) -> Verdict:
    """Ends the clients, and judges; what `verify` finds counts too."""
    load.end()
    verdict = judge(load.folder, load.cluster.dsn, load.ledger)
    with connect(conninfo(load.cluster.dsn, schema_of(load.ledger))) as connection:
        verified = [str(finding) for finding in verify(connection).findings]
    return verdict._replace(findings=[*verdict.findings, *verified])


def run_fault(fault: Fault) -> Verdict:
    """One fault in the middle of a load."""
    with loaded() as load:
        fault(load)
        load.wait_for_more()
        return finish(load)


def soak(minutes: float, seed: int) -> tuple[Verdict, list[str]]:
    """Runs random faults for some time; returns the verdict and the faults."""
    random, done = Random(seed), list[str]()
    end = time.monotonic() + minutes * 60
    with loaded() as load:
        while time.monotonic() < end:
            fault = random.choice(FAULTS)
            done.append(fault.__name__)
            say(fault.__name__)
            begin = time.monotonic()
            fault(load)
            load.wait_for_more()
            say(f"  {time.monotonic() - begin:.1f} s; {load.acknowledged()} acknowledged so far")
            time.sleep(CALM_SECONDS)
        return finish(load), done


def say(line: str, to: TextIO | None = None) -> None:
    """Prints a line at once."""
    out = sys.stdout if to is None else to
    out.write(f"{line}\n")
    out.flush()


def tell(what: str, verdict: Verdict) -> bool:
    """Prints a verdict; returns whether there are no findings."""
    say(
        f"{'DOES NOT HOLD' if verdict.findings else 'holds'}: {what}:"
        f" {verdict.acknowledged} acknowledged, {verdict.refused} refused, {verdict.unknown} repeated,"
        f" {verdict.past} answers of the past, {verdict.fed} events fed"
    )
    for finding in verdict.findings[:MAX_NAMED]:
        say(f"  {finding}")
    return not verdict.findings


def main(arguments: Sequence[str]) -> int:
    """Returns 0 without findings, 1 with findings, and 2 for invalid arguments."""
    os.environ.setdefault("JOBLEDGER_SEAL", "false")
    match arguments:
        case ["faults", *names] if set(names) <= set(BY_NAME):
            faults = [BY_NAME[name] for name in names] or FAULTS
            held = [tell(fault.__name__, run_fault(fault)) for fault in faults]
            return 0 if all(held) else 1
        case ["soak", minutes, *seed]:
            verdict, done = soak(float(minutes), int(seed[0]) if seed else 0)
            return 0 if tell(f"a soak with {len(done)} faults", verdict) else 1
    say(f"faults are: {', '.join(BY_NAME)}", sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
