"""The command `verify`: compares stored rows with the events, and the events with the proof."""

import base64
from pathlib import Path
from typing import Annotated, Any

import typer
from jobledger.infra.cli.context import OUT, Json, counted, print_json, say, target
from jobledger.infra.cli.progress import moving
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.ledger import Ledger
from jobledger.infra.proof.audit.audit import Audit, audit
from jobledger.infra.proof.audit.records import Record
from jobledger.infra.proof.audit.resumptions import RESUMED
from jobledger.infra.proof.signing.keys import read_verifiers
from jobledger.infra.settings import Settings
from jobledger.infra.upkeep.findings import Finding
from jobledger.infra.upkeep.verify import verify as verify_ledger

WithProof = Annotated[
    bool,
    typer.Option(
        "--proof", help="First hash all events again, and compare the log with checkpoints."
    ),
]
Checkpoints = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="With --proof: a checkpoint from elsewhere or earlier; may be repeated.",
    ),
]
Keys = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY|FILE",
        help="With --proof: public keys to trust, instead of the log's own on this machine.",
    ),
]
Since = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="With --proof: a checkpoint to trust; only events after it are verified.",
    ),
]
TrustFirst = Annotated[
    bool,
    typer.Option(
        "--trust-first",
        help="With --proof: accept a log without any checkpoint, and pin its name.",
    ),
]


def verify(
    context: typer.Context,
    proof: WithProof = False,
    checkpoint: Checkpoints = None,
    key: Keys = None,
    since: Since = None,
    trust_first: TrustFirst = False,
    json: Json = False,
) -> None:
    """Verify the ledger: replay all jobs and compare them with the stored rows; exits 1 if anything differs.

    With --proof, each finding has a kind: changed, missing, inserted, reordered, cut tail,
    rolled back, forked, clock, extra, unsigned, unchecked, or projection out of step. A log
    without a checkpoint to compare it with is unchecked.
    """
    if not proof and (checkpoint or key or since or trust_first):
        raise typer.BadParameter("--checkpoint, --key, --since and --trust-first need --proof")
    with target(context).open() as ledger:
        if proof:
            _verify_proof(
                ledger, checkpoint or [], key or [], since, trust_first=trust_first, json=json
            )
        else:
            _verify_rows(ledger, json=json)


def _verify_proof(
    ledger: Ledger,
    checkpoints: list[Path],
    keys: list[str],
    since: Path | None,
    *,
    trust_first: bool,
    json: bool,
) -> None:
    with ledger.connection() as connection, moving("hashing") as move:
        trusted = read_verifiers(keys)
        found = audit(
            connection, Settings(), checkpoints, trusted, since,
            lambda what, done, size: move(done, size, what), trust_first=trust_first,
        )  # fmt: skip
    if json:
        root = base64.b64encode(found.root).decode()
        findings = [finding._asdict() for finding in found.findings]
        records = [_record_json(record) for record in found.records]
        value = {"ok": found.ok} | found._asdict()
        print_json(value | {"root": root, "records": records, "findings": findings})
    else:
        _print_findings(found.findings)
        for record in found.records:
            by = f" by {record.actor}" if record.actor else ""
            place = f"{record.kind}, at position {record.position}"
            say(f"{place}, {time_text(record.recorded_time)}{by}{_by_rule(record)}{_lost(record)}")
        say(_sentence(found))
    if not found.ok:
        raise typer.Exit(1)


def _record_json(record: Record) -> dict[str, Any]:
    time = time_text(record.recorded_time)
    return record._asdict() | {"recorded_time": time, "said": record.data}  # said: the former name.


def _by_rule(record: Record) -> str:
    rule = record.data.get("rule")
    return f" by the rule {rule.get('name')}" if isinstance(rule, dict) else ""


def _lost(record: Record) -> str:
    if record.kind != RESUMED or not isinstance(lost := record.data.get("lost"), dict):
        return ""
    return f": positions {lost.get('first')} to {lost.get('last')} were lost"


def _sentence(found: Audit) -> str:
    checkpoints = counted(found.checkpoints, "checkpoint") if found.checkpoints else "no checkpoint"
    outcome = "all unchanged" if found.ok else counted(len(found.findings), "finding")
    events = counted(found.size, "event")
    parts = [f"{events} hashed again and compared with {checkpoints}: {outcome}"]
    for count, what in (
        (found.unsealed, "not in the log's tree yet"),
        (found.erased, "with personal data that was erased"),
        (found.pruned, "pruned"),
    ):
        if count:
            parts.append(f"{count} {what}")
    if lost := found.lost_checkpoints:
        parts.append(f"{counted(lost, 'checkpoint')} of lost history left out")
    return ", ".join(parts)


def _verify_rows(ledger: Ledger, *, json: bool) -> None:
    with (
        ledger.connection() as connection,
        ledger.connection() as second,
        moving("replaying") as move,
    ):
        verdict = verify_ledger(connection, move, second)
    if json:
        fields: dict[str, Any] = {"ok": verdict.ok, "events": verdict.events, "jobs": verdict.jobs}
        print_json(fields | {"findings": [finding._asdict() for finding in verdict.findings]})
    else:
        _print_findings(verdict.findings)
        outcome = "all rows match" if verdict.ok else counted(len(verdict.findings), "finding")
        jobs, events = counted(verdict.jobs, "job"), counted(verdict.events, "event")
        OUT.print(f"{jobs} replayed from {events}: {outcome}")
    if not verdict.ok:
        raise typer.Exit(1)


def _print_findings(findings: list[Finding]) -> None:
    for finding in findings:
        place = f" at position {finding.position}" if finding.position else ""
        say(f"{finding.kind}{place}: {finding.name} {finding.detail}")
