"""The documents hold together: links lead somewhere, files that they name are there, their unit file is valid."""

from __future__ import annotations

import getpass
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.checkout import ROOT
from tests.documents import blocks, pages

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?^```|`[^`\n]*`", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"`((?:domain|projections|infra|tests|scripts)/[\w./]*)`")
PAGES = pages()


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = CODE.sub(lambda code: "" if "\n" in code[0] else code[0], page.read_text())
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_pages_headings_and_pictures(page: Path) -> None:
    wrong = []
    for link in LINK.findall(CODE.sub("", page.read_text())):
        target, _, anchor = "".join(link).partition("#")
        if ":" in target:
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            wrong.append("".join(link))
    assert wrong == []


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(page: Path) -> None:
    named = set(NAMED.findall(page.read_text()))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", ["jobledger.service", "jobledger-scheduler.service"])
def test_the_unit_file_is_valid(tmp_path: Path, name: str) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze")
    page = ROOT / "infra" / "guides" / "operate.md"
    (unit,) = (block for block in blocks(page) if block.file == name)
    # The program and the user are those of the machine that it is for.
    text = unit.text.replace("/opt/jobledger/bin/jobledger", shutil.which("true") or "/bin/true")
    file = tmp_path / name
    file.write_text(text.replace("User=jobledger", f"User={getpass.getuser()}"))
    checked = subprocess.run([analyze, "verify", str(file)], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
