"""A program that waits until the embedded server has no user any more, and stops it.

It is run by path and imports nothing of the package: it lives as long as the server does.
Its arguments: the file that users hold a lock on, a folder made for the socket (or nothing), the system's user
to stop the server as (or nothing), and the command that stops it.
"""

import fcntl
import os
import subprocess
import sys
from contextlib import suppress


def main(file: str, folder: str, user: str, command: list[str]) -> None:
    """Waits for the exclusive lock, which is free once the last user has ended, and runs the command."""
    os.setsid()  # Signals of the terminal are for the users of the server.
    os.chdir("/")
    lock = os.open(file, os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    # It fails where the last user has stopped the server already.
    subprocess.run(command, user=user or None, check=False)  # noqa: S603 - given by our own program
    if folder:
        with suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106 - pathlib takes longer to import


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
