"""The command `follow kubernetes`: watches a cluster's Jobs, or reads them from files."""

from __future__ import annotations

import signal
from itertools import chain
from pathlib import Path
from threading import Event as Signal
from typing import Annotated, Any

import typer
from jobledger.infra.cli.context import ERR, Target, say, target
from jobledger.infra.settings import Settings
from jobledger.infra.sources.kubernetes.follower import ClusterFollower
from jobledger.infra.sources.kubernetes.histories import Objects
from jobledger.infra.sources.kubernetes.kubeconfig import connect
from jobledger.infra.sources.kubernetes.watch import RESOURCES, Resource, by_kind, read_file

follow = typer.Typer(
    no_args_is_help=True, help="Follow a Kubernetes cluster: its Jobs, Pods and Events."
)


@follow.callback()
def _group() -> None:
    """Makes `kubernetes` a subcommand, because others may follow."""


@follow.command("kubernetes")
def kubernetes(
    context: typer.Context,
    kubeconfig: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Default: KUBECONFIG, or ~/.kube/config."),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option("--context", metavar="NAME", help="Default: the kubeconfig's current one."),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Default: all namespaces.")
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="A file with the output of `kubectl get -o json`, instead of a cluster.",
        ),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Record the current objects, and exit.")
    ] = False,
) -> None:
    """Record Jobs, Pods, Warning events and Kueue's Workloads, then each change, until interrupted.

    The next run continues where this one ended. It only lists and watches.
    """
    aim = target(context)
    objects = Objects(aim.project, "follow kubernetes", namespace)
    if files:
        follower = _record_files(aim, objects, files)
    else:
        follower = _follow_cluster(aim, objects, connect(kubeconfig, cluster), namespace, once=once)
    _print(follower)


def _record_files(aim: Target, objects: Objects, files: list[Path]) -> ClusterFollower:
    with aim.open() as ledger:
        follower = ClusterFollower(ledger, objects, "files")
        follower.record_all(by_kind(chain.from_iterable(map(read_file, files))))
    return follower


def _follow_cluster(
    aim: Target,
    objects: Objects,
    cluster: tuple[str, Any],
    namespace: str | None,
    *,
    once: bool,
) -> ClusterFollower:
    """Records the objects of a cluster, then its changes until the process is stopped."""
    stop = Signal()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    name, client = cluster
    place = f"{aim.ledger}-{aim.project}-{name}-{namespace or 'all'}".replace("/", "_")
    memory = Settings().home / "kubernetes" / f"{place}.json"
    with client, aim.open() as ledger:
        resources = [Resource(client, *each, namespace) for each in RESOURCES]
        follower = ClusterFollower(ledger, objects, name, memory)
        try:
            if once:
                follower.read_all(resources)
            else:
                follower.follow(resources, stop)
        except KeyboardInterrupt:
            stop.set()
    return follower


def _print(follower: ClusterFollower) -> None:
    """Prints what was recorded; exits with 1 if an object could not be placed."""
    summary = follower.summary
    for why in summary.unplaced[:20]:
        ERR.print(why, markup=False)
    say(
        f"{summary.records} objects seen, {summary.events} events recorded,"
        f" {summary.unplaced_count} could not be placed"
    )
    if summary.unplaced_count:
        raise typer.Exit(1)
