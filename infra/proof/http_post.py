"""One HTTP request to somebody who may be slow, gone, or hostile."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from jobledger.infra.errors import ProofError

if TYPE_CHECKING:
    # Imported with the first request: most programs send none.
    from urllib.request import OpenerDirector

MAX_ANSWER: Final = 64 * 1024
TEXT: Final = "text/plain; charset=utf-8"


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
    from http.client import HTTPException
    from urllib.request import Request

    until = time.monotonic() + 2 * seconds
    try:
        request = Request(  # noqa: S310 - nothing but HTTP has a handler
            url, text.encode(), {"Content-Type": TEXT}, method=method
        )
        with _opener().open(request, timeout=seconds) as answer:
            body = b""
            while chunk := answer.read1(MAX_ANSWER):
                body += chunk
                if len(body) > MAX_ANSWER or time.monotonic() > until:
                    raise ProofError(url, "answers without end")
            return Answer(answer.status, body)
    except TimeoutError:
        raise ProofError(url, f"no answer within {seconds:g} s") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ProofError(url, f"cannot be asked: {reason or type(error).__name__}") from None


@cache
def _opener() -> OpenerDirector:
    """Follows no redirect and opens no file, for want of a handler: only what was named is asked."""
    from urllib import request

    opener = request.OpenerDirector()
    for kind in (
        request.ProxyHandler,
        request.HTTPHandler,
        request.HTTPSHandler,
        request.UnknownHandler,
    ):
        opener.add_handler(kind())
    return opener
