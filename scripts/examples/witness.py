"""Two parties: one keeps a ledger, the other runs a witness of its log, and holds the first to what it signed.

The witness needs the log's public key, a key and a file of its own, and no access to the database. Here both run on
one machine, in folders of their own; the second would run `jobledger witness` on another.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = str(Path(sys.executable).parent / "jobledger")


def jobledger(*arguments: str, check: bool = True, **variables: str) -> str:
    """What a command of the first party prints."""
    done = subprocess.run(
        [PROGRAM, *arguments], env=os.environ | variables, capture_output=True, text=True, check=False
    )  # fmt: skip
    if check and done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


@contextmanager
def witness(folder: Path, log_key: str) -> Iterator[tuple[str, str]]:
    """The second party's witness: its public key, and its address."""
    files = ["--key", str(folder / "witness.key"), "--state", str(folder / "witness.json")]
    # It knows nothing of the first party's database.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JOBLEDGER_")}
    process = subprocess.Popen(
        [PROGRAM, "witness", "--name", "example.org/witness", *files, "--log", log_key, "--port", "0"],
        env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        listening = json.loads(next(line for line in process.stderr if '"listening"' in line))
        yield listening["key"], listening["url"]
    finally:
        process.terminate()
        process.communicate()


def main() -> None:
    log_key = next(
        line.removeprefix("key ")
        for line in jobledger("log", "show").splitlines()
        if line.startswith("key ")
    )
    with tempfile.TemporaryDirectory() as folder, witness(Path(folder), log_key) as (key, url):
        policy = Path(folder) / "policy"
        policy.write_text(f"log {log_key}\nwitness w {key} {url}\nquorum w\n")
        jobledger("record", "projects/demo/jobs/witnessed", "Created", JOBLEDGER_POLICY=str(policy))
        checkpoint = jobledger("log", "checkpoint", JOBLEDGER_POLICY=str(policy))
        signers = [line.split()[1] for line in checkpoint.splitlines() if line.startswith("— ")]
        print("signed by", *sorted(signers))

        receipt = Path(folder) / "receipt"
        jobledger("receipt", "projects/demo/jobs/witnessed", "--to", str(receipt))
        keys = ("--key", log_key, "--key", key, "--witnesses", "1")
        print(
            jobledger("verify-receipt", str(receipt), *keys).splitlines()[0].split(", recorded")[0]
        )


if __name__ == "__main__":
    main()
