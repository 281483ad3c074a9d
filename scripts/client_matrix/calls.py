"""Tries the calls of a client one after the other, and prints what came of each, as JSON."""

from __future__ import annotations

import json
import sys
import traceback
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

REGION = "us-central1"


class Calls:
    """The calls of one client; `url` is the HTTP server, and `grpc` the address of the gRPC server."""

    def __init__(self) -> None:
        self.url, self.grpc, self.project = sys.argv[1:4]
        self.parent = f"projects/{self.project}"
        self.location = f"{self.parent}/locations/{REGION}"
        self._tried: list[dict[str, str]] = []

    @contextmanager
    def __call__(self, call: str) -> Iterator[None]:
        """Tries what is in the block; an exception fails the call, and the next one is tried."""
        try:
            yield
        except Exception as error:
            why = traceback.format_exception_only(error)[-1].strip()
            self._tried.append({"call": call, "why": why})
        else:
            self._tried.append({"call": call, "why": ""})

    def report(self, name: str, verb: str, **fields: object) -> None:
        """Reports on a job what a worker would, through the ledger's own API."""
        request = urllib.request.Request(
            f"{self.url}/ledger/v1/{name}:{verb}",
            json.dumps(fields).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            assert answer.status == 200

    def print(self, version: str) -> None:
        """Prints the client's version and its calls."""
        print(json.dumps({"version": version, "calls": self._tried}))


@contextmanager
def raises(*errors: type[BaseException]) -> Iterator[None]:
    """Checks that the block raises one of the errors."""
    try:
        yield
    except errors:
        return
    raise AssertionError(f"raised none of {', '.join(error.__name__ for error in errors)}")
