"""One HTTP request to somebody who may be slow, gone, or hostile."""

from __future__ import annotations

import time
from http.client import HTTPException
from typing import Final, NamedTuple
from urllib.request import (
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from jobledger.infra.errors import ProofError

MAX_ANSWER: Final = 64 * 1024
TEXT: Final = "text/plain; charset=utf-8"
# No handler for redirects, so none is followed, nor one for files: only what was named is asked.
_OPENER: Final = OpenerDirector()
for _handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler(), UnknownHandler()):
    _OPENER.add_handler(_handler)


class Answer(NamedTuple):
    """Whatever was answered, if the status is an error's too; no more than MAX_ANSWER bytes."""

    status: int
    body: bytes


def is_address(url: str) -> bool:
    """Whether it is one that can be asked."""
    return url.startswith(("http://", "https://"))


def send(method: str, url: str, text: str, seconds: float) -> Answer:
    """Sends a text, with at most so many seconds between two signs of life, and twice that in all.

    Raises ProofError where there is no answer, or too much of one.
    """
    until = time.monotonic() + 2 * seconds
    try:
        request = Request(  # noqa: S310 - nothing but HTTP has a handler
            url, text.encode(), {"Content-Type": TEXT}, method=method
        )
        with _OPENER.open(request, timeout=seconds) as answer:
            body = b""
            while chunk := answer.read1(MAX_ANSWER):
                body += chunk
                if len(body) > MAX_ANSWER or time.monotonic() > until:
                    raise ProofError(url, "answers without end")
            return Answer(answer.status, body)
    except TimeoutError as error:
        raise ProofError(url, f"no answer within {seconds:g} s") from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ProofError(url, f"cannot be asked: {reason or type(error).__name__}") from error
