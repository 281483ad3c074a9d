"""The command that verifies: what is shown against the events, and the events against the proof."""

import base64
from pathlib import Path
from typing import Annotated, Any

import typer
from jobledger.infra.cli.context import OUT, Json, print_json, say, target
from jobledger.infra.cli.progress import moving
from jobledger.infra.ledger import Ledger
from jobledger.infra.proof.audit.audit import Audit, audit
from jobledger.infra.proof.signing.keys import read_verifiers
from jobledger.infra.settings import Settings
from jobledger.infra.upkeep.verify import Finding
from jobledger.infra.upkeep.verify import verify as verify_ledger


def verify(
    context: typer.Context,
    proof: Annotated[
        bool,
        typer.Option(
            "--proof", help="First hash every event again, and hold the log against checkpoints."
        ),
    ] = False,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="With --proof: one from elsewhere or earlier; as often as you like.",
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY|FILE",
            help="With --proof: public keys to trust, instead of the log's own here.",
        ),
    ] = None,
    since: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With --proof: a checkpoint to trust; only events after it are read.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Replay every job and compare with what is shown of it; exits 1 if anything differs.

    With --proof, what kind of damage a finding is: changed, missing, inserted, reordered, cut
    tail, rolled back, forked, or projection out of step.
    """
    if not proof and (checkpoint or key or since):
        raise typer.BadParameter("--checkpoint, --key and --since are of --proof")
    with target(context).open() as ledger:
        if proof:
            _verify_proof(ledger, checkpoint or [], key or [], since, json=json)
        else:
            _verify_rows(ledger, json=json)


def _verify_proof(
    ledger: Ledger, checkpoints: list[Path], keys: list[str], since: Path | None, *, json: bool
) -> None:
    with ledger.connection() as connection, moving("hashing") as move:
        trusted = read_verifiers(keys)
        found = audit(
            connection, Settings(), checkpoints, trusted, since,
            lambda what, done, size: move(done, size, what),
        )  # fmt: skip
    if json:
        root = base64.b64encode(found.root).decode()
        findings = [finding._asdict() for finding in found.findings]
        print_json({"ok": found.ok} | found._asdict() | {"root": root, "findings": findings})
    else:
        _print_findings(found.findings)
        say(_sentence(found))
    if not found.ok:
        raise typer.Exit(1)


def _sentence(found: Audit) -> str:
    held = f"{found.checkpoints} checkpoints" if found.checkpoints else "no checkpoint at all"
    outcome = "all as sealed" if found.ok else f"{len(found.findings)} findings"
    parts = [f"{found.size} events hashed again and held against {held}: {outcome}"]
    for count, what in (
        (found.unsealed, "not sealed yet"),
        (found.erased, "with personal data that was erased"),
        (found.pruned, "pruned"),
    ):
        if count:
            parts.append(f"{count} {what}")
    return ", ".join(parts)


def _verify_rows(ledger: Ledger, *, json: bool) -> None:
    with ledger.connection() as connection, moving("replaying") as move:
        verdict = verify_ledger(connection, move)
    if json:
        said: dict[str, Any] = {"ok": verdict.ok, "events": verdict.events, "jobs": verdict.jobs}
        print_json(said | {"findings": [finding._asdict() for finding in verdict.findings]})
    else:
        _print_findings(verdict.findings)
        outcome = "all as shown" if verdict.ok else f"{len(verdict.findings)} findings"
        OUT.print(f"{verdict.jobs} jobs replayed from {verdict.events} events: {outcome}")
    if not verdict.ok:
        raise typer.Exit(1)


def _print_findings(findings: list[Finding]) -> None:
    for finding in findings:
        place = f" at position {finding.position}" if finding.position else ""
        say(f"{finding.kind}{place}: {finding.name} {finding.detail}")
