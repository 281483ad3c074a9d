"""The page on which people answer a labeling task: `/label/{job}/{run}`, and its files.

The page itself contains no data: it reads questions from `/ledger/v1` with the user's token.
"""

import html
from importlib import resources
from string import Template
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
FILES: Final = {
    "form.css": "text/css",
    "form.js": "text/javascript",
    "boxes.js": "text/javascript",
}


def label_page() -> APIRouter:
    """Returns the page's routes, which the OpenAPI document leaves out."""
    router = APIRouter()
    for name, kind in FILES.items():
        _add_file(router, name, kind)
    page = Template(_text("label.html"))

    async def form(request: Request) -> Response:
        # Values that are filled in are escaped.
        fields = {key: html.escape(str(request.path_params[key])) for key in ("name", "run")}
        return Response(page.substitute(fields), media_type="text/html", headers=HEADERS)

    router.add_route("/label/{name:path}/{run:int}", form, ["GET"], include_in_schema=False)
    return router


def _add_file(router: APIRouter, name: str, kind: str) -> None:
    content = _text(name)

    async def file(_: Request) -> Response:
        return Response(content, media_type=kind, headers=HEADERS)

    router.add_route(f"/label/{name}", file, ["GET"], include_in_schema=False)


def _text(name: str) -> str:
    return resources.files("jobledger.infra.web").joinpath(name).read_text("utf-8")
