"""One HTTP request to a server that may be slow, down or hostile."""

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
    """The answer, also with an error's status; at most MAX_ANSWER bytes."""

    status: int
    body: bytes


def is_address(url: str) -> bool:
    """Whether the text is an http or https address."""
    return url.startswith(("http://", "https://"))


def send(method: str, url: str, text: str, seconds: float) -> Answer:
    """Sends a text over HTTP.

    Args:
        method: The HTTP method.
        url: Where to.
        text: The body.
        seconds: The timeout between two packets, in seconds; twice that in all.

    Returns:
        The status and the body of the answer.

    Raises:
        ProofError: There is no answer, or it is too long.
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
                    raise ProofError(url, f"its answer is longer than {MAX_ANSWER} bytes")
            return Answer(answer.status, body)
    except TimeoutError:
        raise ProofError(url, f"no answer within {seconds:g} s") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ProofError(url, f"cannot be reached: {reason or type(error).__name__}") from None


@cache
def _opener() -> OpenerDirector:
    """Returns an opener that follows no redirect and opens no file."""
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
