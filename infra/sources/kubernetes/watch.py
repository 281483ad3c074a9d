"""Reads Kubernetes objects: lists and watches of its API, and files of `kubectl get -o json [--watch]`.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from jobledger.domain.values.canonical import JsonObject
from jobledger.infra.errors import AttachError, SourceUnavailableError
from jobledger.infra.sources.mapping.model import Source
from jobledger.infra.sources.mapping.records import read_records

if TYPE_CHECKING:
    import httpx

PAGE: Final = 500
"""The number of objects in a page of a list."""
WATCH_SECONDS: Final = 300
RESOURCES: Final = (
    ("Job", "/apis/batch/v1/{}jobs"),
    ("Pod", "/api/v1/{}pods"),
    ("Workload", "/apis/kueue.x-k8s.io/v1beta1/{}workloads"),
    ("Event", "/api/v1/{}events"),
)
"""Kinds in the order in which they are listed; `{}` is replaced by a namespace."""
OPTIONAL: Final = frozenset({"Workload"})
"""Kinds that a cluster may lack."""


class Seen(NamedTuple):
    """An object, as it is now or when it was deleted."""

    object: JsonObject
    deleted: bool = False


class GoneError(Exception):
    """The server no longer has the changes since that version (410); the objects must be listed again."""


class Resource:
    """One kind of object in a cluster."""

    def __init__(self, client: httpx.Client, kind: str, path: str, namespace: str | None) -> None:
        """`namespace` None means all."""
        self.kind = kind
        self.version: str | None = None
        """The version up to which it was read; None if it must be listed."""
        self._client = client
        self._path = path.format(f"namespaces/{namespace}/" if namespace else "")

    def list(self, labels: str = "") -> Iterator[Seen]:
        """Lists the present objects; `watch` continues from there.

        Args:
            labels: A label selector; with one, `watch` continues where it was before.

        Yields:
            The objects; none if the cluster does not have this kind.
        """
        query: dict[str, Any] = {"limit": PAGE} | ({"labelSelector": labels} if labels else {})
        while True:
            with _translated():
                answer = self._client.get(self._path, params=query)
            if answer.status_code == HTTPStatus.NOT_FOUND and self.kind in OPTIONAL:
                return
            _check(answer.status_code, answer.content)
            page = orjson.loads(answer.content)
            for item in page.get("items") or ():
                # Items of a list do not contain their kind.
                yield Seen(item | {"kind": self.kind})
            meta = page.get("metadata", {})
            if not meta.get("continue"):
                if not labels:
                    self.version = meta.get("resourceVersion")
                return
            query["continue"] = meta["continue"]

    def watch(self, seconds: int = WATCH_SECONDS) -> Iterator[Seen]:
        """Reads the changes since the last object that was read, until the server ends the stream.

        Args:
            seconds: After so many seconds the server ends the stream.

        Yields:
            The changed objects.

        Raises:
            GoneError: The server no longer has these changes: list the objects again.
        """
        query = {
            "watch": "1", "resourceVersion": self.version, "allowWatchBookmarks": "true",
            "timeoutSeconds": seconds,
        }  # fmt: skip
        with _translated(), self._client.stream("GET", self._path, params=query) as answer:
            if answer.status_code != HTTPStatus.OK:
                _check(answer.status_code, answer.read())
            for line in answer.iter_lines():
                if line:
                    yield from self._read(orjson.loads(line))

    def close(self) -> None:
        """Closes the connection, which also ends a watch in another thread."""
        self._client.close()

    def _read(self, event: JsonObject) -> Iterator[Seen]:
        found = event["object"]
        if event["type"] == "ERROR":
            _check(found.get("code") or HTTPStatus.INTERNAL_SERVER_ERROR, orjson.dumps(found))
        if event["type"] != "BOOKMARK":
            yield Seen(found | {"kind": self.kind}, event["type"] == "DELETED")
        # Only now, after the caller has recorded the object.
        self.version = found.get("metadata", {}).get("resourceVersion") or self.version


def _check(status: int, body: bytes) -> None:
    """Raises the error for an unsuccessful answer."""
    if status == HTTPStatus.OK:
        return
    if status == HTTPStatus.GONE:
        raise GoneError
    try:
        why = orjson.loads(body).get("message")
    except (orjson.JSONDecodeError, AttributeError):
        why = None
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        raise SourceUnavailableError(f"it answers {status}: {why}")
    raise AttachError("kubernetes", f"the server answers {status}: {why}")


@contextmanager
def _translated() -> Iterator[None]:
    import httpx

    try:
        yield
    except (httpx.HTTPError, httpx.StreamError, RuntimeError, OSError) as error:
        # Also if the connection was closed by another thread.
        raise SourceUnavailableError(str(error) or type(error).__name__) from None
    except orjson.JSONDecodeError:
        raise SourceUnavailableError("its answer broke off") from None


def read_file(file: Path) -> Iterator[Seen]:
    """Reads the objects in a file: a list, single objects, or watch events.

    Args:
        file: The file, which may be compressed (.gz).

    Yields:
        The objects, in the order of the file.

    Raises:
        InputError: The file cannot be read, or is not JSON.
    """
    source = Source.model_validate({"kind": "json", "records": "items"})
    for _, record, error in read_records(source, str(file), lambda read: None):
        if error is not None:
            continue
        if isinstance(found := record.get("object"), dict) and "type" in record:
            if record["type"] in ("ADDED", "MODIFIED", "DELETED"):
                yield Seen(found, record["type"] == "DELETED")
        else:
            yield Seen(dict(record))


def by_kind(seen: Iterable[Seen]) -> list[Seen]:
    """Returns the objects kind by kind: Jobs show which Pods are jobs of their own, and Pods whose events are whose."""
    places = {kind: place for place, (kind, _) in enumerate(RESOURCES)}
    return sorted(seen, key=lambda each: places.get(str(each.object.get("kind")), len(places)))
