"""The wheel, installed as a user installs it: in an environment of its own, outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from tests.checkout import ROOT

UV = str(Path(sys.executable).parent / "uv")
INSTALL_TIMEOUT_SECONDS = 300


def build_wheel(folder: Path) -> Path:
    """Builds the wheel of this checkout in the folder."""
    run(UV, "build", "--wheel", "--no-build-isolation", "--python", sys.executable,
        "--out-dir", str(folder), str(ROOT), folder=folder)  # fmt: skip
    return next(folder.glob("*.whl"))


def install_wheel(wheel: Path, folder: Path, *extras: str, also: Sequence[str] = ()) -> Path:
    """Installs the wheel with these extras in `folder`, and other packages; returns the folder of programs."""
    run(UV, "venv", "--python", sys.executable, str(folder), folder=folder.parent)
    share_bytecode(folder)
    package = f"jobledger[{','.join(extras)}] @ {wheel.as_uri()}"
    python = folder / "bin" / "python"
    run(UV, "pip", "install", "--python", str(python),
        "--constraint", str(ROOT / "requirements.txt"), package, *also, folder=folder)  # fmt: skip
    return folder / "bin"


def share_bytecode(environment: Path) -> None:
    """Lets its packages use the bytecode of this environment's, which are the same files for uv.

    To compile them takes 10 s of CPU. It works where a variable says where bytecode is kept, as in scripts/test.
    """
    if sys.pycache_prefix is None:
        return
    packages = Path(sysconfig.get_path("purelib"))
    installed = environment / packages.relative_to(sys.prefix)
    here, there = (Path(sys.pycache_prefix, *path.parts[1:]) for path in (packages, installed))
    here.mkdir(parents=True, exist_ok=True)
    there.parent.mkdir(parents=True)
    there.symlink_to(here)


def run(*command: str, folder: Path, **environment: str) -> str:
    """What the command prints, in a folder that is not the checkout; it must succeed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def clean_environment() -> dict[str, str]:
    """The environment without what leads back to the checkout."""
    return {
        key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
