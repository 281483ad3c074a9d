"""The documents: which there are, and what stands in their blocks of code.

A block of `sh`, `python` or `sql` is run. A block of `text` right behind it is what it prints, where `…` stands for
anything. A block with a title is a file that later blocks of the page use. Blocks of other languages are only shown.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.checkout import ROOT

RUN: Final = frozenset({"sh", "python", "sql"})
"""Languages whose blocks are run."""
SHOWN: Final = frozenset({"text", "ini", "nginx", "mermaid", "toml", "yaml"})
"""Languages whose blocks are only shown, unless they have a title."""
ELSEWHERE: Final = ("scripts/", "pip install")
"""How lines begin that are not run: the wheel is installed when the blocks run."""
FORKED_PYTHON: Final = "forked-python"
"""The program that runs code as `python -c` does, in a process that has loaded what takes long to load."""
BLOCK_TIMEOUT_SECONDS: Final = 120
_BLOCK = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
_PRELUDE: Final = """
set -e
# What runs until it is stopped is stopped, once it has had time to fail.
jobledger() {
    case "$*" in
        *--once*) command jobledger "$@" ;;
        "events --follow" | serve* | scheduler* | witness*) stopped jobledger "$@" ;;
        *) command jobledger "$@" ;;
    esac
}
stopped() { timeout --preserve-status 4 "$@" || [ $? = 143 ] || { echo "it ended by itself" >&2; return 1; }; }
"""


class Block(NamedTuple):
    """A block of code in a document."""

    language: str
    file: str | None
    """The file that it is, if it has a title."""
    text: str
    prints: str | None
    """What it prints, if the document says so."""

    @property
    def is_run(self) -> bool:
        return self.language in RUN and self.file is None


def pages() -> list[Path]:
    """All documents of the checkout, but for the changelog and those that only tests' readers read."""
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    return [ROOT / name for name in tracked if name != "CHANGELOG.md"]


def blocks(page: Path) -> list[Block]:
    """The blocks of a document, in their order."""
    found: list[Block] = []
    end = 0
    text = page.read_text()
    for match in _BLOCK.finditer(text):
        language, file, body = match.groups()
        behind = text[end : match.start()].strip() == ""
        if language == "text" and file is None and behind and found and found[-1].is_run:
            found[-1] = found[-1]._replace(prints=body)
        else:
            found.append(Block(language, file, body, None))
        end = match.end()
    return found


def run_page(page: Path, folder: Path, variables: dict[str, str]) -> Iterator[str]:
    """Runs the blocks of a document in their order; yields what is wrong with each that does not do as it says."""
    for block in blocks(page):
        if block.file is not None:
            (folder / Path(block.file).name).write_text(block.text)
        elif block.is_run:
            done = run_block(block, folder, variables)
            if done.returncode:
                yield f"{block.text}\n{done.stdout[-500:]}\n{done.stderr[-700:]}"
            elif block.prints is not None and not prints(block.prints, done.stdout):
                yield f"{block.text}\nprinted\n{done.stdout}\nnot\n{block.prints}"


def run_block(
    block: Block, folder: Path, variables: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs one block; the programs are those on the PATH that is given."""
    lines = block.text.splitlines(keepends=True)
    text = "".join(line for line in lines if not line.startswith(ELSEWHERE))
    words, given = ["bash", "-c", _PRELUDE + text], ""
    if block.language == "python":
        words = [FORKED_PYTHON, text]
    elif block.language == "sql":
        words = ["jobledger", "psql", "--", "-X", "-q", "-P", "pager=off"]
        words, given = [*words, "-v", "ON_ERROR_STOP=1"], text
    search = next(p for p in variables["PATH"].split(":") if (Path(p) / words[0]).exists())
    return subprocess.run(
        [str(Path(search) / words[0]), *words[1:]],
        input=given, cwd=folder, env=variables, capture_output=True, text=True,
        timeout=BLOCK_TIMEOUT_SECONDS, check=False,
    )  # fmt: skip


def prints(expected: str, printed: str) -> bool:
    """Whether the output is what the document says; spaces at ends of lines do not count."""
    pattern = ".*".join(re.escape(part) for part in _trimmed(expected).split("…"))
    return re.fullmatch(pattern, _trimmed(printed), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
