"""Programs of others from PyPI: each in an environment of its own, and started for a trial."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
TIMEOUT_SECONDS = 1_200.0
"""As long as one step may take on a machine that is busy with other work."""


class Installed:
    """A program and its packages, in the environment .venv-NAME."""

    def __init__(self, name: str, program: str, *packages: str) -> None:
        """`program` is in the environment once it is installed."""
        self.bin = ROOT / f".venv-{name}" / "bin"
        self._program = program
        self._packages = packages

    def install(self) -> None:
        """Installs the packages, the first time."""
        if not (self.bin / self._program).exists():
            uv, python = str(ROOT / ".venv" / "bin" / "uv"), str(self.bin / "python")
            folder = str(self.bin.parent)
            subprocess.run([uv, "venv", "--quiet", "--allow-existing", folder], check=True)
            command = [uv, "pip", "install", "--quiet", "--python", python, *self._packages]
            subprocess.run(command, check=True)

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """The environment variables of its programs: ours, with these, and with its own programs first."""
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, **variables, "PATH": path}

    def run(
        self,
        arguments: tuple[str, ...],
        variables: Mapping[str, str],
        folder: Path,
        log: Path,
        *,
        check: bool = True,
    ) -> None:
        """Runs one of its programs in a folder; with `check` it must succeed."""
        with log.open("ab") as output:
            subprocess.run(
                [str(self.bin / arguments[0]), *arguments[1:]],
                env=self.environment(variables),
                cwd=folder,
                check=check,
                stdout=output,
                stderr=output,
            )

    @contextmanager
    def started(
        self, arguments: tuple[str, ...], variables: Mapping[str, str], folder: Path, log: Path
    ) -> Iterator[subprocess.Popen[bytes]]:
        """One of its programs that runs meanwhile; it is killed at the end, with all that it started."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                [str(self.bin / arguments[0]), *arguments[1:]],
                env=self.environment(variables),
                cwd=folder,
                start_new_session=True,
                stdout=output,
                stderr=output,
            )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(condition: Callable[[], object], what: str) -> None:
    """Waits until the condition holds; raises TimeoutError naming what was waited for."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {TIMEOUT_SECONDS:.0f} s")
        time.sleep(0.5)


def answers(url: str) -> bool:
    """Whether a server answers there."""
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except OSError:
        return False
