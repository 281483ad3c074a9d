"""Commands that decide how long jobs are kept: retention list, set, drop, apply; hold and release."""

from pathlib import Path
from typing import Annotated

import typer
from jobledger.infra.cli.context import ERR, OUT, JobName, Json, print_json, say, target
from jobledger.infra.eventstore.json_view import time_text
from jobledger.infra.programs.users import user_name
from jobledger.infra.retention.apply import RetentionRun
from jobledger.infra.retention.rules import RetentionRule
from jobledger.infra.upkeep.capacity import SECONDS, parse_keep
from rich.table import Table

retention = typer.Typer(
    no_args_is_help=True, help="List, set, drop and apply rules for how long jobs are kept."
)
RuleName = Annotated[str, typer.Argument(metavar="RULE", help="The rule's name, such as failed.")]
Pin = Annotated[
    bool,
    typer.Option("--pin", help="Place or release a pin, not the legal hold; a job can have both."),
]


@retention.command("list")
def list_rules(context: typer.Context, json: Json = False) -> None:
    """List the retention rules, and the jobs that are held or pinned."""
    with target(context).open() as ledger:
        rules, held = ledger.retention_rules(), ledger.holds()
    if json:
        holds = [each._asdict() | {"time": time_text(each.time)} for each in held]
        print_json({"rules": [rule.json() for rule in rules], "holds": holds})
        return
    table = Table("rule", "keep", "states", "kind", "filter")
    for rule in rules:
        states = ", ".join(rule.states) or "all"
        keep = _keep_text(rule.keep_seconds)
        table.add_row(rule.name, keep, states, rule.kind or "all", rule.filter)
    OUT.print(table)
    if held:
        holds_table = Table("job", "hold", "since (UTC)", "by", "reason")
        for each in held:
            kind = "pin" if each.is_pin else "legal hold"
            time = time_text(each.time)
            holds_table.add_row(each.name, kind, time, each.actor or "", each.reason)
        OUT.print(holds_table)


@retention.command("set")
def set_rule(
    context: typer.Context,
    name: RuleName,
    keep: Annotated[
        str, typer.Option(metavar="TIME", help="How long jobs are kept after their end: 90d, 2y.")
    ],
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help="An outcome, such as FAILED; repeatable; default: all."),
    ] = None,
    kind: Annotated[str, typer.Option(help="The kind of the jobs, such as customJobs.")] = "",
    filter: Annotated[str, typer.Option(help="A filter that the jobs match, as in `list`.")] = "",
) -> None:
    """Set a retention rule: jobs that match all of it are pruned by the scheduler."""
    rule = RetentionRule(name, parse_keep(keep), tuple(state or ()), kind, filter)
    with target(context).open() as ledger:
        position = ledger.set_retention_rule(rule, user_name())
    say(f"the rule {name} is set, recorded at position {position}")


@retention.command("drop")
def drop_rule(context: typer.Context, name: RuleName) -> None:
    """Drop a retention rule."""
    with target(context).open() as ledger:
        position = ledger.drop_retention_rule(name, user_name())
    say(f"the rule {name} is dropped, recorded at position {position}")


@retention.command("apply")
def apply(
    context: typer.Context,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The folder for exports of pruned jobs; default: JOBLEDGER_ARCHIVES.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only count what each rule selects.")
    ] = False,
    json: Json = False,
) -> None:
    """Apply all retention rules now: export, verify, prune, give the disk back; exits 1 if one fails."""
    with target(context).open() as ledger:
        run = ledger.apply_retention(to, dry_run=dry_run, actor=user_name())
    if json:
        rules = [each._asdict() | {"file": each.file and str(each.file)} for each in run.rules]
        compaction = None if run.compaction is None else run.compaction._asdict()
        print_json({"rules": rules, "bytes": compaction, "error": run.error})
    else:
        _print(run, dry_run=dry_run)
    if run.error or any(each.error for each in run.rules):
        raise typer.Exit(1)


def hold(
    context: typer.Context,
    name: JobName,
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")],
    pin: Pin = False,
) -> None:
    """Place a legal hold on a job, or pin it: nobody can prune it until that is released."""
    aim = target(context)
    with aim.open() as ledger:
        position = ledger.hold(aim.name(name), reason, pin=pin, actor=user_name())
    say(f"{aim.name(name)} is {'pinned' if pin else 'held'}, recorded at position {position}")


def release(
    context: typer.Context,
    name: JobName,
    reason: Annotated[str, typer.Option(help="Why; it is recorded.")] = "",
    pin: Pin = False,
) -> None:
    """Release a job's legal hold, or its pin."""
    aim = target(context)
    with aim.open() as ledger:
        position = ledger.release(aim.name(name), reason, pin=pin, actor=user_name())
    what = "not pinned" if pin else "not held"
    say(f"{aim.name(name)} is {what} any more, recorded at position {position}")


def _keep_text(seconds: float) -> str:
    """Returns a duration in the largest unit of which it is a whole number."""
    for unit in ("d", "h", "min"):
        if seconds % SECONDS[unit] == 0:
            return f"{seconds / SECONDS[unit]:g}{unit}"
    return f"{seconds:g}s"


def _print(run: RetentionRun, *, dry_run: bool) -> None:
    if not run.rules:
        OUT.print("there are no retention rules")
        return
    table = Table("rule", "would be pruned" if dry_run else "pruned", "events", "held", "file")
    for each in run.rules:
        table.add_row(
            each.rule, str(each.jobs), str(each.events), str(each.held), str(each.file or "")
        )
    OUT.print(table)
    for each in run.rules:
        if each.error:
            ERR.print(f"{each.rule}: {each.error}", style="yellow", markup=False)
    if run.compaction is not None:
        before, after = run.compaction
        say(f"the tables take {after:,} bytes of disk, and took {before:,}")
    if run.error:
        ERR.print(run.error, style="yellow", markup=False)
