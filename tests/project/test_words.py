"""Words: the glossary is sorted and used, and replaced words do not occur."""

from __future__ import annotations

import re
import subprocess
from typing import Final

import pytest

from tests.checkout import ROOT
from tests.documents import pages

GLOSSARY: Final = ROOT / "domain" / "README.md"
REPLACED: Final = {
    r"\b[Ss]poilt\b": "rejected",
    r"\b(PATIENCE|STRETCH|STRETCHES|MOST)(_[A-Z_]+)?\b *(:|=)": "a constant with its unit",
    r"\b[Aa]s (it|they) happened\b": "valid time",
    r"\b[Aa]s (we|they) knew it\b": "transaction time",
    r"(?<!\.)\b[Tt]ells?\b": "a plain verb, such as determines, or what it says",
    r"\b(believed|guesses|suspects)\b": "cached, assumed_new, retry_alone",
    r"\b(doubt|in_doubt|carefully|careful)\b": "outcome unknown, alone, fallback",
    r"\b(Standing|TurnHost|Gate|Asking|Showing)\b": "stage, request middleware, page routes",
    r"\b[Rr]etired (jobs?|events?)\b|\bFORGOTTEN\b": "pruned, or prunable",
    r"\b[Ww]hoever\b": "a noun, such as caller, client or process",
    r"\bheld against\b": "compared with",
    r"\bfor ever\b": "permanently, or always",
    r"\b[Ss]aid\b": "data, fields, message: what it is",
    r"\b[Bb]eside\b": "next to, with, in addition to, compared with",
    r"\b(comes by|are told)\b": "a plain verb, such as runs, gets or is notified",
    r"\bholds? (the|a|an) (text|hash|event)": "has, or contains",
}
"""Replaced words, and their replacements."""
KEPT: Final = {
    "domain/README.md": "says what the clocks are also called",
    "tests/project/test_words.py": "lists them",
    "infra/evaluation/samples/outcomes.py": "keeps a former name",
    "infra/evaluation/samples/recording.py": "keeps a former key of its JSON",
    "infra/http/native/evaluation_answers.py": "keeps a former name",
    "infra/http/native/samples.py": "keeps a former name",
    "infra/package/reference.md": "keeps a former name",
    "infra/evaluation/samples/read_sampling.sql": "reads a stored column",
    "infra/upkeep/verify_sampling.sql": "reads a stored column",
    "infra/cli/proof/verify.py": "keeps a former key of its JSON",
}
FIXED: Final = (
    "infra/postgres/migrations/",
    "projections/",
    "infra/web/files/lit-html.js",
    "infra/bench/",
)
"""Files whose bytes are stored in ledgers, third-party files, and the benchmark, whose JSON keys are fixed."""
READ: Final = (".py", ".sql", ".js", ".html", ".css", ".md")


def terms() -> list[str]:
    text = GLOSSARY.read_text().split("| term | meaning |")[1].split("\n\n")[0]
    return re.findall(r"^\| ([^|-][^|]*) \|", text, re.MULTILINE)


def test_the_glossary_is_in_order_and_each_of_its_terms_is_used() -> None:
    found = terms()
    assert len(found) > 40
    assert found == sorted(found, key=str.lower)
    others = [page.read_text() for page in pages() if page != GLOSSARY]
    above = GLOSSARY.read_text().split("## Glossary")[0]
    text = "\n".join([*others, above]).lower().replace("_", " ")
    assert [term for term in found if not re.search(rf"\b{re.escape(term)}", text)] == []


def written() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "README.md", "domain", "projections", "infra", "scripts", ".github"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    names = [name for name in listed.stdout.splitlines() if name.endswith(READ)]
    return [name for name in names if not name.startswith(FIXED) and name not in KEPT]


@pytest.mark.slow
def test_replaced_words_do_not_occur() -> None:
    names = written()
    assert len(names) > 500
    lines = [
        f"{name}:{number}: {line.strip()}"
        for name in names
        for number, line in enumerate((ROOT / name).read_text().splitlines(), 1)
        if re.search("|".join(REPLACED), line)
    ]
    assert lines == []
