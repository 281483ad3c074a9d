"""The spool: runs that are not recorded yet, one file each, in a folder of this machine.

A run is written to its file first, and then recorded in the ledger; the file is removed when all of
it is recorded. The process that writes or sends a file holds a lock on it: a file without a lock
was left behind. Only its user can read the folder, because commands and error messages may contain
secrets.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from jobledger.domain.running import (
    Destination,
    RunRecord,
    RunReport,
    destination_line,
    report_line,
)

MAX_RUNS: Final = 10_000
MAX_BYTES: Final = 256 * 1024 * 1024
"""Bytes of all files; a run is spooled only while there are fewer."""
SUFFIX: Final = ".jsonl"
NEW: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
OLD: Final = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
REFUSED: Final = ".refused"
"""The suffix of a run's file that the ledger refused."""


class SpoolFullError(OSError):
    """The spool is full; no further run can be kept."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"the spool {folder} is full ({MAX_RUNS} runs or {MAX_BYTES >> 20} MiB)")


class RunFile:
    """A run's file, locked until it is closed."""

    def __init__(self, path: Path, file: int, record: RunRecord) -> None:
        self.path = path
        self.record = record
        self._file = file

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Takes over a file that was left behind.

        Args:
            path: The file.

        Returns:
            The file; None if another process has locked it, or it is gone.

        Raises:
            ValueError: The file is not a run's.
            OSError: The file cannot be read.
        """
        file = _open(path)
        if file is None:
            return None
        try:
            with open(file, encoding="utf-8", closefd=False) as text:
                return cls(path, file, RunRecord.parse(text))
        except BaseException:
            os.close(file)
            raise

    @staticmethod
    def is_left_behind(path: Path) -> bool:
        """Whether no process writes or sends the file; false if it does not exist any more."""
        if (file := _open(path)) is None:
            return False
        os.close(file)
        return True

    @property
    def last_sign(self) -> datetime:
        """The time of the run's last sign of life (UTC)."""
        return datetime.fromtimestamp(os.fstat(self._file).st_mtime, UTC)

    def add(self, report: RunReport) -> None:
        """Appends a report; raises OSError."""
        self._write(report_line(report))

    def aim(self, destination: Destination) -> None:
        """Appends the ledger that the run is reported to; raises OSError."""
        self._write(destination_line(destination))

    def touch(self) -> None:
        """Notes that the run is alive."""
        os.utime(self._file)

    def remove(self) -> None:
        """Removes the file, after all of the run was recorded."""
        self.path.unlink(missing_ok=True)
        self.close()

    def refuse(self) -> Path:
        """Sets the file aside, because the ledger refuses it; returns its new path."""
        aside = self.path.with_name(self.path.name + REFUSED)
        self.path.rename(aside)
        self.close()
        return aside

    def sync(self) -> None:
        """Writes the file durably to disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Unlocks the file, so that others can send it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _write(self, line: str) -> None:
        left = line.encode()
        while left:
            left = left[os.write(self._file, left) :]


class Spool:
    """The runs in a folder, which is created when it is first needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, record: RunRecord) -> RunFile:
        """Creates the file of a run that begins; raises SpoolFullError and OSError."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._check_room()
        path = self.folder / _file_name(record)
        file = os.open(path, NEW, 0o600)
        # Another process that inspects the new file locks it for a moment.
        fcntl.flock(file, fcntl.LOCK_EX)
        kept = RunFile(path, file, record)
        try:
            kept._write(record.first_line)  # noqa: SLF001 - of the same module
        except OSError:
            kept.remove()
            raise
        return kept

    def keep(self, record: RunRecord) -> None:
        """Writes a whole run that could not be recorded; raises SpoolFullError and OSError."""
        file = self.begin(record)
        try:
            if record.destination is not None:
                file.aim(record.destination)
            for report in record.reports:
                file.add(report)
            file.sync()
        finally:
            file.close()

    def paths(self, *, refused: bool = False, of: str | None = None) -> list[Path]:
        """Returns the files of the spool, oldest first.

        Args:
            refused: Those that the ledger refused, instead of those that wait to be sent.
            of: A job's resource name: leaves out most files of other jobs.

        Returns:
            The paths.
        """
        suffix = SUFFIX + REFUSED if refused else SUFFIX
        mark = "_" if of is None else _mark(of)
        try:
            names = sorted(os.listdir(self.folder))  # noqa: PTH208 - names are all that is needed
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [self.folder / name for name in names if name.endswith(suffix) and mark in name]

    def left_behind(self, of: str | None = None) -> Iterator[RunFile]:
        """Yields the runs that no process writes or sends, oldest first. Other files are skipped.

        Args:
            of: As in `paths`.

        Yields:
            Each run; it is closed when the next one is taken.

        Raises:
            OSError: The folder cannot be read.
        """
        for path in self.paths(of=of):
            with suppress(ValueError):
                if (taken := RunFile.take(path)) is not None:
                    try:
                        yield taken
                    finally:
                        taken.close()

    def _check_room(self) -> None:
        sizes = []
        with os.scandir(self.folder) as found:
            for entry in found:
                with suppress(FileNotFoundError):  # Another process has sent it.
                    sizes.append(entry.stat().st_size)
        if len(sizes) >= MAX_RUNS or sum(sizes) >= MAX_BYTES:
            raise SpoolFullError(self.folder)


def _file_name(record: RunRecord) -> str:
    """Returns a file name; names sort in the order of the runs."""
    return f"{record.time:%Y%m%dT%H%M%S%f}{_mark(record.name)}{record.run_id}{SUFFIX}"


def _mark(name: str) -> str:
    """Returns the part that the names of one job's files share; the project may be unknown."""
    return f"_{zlib.crc32(name.rpartition('/')[2].encode()):08x}_"


def _open(path: Path) -> int | None:
    """Opens and locks the file; None if another process holds it, or it does not exist any more."""
    try:
        file = os.open(path, OLD)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    if os.fstat(file).st_nlink == 0:  # Another process has sent and removed it.
        os.close(file)
        return None
    return file
