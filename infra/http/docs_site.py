"""`/docs/`: the documents as a site, from files in the package.

`scripts/docs` builds the site into `infra/web/site`, which wheels include. A server whose package has no site
redirects readers to `/docs`, the reference of its API.
"""

from importlib import resources
from pathlib import Path
from typing import Any, Final

from jobledger.infra.http.reference_page import HEADERS
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

PATH: Final = "/docs/"
SITE: Final = Path(str(resources.files("jobledger.infra.web"))) / "site"
SCRIPTS_AND_STYLES: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; worker-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The site's pages run inline scripts, for search and colours; nothing may be loaded from elsewhere."""


class SiteFiles(StaticFiles):
    """The site's files, with a policy that keeps browsers from loading anything else."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Returns the file."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(HEADERS | {"content-security-policy": SCRIPTS_AND_STYLES})
        return response


def docs_site(folder: Path = SITE) -> Starlette:
    """Returns an application for paths below `/docs/`; `folder` holds the site, if there is one."""
    if (folder / "index.html").is_file():
        # An editable install links to files elsewhere.
        files = SiteFiles(directory=folder, html=True, follow_symlink=True)
        return Starlette(routes=[Mount("/docs", files)])

    async def reference(_: Request) -> Response:
        return RedirectResponse("/docs", 307)

    return Starlette(routes=[Route("/docs/{path:path}", reference)])
