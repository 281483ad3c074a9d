"""Publishes checkpoints: to folders, web addresses or programs."""

import logging
import os
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from typing import Final

from jobledger.infra.errors import ProofError
from jobledger.infra.proof.http_post import is_address, send
from jobledger.infra.proof.signing.checkpoints import Checkpoint
from jobledger.infra.proof.signing.notes import Note
from jobledger.infra.settings import public_environment

LOG: Final = logging.getLogger("jobledger.proof")
FILE: Final = "checkpoint"
PROGRAM: Final = "exec:"
ANSWER_TIMEOUT_SECONDS: Final = 10.0
PROGRAM_TIMEOUT_SECONDS: Final = 30.0
"""Seconds, of a program."""


def parse_places(text: str) -> list[str]:
    """Parses the publish setting.

    Args:
        text: One destination per line, or separated as in a shell.

    Returns:
        The destinations.

    Raises:
        ProofError: A destination is not valid.
    """
    try:
        places = [line.strip() for line in text.split("\n")] if "\n" in text else shlex.split(text)
        for place in places:
            _check(place)
    except ValueError as error:
        raise ProofError("publish", f"{text[:80]!r} cannot be read: {error}") from None
    return [place for place in places if place]


def publish(note_text: str, places: Sequence[str]) -> None:
    """Publishes a signed checkpoint to all places at once; errors are logged."""
    checkpoint = Checkpoint.parse(Note.parse(note_text).text)
    threads = [
        Thread(target=_try, args=(note_text, checkpoint, place), daemon=True) for place in places
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PROGRAM_TIMEOUT_SECONDS + 5)


def _try(note_text: str, checkpoint: Checkpoint, place: str) -> None:
    try:
        if place.startswith(PROGRAM):
            _run(shlex.split(place.removeprefix(PROGRAM)), note_text, checkpoint)
        elif is_address(place):
            _put(place, note_text)
        else:
            _write(Path(place).expanduser(), note_text)
    except (ProofError, OSError, ValueError) as error:
        LOG.warning("not published to %s: %s", place, error)
    except Exception:
        LOG.exception("not published to %s", place)


def _write(folder: Path, note_text: str) -> None:
    """Replaces the file atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{FILE}.{os.getpid()}"
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(note_text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        temporary.replace(folder / FILE)
    finally:
        temporary.unlink(missing_ok=True)


def _put(url: str, note_text: str) -> None:
    status, body = send("PUT", url, note_text, ANSWER_TIMEOUT_SECONDS)
    if not 200 <= status < 300:
        text = body.decode("utf-8", "replace").strip()[:200]
        raise ProofError(url, f"answered {status}{f': {text}' if text else ''}")


def _run(program: Sequence[str], note_text: str, checkpoint: Checkpoint) -> None:
    about = {"JOBLEDGER_ORIGIN": checkpoint.origin, "JOBLEDGER_SIZE": str(checkpoint.size)}
    try:
        ended = subprocess.run(  # noqa: S603 - the operator's own program
            program,
            input=note_text.encode(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=public_environment() | about,
            timeout=PROGRAM_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ProofError(program[0], f"did not end within {PROGRAM_TIMEOUT_SECONDS:g} s") from None
    if ended.returncode:
        text = ended.stderr.decode("utf-8", "replace").strip()[-200:]
        raise ProofError(program[0], f"ended with {ended.returncode}{f': {text}' if text else ''}")


def _check(place: str) -> None:
    if place.startswith(PROGRAM):
        if not shlex.split(place.removeprefix(PROGRAM)):
            raise ProofError("publish", f"{place!r} names no program")
    elif "://" in place and not is_address(place):
        raise ProofError(
            "publish", f"{place[:80]!r} is not a folder, http(s) address or exec:PROGRAM"
        )
