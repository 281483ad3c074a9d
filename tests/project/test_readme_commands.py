"""Every block of every document runs in order, on a ledger of its own, with the wheel installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkout import ROOT
from tests.databases import find_server
from tests.document_desk import open_desk
from tests.documents import FORKED_PYTHON, SHOWN, blocks, pages, run_page
from tests.forked import forking, write_forked_program
from tests.project.installed import build_wheel, install_wheel

EXTRAS = ("embedded", "server", "grpc", "plot", "evaluation", "export")
CLIENTS = (
    "google-api-python-client", "pandas", "polars", "sqlalchemy", "duckdb", "httpx",
)  # fmt: skip
"""What the documents' examples import beside the wheel."""
LOADED = (
    "googleapiclient.discovery", "matplotlib.figure", "pandas", "polars", "pyarrow.parquet",
    "sklearn.metrics", "sqlalchemy", "jobledger.infra.ledger", "jobledger.infra.async_ledger",
    "jobledger.infra.cli.jobs.run",
)  # fmt: skip
"""What several blocks load, which takes up to 3 s of CPU."""
RUN = [page for page in pages() if any(block.is_run for block in blocks(page))]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The programs of the installed wheel, of which `jobledger` and code are forked by a process that has loaded it."""
    folder = tmp_path_factory.mktemp("installed")
    programs = install_wheel(build_wheel(folder), folder / "environment", *EXTRAS, also=CLIENTS)
    with forking(programs / "python", *LOADED) as path:
        write_forked_program(programs / "jobledger", path)
        write_forked_program(programs / FORKED_PYTHON, path, "exec")
        yield programs


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_does_as_the_document_says(page: Path, tmp_path: Path, programs: Path) -> None:
    with open_desk(page, tmp_path, find_server(), programs) as variables:
        failed = list(run_page(page, tmp_path, variables))
    assert failed == [], "\n\n".join(failed)


@pytest.mark.slow
@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_is_run_or_of_a_language_that_is_only_shown(page: Path) -> None:
    assert "\n ```" not in page.read_text(), "a block that is indented would not be run"
    for block in blocks(page):
        assert block.is_run or block.file is not None or block.language in SHOWN, block
