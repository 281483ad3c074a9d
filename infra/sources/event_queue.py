"""A queue of events in an SQLite file, so that waiting events survive the process.

Each process that runs has a file of its own, which it locks. What a process left behind is taken over
by the next one that begins.
"""

from __future__ import annotations

import fcntl
import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO

LOG: Final = logging.getLogger("jobledger.spool")
MAX_FILES: Final = 1_000
SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY AUTOINCREMENT, event BLOB NOT NULL);
"""


class EventQueue:
    """Events in the order of arrival, limited in number and total size.

    A process that was forked must not use, or close, the queue of its parent.
    """

    def __init__(self, folder: Path | None, max_events: int, max_bytes: int) -> None:
        """Opens the queue, with the events that earlier processes left in the folder.

        Args:
            folder: Where the files are; None keeps events in memory, as does a folder that cannot be
                written to, which is logged.
            max_events: As many events as it holds.
            max_bytes: As many bytes of events as it holds.
        """
        self._max_events, self._max_bytes = max_events, max_bytes
        self._lock: TextIO | None = None
        try:
            self._database = _database(":memory:") if folder is None else self._opened(folder)
        except (OSError, sqlite3.Error) as error:
            LOG.warning("events wait in memory, not in a file: %s: %s", folder, error)
            self._database = _database(":memory:")
        self._count, self._bytes = self._database.execute(
            "SELECT count(*), coalesce(sum(length(event)), 0) FROM events"
        ).fetchone()

    def __len__(self) -> int:
        return int(self._count)

    def put(self, event: bytes) -> bool:
        """Adds an event, durably unless the machine itself fails; false if there is no room."""
        if self._count >= self._max_events or self._bytes + len(event) > self._max_bytes:
            return False
        try:
            self._database.execute("INSERT INTO events (event) VALUES (?)", (event,))
        except sqlite3.Error as error:
            LOG.warning("an event cannot be kept in a file: %s", error)
            return False
        self._count += 1
        self._bytes += len(event)
        return True

    def oldest(self, count: int) -> list[tuple[int, bytes]]:
        """Returns the oldest events up to a limit, each with its number."""
        found = self._database.execute(
            "SELECT id, event FROM events ORDER BY id LIMIT ?", (count,)
        ).fetchall()
        return [(int(id_), bytes(event)) for id_, event in found]

    def remove(self, events: Sequence[tuple[int, bytes]]) -> None:
        """Removes events that `oldest` returned."""
        first, last = events[0][0], events[-1][0]
        self._database.execute("DELETE FROM events WHERE id BETWEEN ? AND ?", (first, last))
        self._count -= len(events)
        self._bytes -= sum(len(event) for _, event in events)

    def close(self) -> None:
        """Closes the file; waiting events stay in it."""
        self._database.close()
        if self._lock is not None:
            self._lock.close()

    def _opened(self, folder: Path) -> sqlite3.Connection:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(MAX_FILES):
            lock = _locked(folder / f"{number}.lock")
            if lock is None:
                continue
            if self._lock is None:
                self._lock, own = lock, _database(folder / f"{number}.sqlite")
            else:
                with lock:
                    _take_over(folder / f"{number}.sqlite", own)
            if not (folder / f"{number + 1}.lock").exists():
                return own
        raise OSError(f"{MAX_FILES} processes use it")


def _locked(path: Path) -> TextIO | None:
    """Opens and locks the file; returns None if another process has locked it."""
    lock = path.open("a")
    path.chmod(0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


def _database(path: Path | str) -> sqlite3.Connection:
    # Only one thread at a time uses the connection, under a lock of the owner.
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.executescript(SCHEMA)
    if isinstance(path, Path):
        path.chmod(0o600)
    return database


def _take_over(path: Path, own: sqlite3.Connection) -> None:
    """Moves the events of another file to this one; a crash in between can only duplicate them."""
    if not path.exists():
        return
    with suppress(sqlite3.DatabaseError):
        left = _database(path)
        own.executemany(
            "INSERT INTO events (event) VALUES (?)",
            left.execute("SELECT event FROM events ORDER BY id").fetchall(),
        )
        left.execute("DELETE FROM events")
        left.close()
