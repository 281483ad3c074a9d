"""A process that has loaded the program, and forks for each command: loading it takes most of a command's time.

    python forker.py serve SOCKET MODULE...      loads the modules, and forks until its stdin is closed
    python forker.py run SOCKET ARGUMENT...      runs `jobledger ARGUMENT...` in a process that it forks
    python forker.py exec SOCKET CODE            runs `python -c CODE` in such a process

It is run by the interpreter whose `jobledger` is meant, so it imports only the standard library and that.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import NamedTuple

PYTHON = "python -c"
"""The first word of a command that is not a command line of `jobledger`, but code."""
PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Command(NamedTuple):
    """A command line, and where it runs."""

    words: list[str]
    environment: dict[str, str]
    folder: str


class Asked:
    """A command that a forker was asked to run."""

    def __init__(self, path: str, command: Command, files: tuple[int, int, int]) -> None:
        """Asks the forker at `path`; `files` become stdin, stdout and stderr of the process."""
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(path)
        socket.send_fds(self.connection, [b"c"], files)
        self.connection.sendall(json.dumps(command).encode() + b"\n")
        self.pid = self._answer()

    def wait(self) -> int:
        """Waits for its end; its exit code, or the negative number of the signal that ended it."""
        return self._answer()

    def close(self) -> None:
        """Kills the process if it still runs."""
        self.connection.close()

    def _answer(self) -> int:
        return int.from_bytes(self.connection.recv(4, socket.MSG_WAITALL), "little", signed=True)


def run(path: str, words: list[str]) -> None:
    """Runs a command as if it were this process, and ends as it ends."""
    command = Command(words, dict(os.environ), os.getcwd())  # noqa: PTH109 -- pathlib takes longer to load than this takes
    asked = Asked(path, command, (0, 1, 2))
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: os.kill(asked.pid, number))
    if (code := asked.wait()) < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


class Running(NamedTuple):
    """A process that was forked, by its number, its file, and who asked for it."""

    pid: int
    process: int
    connection: socket.socket


class Forker:
    """Forks for each command that is asked for at a socket."""

    def __init__(self, path: str) -> None:
        """Listens at `path`."""
        import selectors

        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._ready = selectors.DefaultSelector()
        self._ready.register(self._listener, selectors.EVENT_READ, self._fork)
        self._ready.register(0, selectors.EVENT_READ, self._end)
        self._running: set[Running] = set()

    def serve(self) -> Command:
        """Forks until stdin is closed; returns in each new process, with the command that it is to run."""
        while True:
            for key, _ in self._ready.select():
                command: Command | None = key.data()
                if command is not None:
                    return command

    def _fork(self) -> Command | None:
        """Forks for the next who asks; the command in the new process."""
        connection, _ = self._listener.accept()
        _, files, _, _ = socket.recv_fds(connection, 1, 3)
        with connection.makefile("rb") as lines:
            command = Command(*json.loads(lines.readline()))
        if (pid := os.fork()) == 0:
            self._close()
            connection.close()
            _become(command, files)
            return command
        for file in files:
            os.close(file)
        self._watch(Running(pid, os.pidfd_open(pid), connection))
        connection.sendall(_answer(pid))
        return None

    def _watch(self, running: Running) -> None:
        """Answers when the process ends, and kills it when nobody waits for it any more."""
        import selectors

        self._running.add(running)
        self._ready.register(running.process, selectors.EVENT_READ, lambda: self._ended(running))
        self._ready.register(running.connection, selectors.EVENT_READ, lambda: self._left(running))

    def _ended(self, running: Running) -> None:
        _, status = os.waitpid(running.pid, 0)
        if running.connection.fileno() in self._ready.get_map():
            self._ready.unregister(running.connection)
            with suppress(BrokenPipeError):  # Somebody may just have stopped to wait.
                running.connection.sendall(_answer(os.waitstatus_to_exitcode(status)))
        self._ready.unregister(running.process)
        os.close(running.process)
        running.connection.close()
        self._running.discard(running)

    def _left(self, running: Running) -> None:
        self._ready.unregister(running.connection)
        os.kill(running.pid, signal.SIGKILL)

    def _end(self) -> None:
        for running in self._running:
            os.kill(running.pid, signal.SIGKILL)
        sys.exit()

    def _close(self) -> None:
        """Closes all files, in a new process."""
        self._ready.close()
        self._listener.close()
        for running in self._running:
            os.close(running.process)
            running.connection.close()


def _answer(number: int) -> bytes:
    return number.to_bytes(4, "little", signed=True)


def _become(command: Command, files: list[int]) -> None:
    """Makes this process what it would be if the command had started it."""
    import time

    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(command.folder)
    os.environ.clear()
    os.environ.update(command.environment)
    time.tzset()
    sys.argv = command.words
    at_once = "PYTHONUNBUFFERED" in os.environ
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", 1 if at_once or os.isatty(1) else -1, "utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, "utf-8", "backslashreplace", closefd=False)


def execute(code: str) -> None:
    """Runs code as `python -c` does."""
    sys.argv = ["-c"]
    sys.path.insert(0, "")
    names = {"__name__": "__main__"}
    exec(compile(code, "<string>", "exec"), names)


def end(code: int) -> None:
    """Ends this process as the interpreter would, but without freeing what it has loaded.

    To free it takes as long as most commands, as each page of it is copied.
    """
    import atexit
    import threading

    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """See the top of this file."""
    import gc
    from importlib import import_module

    what, path, *rest = sys.argv[1:]
    if what == "run":
        run(path, ["jobledger", *rest])
    if what == "exec":
        run(path, [PYTHON, *rest])
    for module in rest:
        import_module(module)
    program = import_module("jobledger.infra.cli")
    gc.freeze()
    forker = Forker(path)
    os.write(1, b"listening\n")
    command = forker.serve()
    try:
        if command.words[0] == PYTHON:
            execute(command.words[1])
        else:
            program.main()
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
        end(ended.code or 0)
    end(0)


if __name__ == "__main__":
    main()
