"""Prepares the documents for zensical, and checks the site that it makes: scripts/docs runs it.

Pages keep the paths that they have in the checkout, so that links between them lead on in both.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

ROOT = Path(__file__).parents[1]
NAV = {
    "Start": {"Job Ledger": "README.md", "Tutorial": "infra/guides/tutorial.md"},
    "Guides": {
        "Record from Python": "infra/guides/record-python.md",
        "Record from the shell": "infra/guides/record-shell.md",
        "Record over HTTP": "infra/guides/record-http.md",
        "Use it with eventsourcing": "infra/guides/eventsourcing.md",
        "The eventsourcing adapter": "infra/adapter/README.md",
        "Find out what happened": "infra/guides/last-night.md",
        "Query it in SQL": "projections/README.md",
        "Reports, exports, imports": "infra/transfer/README.md",
        "Record other systems' jobs": "infra/sources/README.md",
        "Write a projection": "infra/guides/projection.md",
        "Prove it to an auditor": "infra/guides/audit.md",
        "Erase a person's data": "infra/guides/erase.md",
        "The web pages": "infra/web/README.md",
        "Evaluation jobs": "infra/evaluation/README.md",
        "Examples": "scripts/examples/README.md",
    },
    "Operate": {
        "Run in production": "infra/guides/operate.md",
        "Back up and restore": "infra/guides/backup.md",
        "Upgrade": "infra/guides/upgrade.md",
        "Many ledgers on Citus": "infra/guides/citus.md",
        "Access": "infra/access/README.md",
        "Proof and its limits": "infra/proof/README.md",
    },
    "Reference": {
        "Lifecycle and glossary": "domain/README.md",
        "The command line": "infra/cli/README.md",
        "All commands": "infra/cli/reference.md",
        "HTTP and Google's APIs": "infra/http/README.md",
        "All paths": "infra/http/reference.md",
        "Python": "infra/package/reference.md",
    },
    "Background": {
        "Architecture": "infra/README.md",
        "Guarantees": "infra/guides/guarantees.md",
        "Comparison": "infra/guides/comparison.md",
        "Measured": "infra/bench/README.md",
    },
    "Project": {
        "Contributing": "scripts/README.md",
        "Tests": "tests/README.md",
        "Upgrade fixtures": "tests/upgrade/README.md",
        "Security": ".github/SECURITY.md",
        "Changelog": "CHANGELOG.md",
    },
}
EXTENSIONS = (
    "attr_list", "md_in_html", "tables", "toc", "pymdownx.highlight", "pymdownx.superfences",
)  # fmt: skip
FILES = (
    "scripts/pictures/*.png", "domain/*.svg", "scripts/examples/*.py", "scripts/examples/*.sql",
)  # fmt: skip
"""Pictures and programs that pages link."""


def main() -> int:
    """Prepares the folder that is named, or checks the site in it; the exit code."""
    if sys.argv[1] == "--check":
        wrong = broken(Path(sys.argv[2]))
        for line in wrong:
            print(line, file=sys.stderr)
        return 1 if wrong else 0
    prepare(Path(sys.argv[1]))
    return 0


def paths() -> list[str]:
    """The pages of the site."""
    return [path for pages in NAV.values() for path in pages.values()]


def prepare(folder: Path) -> None:
    """Copies pages and pictures, and writes zensical's configuration."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in paths():
        copy(ROOT / path, folder / "docs" / visible(path))
    for pattern in FILES:
        for file in ROOT.glob(pattern):
            copy(file, folder / "docs" / file.relative_to(ROOT))
    (folder / "zensical.toml").write_text(configuration())


def visible(path: str) -> str:
    """The path on the site, which leaves out folders whose names begin with a dot."""
    return path.replace(".github/", "github/")


def copy(source: Path, target: Path) -> None:
    """Copies a file; in a page, links into `.github` lead to where it is on the site."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".md":
        text = re.sub(r"(\]\((?:\.\./)*)\.github/", r"\1github/", source.read_text())
        target.write_text(text)
    else:
        shutil.copyfile(source, target)


def configuration() -> str:
    """TOML whose values are written as JSON, which they are too."""
    nav = [
        {section: [{title: visible(path)} for title, path in pages.items()]}
        for section, pages in NAV.items()
    ]
    lines = [
        "[project]",
        'site_name = "Job Ledger"',
        'site_description = "A ledger that never forgets what happened to a job"',
        'docs_dir = "docs"',
        'site_dir = "site"',
        "use_directory_urls = false",
        f"nav = {inline(nav)}",
        "[project.theme]",
        "font = false",
        'features = ["navigation.sections", "navigation.top", "content.code.copy", "toc.follow", "search.highlight"]',
        *(f"[project.markdown_extensions.{name}]" for name in EXTENSIONS),
    ]
    return "\n".join(lines) + "\n"


def inline(value: object) -> str:
    """A value as inline TOML."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {inline(each)}" for key, each in value.items())
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return json.dumps(value)


class Page(HTMLParser):
    """The links and the anchors of a page, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Takes note of what the tag links, loads and names."""
        given = {name: value for name, value in attrs if value}
        self.ids.add(given.get("id", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag in {"script", "img", "link", "source"} and "canonical" not in given.get("rel", ""):
            self.loads.append(given.get("src") or given.get("href") or "")


def broken(site: Path) -> list[str]:
    """What a page links or loads that is not in the site, and what it loads from elsewhere."""
    parsed = {file: Page(file.read_text()) for file in site.rglob("*.html")}
    wrong = []
    for file, page in parsed.items():
        if file.name == "404.html":
            continue
        for link in [*page.links, *page.loads]:
            target, anchor = urldefrag(unquote(link))
            if re.match(r"[a-z]+:|//", target):
                if link in page.loads:
                    wrong.append(f"{file.relative_to(site)} loads {link}")
                continue
            to = (file.parent / target).resolve() if target else file
            to = to / "index.html" if to.is_dir() else to
            if not to.exists() or (anchor and to in parsed and anchor not in parsed[to].ids):
                wrong.append(f"{file.relative_to(site)} links {link}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
