"""The documents under /docs/: served without a token, from files of the package alone."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from jobledger.infra.http.docs_site import docs_site


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "guides").mkdir()
    (tmp_path / "index.html").write_text("<h1>Job Ledger</h1>")
    (tmp_path / "guides" / "tutorial.html").write_text("<h1>Tutorial</h1>")
    (tmp_path.parent / "secret.txt").write_text("no page")
    return tmp_path


def client(folder: Path) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=docs_site(folder))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def test_pages_are_served_and_may_load_nothing_from_elsewhere(site: Path) -> None:
    async with client(site) as visitor:
        for path, text in (("/docs/", "Job Ledger"), ("/docs/guides/tutorial.html", "Tutorial")):
            answer = await visitor.get(path)
            policy = answer.headers["content-security-policy"]
            assert (answer.status_code, answer.headers["content-type"][:9]) == (200, "text/html")
            assert text in answer.text
            assert "default-src 'none'" in policy
            assert "http" not in policy
        assert (await visitor.head("/docs/")).status_code == 200


@pytest.mark.parametrize(
    "path", ["/docs/absent.html", "/docs/../secret.txt", "/docs/%2e%2e/secret.txt"]
)
async def test_a_missing_page_is_not_found(site: Path, path: str) -> None:
    async with client(site) as visitor:
        answer = await visitor.get(path)
    assert answer.status_code == 404
    assert "no page" not in answer.text


async def test_a_package_without_the_site_sends_readers_to_the_reference(tmp_path: Path) -> None:
    async with client(tmp_path) as visitor:
        for path in ("/docs/", "/docs/guides/tutorial.html"):
            answer = await visitor.get(path)
            assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
