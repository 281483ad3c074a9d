"""The pages' peer: a finished page, sent with the same assets."""

import sys
from pathlib import Path

import uvicorn
from jobledger.infra.http.pages.app import asset
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def static_app(compressed: bytes) -> Starlette:
    """Returns an application that sends the page at every path except those of assets."""
    headers = {"content-encoding": "gzip"}

    async def page(_: Request) -> Response:
        return Response(compressed, 200, headers, "text/html")

    return Starlette(routes=[Route("/assets/{version}/{name}", asset), Route("/{path:path}", page)])


if __name__ == "__main__":
    port, file = sys.argv[1:]
    app = static_app(Path(file).read_bytes())
    uvicorn.run(app, port=int(port), access_log=False, log_level="error")
