"""Shows long output with a pager: JOBLEDGER_PAGER, else PAGER, else less."""

import os
import shlex
import shutil
import subprocess
from typing import Final, TextIO

DEFAULT_PAGER: Final = "less"
LESS_OPTIONS: Final = "FRX"
"""The value of LESS, as git sets it if there is none: exit if all fits, keep colours, keep the screen."""


def show_paged(text: str, stream: TextIO) -> None:
    """Writes the text to the terminal, with a pager if it has more lines than the terminal."""
    pager = os.environ.get("JOBLEDGER_PAGER", os.environ.get("PAGER", DEFAULT_PAGER)).strip()
    words = shlex.split(pager)
    fits = text.count("\n") < shutil.get_terminal_size().lines
    if fits or not words or words == ["cat"] or shutil.which(words[0]) is None:
        stream.write(text)
        return
    environment = {"LESS": LESS_OPTIONS} | os.environ
    subprocess.run(words, input=text, text=True, env=environment, check=False)  # noqa: S603 - the user's own program
