"""Kubernetes, followed through a real HTTP server that lists and watches as its API is documented to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Thread
from threading import Event as Signal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.states import JobState as S
from jobledger.infra import Ledger
from jobledger.infra.errors import AttachError, SourceUnavailableError
from jobledger.infra.sources.kubernetes import follower as following
from jobledger.infra.sources.kubernetes.follower import ClusterFollower
from jobledger.infra.sources.kubernetes.histories import Objects
from jobledger.infra.sources.kubernetes.kubeconfig import connect
from jobledger.infra.sources.kubernetes.watch import RESOURCES, Resource, Seen, by_kind

from tests.command_line import Cli

pytestmark = pytest.mark.slow
KINDS = {"jobs": "Job", "pods": "Pod", "events": "Event"}


class Cluster(ThreadingHTTPServer):
    """Objects with resource versions, and what happened to them since `oldest`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Api)
        self.changed = Condition()
        self.version, self.oldest = 10, 10
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.log: list[tuple[int, str, dict[str, Any]]] = []
        self.asked: list[str] = []
        self.ending = False
        self.failures = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def put(self, given: dict[str, Any]) -> None:
        with self.changed:
            key = given["kind"], given["metadata"]["name"]
            self._note("MODIFIED" if key in self.objects else "ADDED", given)
            self.objects[key] = given

    def delete(self, kind: str, name: str) -> None:
        with self.changed:
            self._note("DELETED", self.objects.pop((kind, name)))

    def forget(self) -> None:
        """Compacts what happened: watches from before get 410."""
        with self.changed:
            self.oldest = self.version + 3
            self.version += 5
            self.log.clear()
            self.changed.notify_all()

    def _note(self, type_: str, given: dict[str, Any]) -> None:
        self.version += 1
        given["metadata"]["resourceVersion"] = str(self.version)
        self.log.append((self.version, type_, json.loads(json.dumps(given))))
        self.changed.notify_all()


class _Api(BaseHTTPRequestHandler):
    server: Cluster
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = {key: value[0] for key, value in parse_qs(asked.query).items()}
        resource = asked.path.rpartition("/")[2]
        self.server.asked.append(self.path)
        if self.headers["authorization"] != "Bearer my-token":
            self._answer(401, {"kind": "Status", "code": 401, "message": "Unauthorized"})
        elif self.server.failures:
            self.server.failures -= 1
            self._answer(503, {"message": "etcd is away"})
        elif resource not in KINDS:
            self._answer(404, {"message": "the server could not find the requested resource"})
        elif "watch" in query:
            self._watch(KINDS[resource], int(query["resourceVersion"]))
        else:
            self._list(KINDS[resource], query)

    def _list(self, kind: str, query: dict[str, str]) -> None:
        with self.server.changed:
            found = [each for (of, _), each in self.server.objects.items() if of == kind]
            start = int(query.get("continue", 0))
            meta: dict[str, str] = {"resourceVersion": str(self.server.version)}
            if start + 1 < len(found):
                meta["continue"] = str(start + 1)
            items = [
                {k: v for k, v in each.items() if k != "kind"} for each in found[start : start + 1]
            ]
        self._answer(200, {"kind": f"{kind}List", "metadata": meta, "items": items})

    def _watch(self, kind: str, after: int) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            with self.server.changed:
                gone = after < self.server.oldest - 1
                new = [each for each in self.server.log if each[0] > after]
                if not new and not gone and not self.server.ending:
                    self.server.changed.wait(5)
                    continue
                after = self.server.version
            if gone:
                self._chunk(
                    {
                        "type": "ERROR",
                        "object": {"kind": "Status", "code": 410, "reason": "Expired"},
                    }
                )
            for _, type_, found in new:
                if found["kind"] == kind:
                    self._chunk({"type": type_, "object": found})
            self._chunk(
                {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(after)}}}
            )
            if gone or self.server.ending:
                self.wfile.write(b"0\r\n\r\n")
                return

    def _chunk(self, entries: dict[str, Any]) -> None:
        line = json.dumps(entries).encode() + b"\n"
        self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
        self.wfile.flush()

    def _answer(self, status: int, entries: dict[str, Any]) -> None:
        body = json.dumps(entries).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        """Who is followed no more hangs up."""
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        Thread(target=made.serve_forever, daemon=True).start()
        yield made
        with made.changed:
            made.ending = True
            made.changed.notify_all()
        made.shutdown()


@pytest.fixture
def kubeconfig(cluster: Cluster, tmp_path: Path) -> Path:
    config = {
        "current-context": "trial",
        "contexts": [{"name": "trial", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": cluster.url}}],
        "users": [{"name": "u", "user": {"token": "my-token"}}],
    }
    (file := tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    return file


def at(minute: int) -> str:
    return f"2026-06-01T10:{minute:02}:00Z"


def meta(name: str, minute: int, owner: str | None = None, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": name,
        "namespace": "ml",
        "uid": f"uid-{name}",
        "creationTimestamp": at(minute),
    }
    if owner:
        body["ownerReferences"] = [{"kind": "Job", "name": owner, "controller": True}]
    return body | more


def conditions(*found: tuple[str, str, int, str]) -> list[dict[str, str]]:
    return [
        {
            "type": type_,
            "status": status,
            "lastTransitionTime": at(minute),
            "reason": reason,
            "message": "m",
        }
        for type_, status, minute, reason in found
    ]


def job(
    name: str, *found: tuple[str, str, int, str], minute: int = 0, **spec: Any
) -> dict[str, Any]:
    return {"kind": "Job", "metadata": meta(name, minute, labels={"team": "vision"}), "spec": spec,
            "status": {"conditions": conditions(*found)}}  # fmt: skip


def pod(
    name: str, owner: str, phase: str, minute: int, state: dict[str, Any], **more: Any
) -> dict[str, Any]:
    container = {"name": "main", "restartCount": more.pop("restarts", 0), "state": state,
                 "lastState": more.pop("before", {})}  # fmt: skip
    status = {"phase": phase, "containerStatuses": [container],
              "conditions": conditions(("PodScheduled", "True", minute, ""), *more.pop("found", ()))}  # fmt: skip
    return {
        "kind": "Pod",
        "metadata": meta(name, minute, owner),
        "spec": {"nodeName": "n1"},
        "status": status | more,
    }


def running(minute: int) -> dict[str, Any]:
    return {"running": {"startedAt": at(minute)}}


def ended(start: int, end: int, code: int = 0, reason: str = "Completed") -> dict[str, Any]:
    return {
        "terminated": {
            "startedAt": at(start),
            "finishedAt": at(end),
            "exitCode": code,
            "reason": reason,
        }
    }


def name(key: str) -> str:
    return f"projects/p/jobs/{key.replace('/', '_x2F_')}"


def types(ledger: Ledger, key: str) -> list[str]:
    return [event.type for event in ledger.history(name(key))]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def state_of(ledger: Ledger, key: str) -> S | None:
    found = list(ledger.list(f'name = "{name(key)}"'))
    return found[0].state if found else None


class Following:
    """Follows a cluster in a thread; started again, it continues."""

    def __init__(self, ledger: Ledger, kubeconfig: Path, memory: Path) -> None:
        self._ledger, self._kubeconfig, self._memory = ledger, kubeconfig, memory
        self._stop = Signal()

    def start(self) -> None:
        _, client = connect(self._kubeconfig)
        found = ClusterFollower(self._ledger, Objects("p", "k"), "trial", self._memory)
        resources = [Resource(client, *each, None) for each in RESOURCES]
        self._stop.clear()
        self._thread = Thread(target=found.follow, args=(resources, self._stop), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture
def follower(
    ledger: Ledger, kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Following:
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.1)
    return Following(ledger, kubeconfig, tmp_path / "memory.json")


def test_a_cluster_is_followed(ledger: Ledger, cluster: Cluster, follower: Following) -> None:
    cluster.failures = 2
    cluster.put(job("train"))
    cluster.put(pod("train-a", "train", "Running", 1, running(2)))
    cluster.put(job("old", ("Complete", "True", 3, "")))
    follower.start()
    wait_for(lambda: state_of(ledger, "ml/train") is S.RUNNING)
    evict(cluster)
    wait_for(lambda: state_of(ledger, "ml/train") is S.FAILED)
    cluster.put(pod("train-b", "train", "Running", 5, running(6)))
    wait_for(lambda: state_of(ledger, "ml/train") is S.RUNNING)
    listed = len(cluster.asked)
    cluster.forget()
    wait_for(lambda: any("pods" in path and "watch" not in path for path in cluster.asked[listed:]))
    run_out_of_memory_and_succeed(cluster)
    wait_for(
        lambda: (
            state_of(ledger, "ml/train") is S.SUCCEEDED and "Commented" in types(ledger, "ml/train")
        )
    )
    follower.stop()

    found = ledger.get(name("ml/train"))
    assert (found.attempt, found.run_ids) == (3, ("uid-train-a", "uid-train-b", "uid-train-b/1"))
    body = [event for event in ledger.history(name("ml/train")) if event.type == "Failed"]
    assert [event.json["error"]["message"] for event in body] == ["Evicted: disk", "OOMKilled"]
    assert body[1].json["exitCode"] == 137
    assert "Contradicted" not in types(ledger, "ml/train")
    assert found.labels == {"source": "kubernetes", "namespace": "ml", "team": "vision"}
    assert state_of(ledger, "ml/old") is S.SUCCEEDED


def evict(cluster: Cluster) -> None:
    """Evicts the first Pod of the Job `train`."""
    cluster.put(
        pod(
            "train-a",
            "train",
            "Failed",
            1,
            {},
            reason="Evicted",
            message="disk",
            found=[("DisruptionTarget", "True", 4, "EvictionByEvictionAPI")],
        )
    )


def run_out_of_memory_and_succeed(cluster: Cluster) -> None:
    """Restarts the container of the second Pod of `train` after it ran out of memory; then it succeeds."""
    killed = ended(6, 7, 137, "OOMKilled")
    cluster.put(pod("train-b", "train", "Running", 5, running(8), restarts=1, before=killed))
    cluster.put({"kind": "Event", "metadata": meta("e1", 8), "type": "Warning", "reason": "BackOff", "message": "again",
                 "lastTimestamp": at(8), "involvedObject": {"kind": "Pod", "namespace": "ml", "name": "train-b"}})  # fmt: skip
    cluster.put(pod("train-b", "train", "Succeeded", 5, ended(8, 9), restarts=1, before=killed))
    cluster.put(job("train", ("Complete", "True", 9, "")))


def test_a_follower_that_is_started_again_continues(
    ledger: Ledger, cluster: Cluster, follower: Following
) -> None:
    cluster.put(job("old", ("Complete", "True", 3, "")))
    follower.start()
    wait_for(lambda: ledger.size() > 0 and state_of(ledger, "ml/old") is S.SUCCEEDED)
    follower.stop()
    cluster.put(job("gone"))
    cluster.delete("Job", "gone")
    size, watched = ledger.size(), len(cluster.asked)
    follower.start()
    wait_for(lambda: state_of(ledger, "ml/gone") is S.CANCELLED)
    follower.stop()
    assert ledger.size() == size + 2
    assert any("watch=1" in path and "resourceVersion=" in path for path in cluster.asked[watched:])


def test_a_job_of_many_pods_has_children(ledger: Ledger, tmp_path: Path, cli: Cli) -> None:
    objects = {"kind": "List", "items": [
        job("wide", ("Failed", "True", 9, "BackoffLimitExceeded"), parallelism=2, completions=2),
        pod("wide-0", "wide", "Succeeded", 1, ended(2, 3)),
        pod("wide-1", "wide", "Failed", 1, ended(2, 4, 1, "Error")),
        {"kind": "ConfigMap", "metadata": {"name": "x", "namespace": "ml"}},
        {"kind": "Job", "metadata": {"name": "broken"}},
    ]}  # fmt: skip
    watched = [
        {"type": "ADDED", "object": job("waits", ("Suspended", "True", 0, "JobSuspended"), suspend=True)},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "7"}}},
        {"type": "ADDED", "object": {"kind": "Workload", "metadata": meta("w", 0, "waits"), "status": {
            "conditions": conditions(("QuotaReserved", "False", 1, "Pending"))}}},
        {"type": "MODIFIED", "object": job("waits", ("Suspended", "False", 5, "JobResumed"))},
    ]  # fmt: skip
    (listed := tmp_path / "list.json").write_text(json.dumps(objects, indent=1))
    (stream := tmp_path / "watch.json").write_text(
        "\n".join(json.dumps(each, indent=1) for each in watched)
    )
    done = cli.run(
        "--project", "p", "follow", "kubernetes", "--from", str(listed), "--from", str(stream)
    )
    assert done.returncode == 1
    assert "Job broken: metadata.namespace: None is no namespace" in done.stderr
    assert "8 objects seen" in done.stdout
    states = {job.name.rpartition("/")[2].replace("_x2F_", "/"): job.state for job in ledger.list()}
    assert states == {
        "ml/wide": S.FAILED,
        "ml/wide/wide-0": S.SUCCEEDED,
        "ml/wide/wide-1": S.FAILED,
        "ml/waits": S.QUEUED,
    }
    assert [child.job.name for child in ledger.tree(name("ml/wide")).children] == [
        name("ml/wide/wide-0"),
        name("ml/wide/wide-1"),
    ]
    assert ledger.get(name("ml/wide")).error_message == "BackoffLimitExceeded: m"
    assert types(ledger, "ml/waits") == ["Created", "Paused", "Commented", "Resumed"]
    assert ledger.history(name("ml/waits"))[2].json["note"] == "waiting: Pending: m"
    size = ledger.size()
    cli.run("--project", "p", "follow", "kubernetes", "--from", str(listed), "--from", str(stream))
    assert ledger.size() == size


LISTS = {
    "retried": (
        [
            job("train", ("Complete", "True", 10, "CompletionsReached"), backoffLimit=2),
            # In the second in which it failed, the other one was made.
            pod("train-b", "train", "Succeeded", 4, ended(5, 9)),
            pod("train-a", "train", "Failed", 1, ended(2, 4, 137, "OOMKilled")),
        ],
        ["Created", "Preparing", "Started", "Failed", "Preparing", "Started", "Succeeded"],
        S.SUCCEEDED,
    ),
    "given up": (
        [
            job("train", ("Failed", "True", 9, "BackoffLimitExceeded")),
            pod("train-a", "train", "Failed", 1, ended(2, 4, 1, "Error")),
            pod("train-b", "train", "Failed", 5, ended(6, 9, 1, "Error")),
        ],
        ["Created", "Preparing", "Started", "Failed", "Preparing", "Started", "Failed", "Commented"],
        S.FAILED,
    ),
}  # fmt: skip
"""Objects as they are listed when all is over, and what is recorded."""


@pytest.mark.parametrize("listed", LISTS)
@pytest.mark.parametrize("turned", [False, True])
def test_a_list_of_what_is_over_tells_how_it_went(
    ledger: Ledger, listed: str, turned: bool
) -> None:
    objects, expected, state = LISTS[listed]
    seen = [Seen(each) for each in (reversed(objects) if turned else objects)]
    for _ in range(2):
        follower = ClusterFollower(ledger, Objects("p", "k"), "trial")
        follower.record_all(by_kind(seen))
        assert (types(ledger, "ml/train"), state_of(ledger, "ml/train")) == (expected, state)
        assert follower.summary.unplaced == []
    assert ledger.get(name("ml/train")).attempt == 2


def container(name: str, state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "restartCount": 0, "state": state, "lastState": {}} | more


def test_a_pod_fails_by_the_container_that_failed(ledger: Ledger) -> None:
    """Kubernetes sorts the statuses of containers by name, so a side-car can be first."""
    sidecar = container("a-proxy", ended(2, 6))
    killed = pod("train-a", "train", "Failed", 1, {}, containerStatuses=[
        sidecar, container("main", ended(2, 5, 137, "OOMKilled"))])  # fmt: skip
    unprepared = pod("other-a", "other", "Failed", 1, {}, startTime=at(1), initContainerStatuses=[
        container("init", ended(2, 4, 2, "Error"))])  # fmt: skip
    restarted = pod("third-a", "third", "Running", 1, {}, containerStatuses=[
        container("a-proxy", running(2)),
        container("main", running(6), restartCount=1, lastState=ended(2, 5, 1, "Error"))])  # fmt: skip
    restarted["spec"]["containers"] = [{"name": "main"}, {"name": "a-proxy"}]
    follower = ClusterFollower(ledger, Objects("p", "k"), "trial")
    follower.record_all(map(Seen, [killed, unprepared, restarted]))
    train, other = ledger.get(name("ml/train")), ledger.get(name("ml/other"))
    assert (train.error_message, str(train.end_time)[14:19]) == ("OOMKilled", "06:00")
    assert ledger.history(train.name)[-1].json["exitCode"] == 137
    assert (other.error_message, str(other.end_time)[14:19]) == ("Error", "04:00")
    assert ledger.get(name("ml/third")).attempt == 2


def test_a_job_that_is_made_again_is_a_new_attempt(ledger: Ledger) -> None:
    """Helm's hooks and `kubectl replace --force` delete a Job and make another of that name."""
    wide: dict[str, Any] = {"parallelism": 2, "completions": 2}
    first = job("train", ("Complete", "True", 5, ""), **wide)
    second = job("train", minute=20, **wide)
    failed = job("train", ("Failed", "True", 30, "DeadlineExceeded"), minute=20, **wide)
    for each in (second, failed):
        each["metadata"]["uid"] = "another"
    for seen, state, attempt in [
        (first, S.SUCCEEDED, 1),
        (second, S.QUEUED, 2),
        (failed, S.FAILED, 2),
        (first, S.FAILED, 2),
    ]:
        ClusterFollower(ledger, Objects("p", "k"), "trial").record([Seen(seen)])
        found = ledger.get(name("ml/train"))
        assert (found.state, found.attempt) == (state, attempt)
    assert "Contradicted" not in types(ledger, "ml/train")


def test_a_job_of_many_pods_runs_from_its_first_start(ledger: Ledger) -> None:
    seen = [
        job("wide", ("Complete", "True", 9, ""), parallelism=2, completions=2),
        pod("wide-0", "wide", "Succeeded", 1, ended(3, 5)),
        pod("wide-1", "wide", "Succeeded", 1, ended(2, 4)),
    ]
    for _ in range(2):
        ClusterFollower(ledger, Objects("p", "k"), "trial").record_all(map(Seen, seen))
    assert types(ledger, "ml/wide") == ["Created", "Started", "Succeeded"]
    assert str(ledger.get(name("ml/wide")).start_time)[14:19] == "02:00"


def test_a_job_is_paused_while_it_is_suspended(ledger: Ledger) -> None:
    """Kubernetes deletes the Pods of a Job that is suspended, as Kueue does to preempt it."""
    suspended = ("Suspended", "True", 4, "JobSuspended")
    follower = ClusterFollower(ledger, Objects("p", "k"), "trial")
    for seen, state in [
        (Seen(pod("train-a", "train", "Running", 1, running(2))), S.RUNNING),
        (Seen(job("train", suspended)), S.PAUSED),
        (Seen(pod("train-a", "train", "Failed", 1, ended(2, 5, 143, "Error")), True), S.PAUSED),
        (Seen(job("train", suspended, ("Complete", "True", 6, ""))), S.SUCCEEDED),
    ]:
        follower.record([seen])
        assert state_of(ledger, "ml/train") is state


def test_a_job_that_exceeds_its_deadline_fails_by_that(ledger: Ledger) -> None:
    doomed = ("FailureTarget", "True", 4, "DeadlineExceeded")
    gone = pod("train-a", "train", "Running", 1, running(2), found=[("Ready", "False", 5, "")])
    seen = [
        Seen(pod("train-a", "train", "Running", 1, running(2))),
        Seen(job("train", doomed)),
        Seen(gone, True),
        Seen(job("train", doomed, ("Failed", "True", 6, "DeadlineExceeded"))),
    ]
    for _ in range(2):
        ClusterFollower(ledger, Objects("p", "k"), "trial").record(seen)
    assert types(ledger, "ml/train")[3:] == ["Failed", "Commented"]
    assert ledger.get(name("ml/train")).error_message == "DeadlineExceeded: m"


def test_a_pod_that_is_deleted_with_its_job_contradicts_nothing(ledger: Ledger) -> None:
    ran = pod("train-a", "train", "Running", 1, running(2))
    follower = ClusterFollower(ledger, Objects("p", "k"), "trial")
    follower.record([Seen(ran), Seen(job("train"), True)])
    ran["metadata"]["deletionTimestamp"] = at(6)
    follower.record([Seen(ran, True)])
    assert types(ledger, "ml/train")[-2:] == ["Cancelled", "Commented"]


def test_live_jobs_missing_from_the_cluster_are_lost(
    ledger: Ledger, cluster: Cluster, kubeconfig: Path, tmp_path: Path
) -> None:
    cluster.put(job("a"))
    cluster.put(pod("a-1", "a", "Running", 1, running(2)))
    _, client = connect(kubeconfig)
    for _ in range(2):
        found = ClusterFollower(ledger, Objects("p", "k"), "trial")
        found.read_all([Resource(client, *each, None) for each in RESOURCES])
        if ("Job", "a") in cluster.objects:
            cluster.delete("Job", "a")
            cluster.delete("Pod", "a-1")
    client.close()
    assert state_of(ledger, "ml/a") is S.EXPIRED


def test_a_cluster_that_refuses(ledger: Ledger, kubeconfig: Path, tmp_path: Path) -> None:
    kubeconfig.write_text(kubeconfig.read_text().replace("my-token", "other"))
    _, client = connect(kubeconfig)
    found = ClusterFollower(ledger, Objects("p", "k"), "trial")
    with pytest.raises(AttachError, match="the server answers 401: Unauthorized"):
        found.read_all([Resource(client, *each, None) for each in RESOURCES])
    with pytest.raises(
        InvalidFieldError, match="there is no 'x' in the kubeconfig; known are trial"
    ):
        connect(kubeconfig, "x")
    with pytest.raises(AttachError, match="No such file"):
        connect(tmp_path / "missing")
    client.close()


PROGRAM = """#!/bin/sh
echo "$KUBERNETES_EXEC_INFO" >> "$(dirname "$0")/asked"
n=$(wc -l < "$(dirname "$0")/asked")
echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
       "status": {"token": "'"$(eval echo $TOKENS | cut -d, -f$n)"'"'$MORE'}}'
"""


def login(kubeconfig: Path, program: str = PROGRAM, **asked: Any) -> Path:
    """Lets the kubeconfig's user log in by a program beside it."""
    (file := kubeconfig.parent / "login").write_text(program)
    file.chmod(0o700)
    config = yaml.safe_load(kubeconfig.read_text())
    version = "client.authentication.k8s.io/v1"
    config["users"][0]["user"] = {
        "exec": {"apiVersion": version, "command": "./login", "interactiveMode": "Never"} | asked
    }
    kubeconfig.write_text(yaml.safe_dump(config))
    return kubeconfig


def env(**variables: str) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in variables.items()]


def test_a_user_logs_in_by_a_program(ledger: Ledger, kubeconfig: Path) -> None:
    # The first token is refused, and the second one is not.
    login(kubeconfig, env=env(TOKENS="old,my-token", MORE=""), provideClusterInfo=True)
    _, client = connect(kubeconfig)
    for _ in range(2):
        found = ClusterFollower(ledger, Objects("p", "k"), "trial")
        found.read_all([Resource(client, *each, None) for each in RESOURCES])
    client.close()
    asked = [json.loads(each) for each in (kubeconfig.parent / "asked").read_text().splitlines()]
    assert len(asked) == 2
    assert asked[0]["kind"] == "ExecCredential"
    assert asked[0]["spec"]["interactive"] is False
    assert asked[0]["spec"]["cluster"]["server"].startswith("http://")


def test_a_token_that_has_expired_is_renewed(ledger: Ledger, kubeconfig: Path) -> None:
    more = ',"expirationTimestamp":"2026-01-01T00:00:00Z"'
    login(
        kubeconfig,
        env=env(TOKENS="my-token,my-token,my-token,my-token,my-token,my-token", MORE=more),
    )
    _, client = connect(kubeconfig)
    found = ClusterFollower(ledger, Objects("p", "k"), "trial")
    found.read_all([Resource(client, *each, None) for each in RESOURCES])
    assert len((kubeconfig.parent / "asked").read_text().splitlines()) == 1 + len(RESOURCES)
    # While it cannot be renewed, the follower tries again.
    (kubeconfig.parent / "login").write_text("#!/bin/sh\necho the session is over >&2\nexit 3\n")
    with pytest.raises(SourceUnavailableError, match="exits with 3: the session is over"):
        found.read_all([Resource(client, *each, None) for each in RESOURCES])
    client.close()


@pytest.mark.parametrize(
    ("program", "asked", "why"),
    [
        ("#!/bin/sh\nexit 0", {"command": "no-such-program"}, "'no-such-program' cannot be run: No such file"),
        ("#!/bin/sh\nexit 0", {"command": "./none", "installHint": "get it\nthere"}, "No such file or directory; get it there"),
        ("#!/bin/sh\necho denied >&2; exit 1", {}, "'./login' exits with 1: denied"),
        ("#!/bin/sh\nexit 1", {}, "exits with 1: without a message"),
        ("#!/bin/sh\necho hello", {}, "does not answer with JSON"),
        ("#!/bin/sh\necho '[]'", {}, "answers with None instead of an ExecCredential"),
        ("#!/bin/sh\necho '{\"kind\": \"Token\"}'", {}, r"answers with \('Token', None\) instead of"),
        (PROGRAM.replace('"token"', '"other"'), {"env": env(TOKENS="a", MORE="")}, "gives neither a token"),
        (PROGRAM, {"env": env(TOKENS="a", MORE=',"expirationTimestamp":"soon"')}, "expirationTimestamp 'soon'"),
        (PROGRAM, {"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "v1alpha1'; known are"),
        (PROGRAM, {"interactiveMode": "Always"}, "needs a terminal"),
    ],
)  # fmt: skip
def test_a_program_that_does_not_log_in(
    kubeconfig: Path, program: str, asked: dict[str, Any], why: str
) -> None:
    with pytest.raises(AttachError, match=why):
        connect(login(kubeconfig, program, **asked))
