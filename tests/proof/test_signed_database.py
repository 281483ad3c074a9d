"""A copy of a ledger is not signed under the same name, unless it takes the ledger's place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.command_line import Cli
from tests.databases import copy_database, drop_database, find_server, make_database
from tests.schemas import make_ledger

pytestmark = [pytest.mark.usefixtures("home"), pytest.mark.plain_server]


@pytest.fixture
def signed() -> Iterator[Cli]:
    """A signed ledger in a database of its own."""
    dsn = make_database(find_server(), "signed")
    cli = Cli(dsn, make_ledger(dsn))
    cli("init")
    cli("run", "--name", "nightly", "--", "true")
    cli("log", "checkpoint")
    yield cli
    for name in ("copied", "signed"):
        drop_database(find_server(), name)


def test_a_copy_is_not_signed_until_it_takes_the_place_of_the_ledger(signed: Cli) -> None:
    dsn = copy_database(find_server(), "signed", "copied")
    copy = Cli(dsn, signed.environment["JOBLEDGER_LEDGER"])
    copy("run", "--name", "in_copy", "--", "true")
    for command in ("checkpoint", "resume"):
        refused = copy.run("log", command)
        assert refused.returncode == 1
        assert "was last signed in another database" in refused.stderr
    assert "another database" in copy.run("doctor").stdout
    signed("run", "--name", "later", "--", "true")
    signed("log", "checkpoint")  # The ledger is signed as before.
    assert "all unchanged" in signed("verify", "--proof")

    assert "is signed in this one from now on" in copy.run("init").stderr
    assert "forked" in copy.run("log", "checkpoint").stderr  # It lacks what was signed since.
    copy("log", "resume", "--accept-loss")
    copy("log", "checkpoint")
    assert "was last signed in another database" in signed.run("log", "checkpoint").stderr
