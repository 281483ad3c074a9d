"""The cases that eventsourcing publishes for applications, on a ledger and on its own recorder.

Snapshots, ciphers and compressors are switched on by settings. Applications have other names in one environment: `{application}` in
POSTGRES_SCHEMA gives each a ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import psycopg
import pytest
from eventsourcing.cipher import AESCipher
from eventsourcing.postgres import PostgresFactory
from eventsourcing.tests import application as published
from eventsourcing.tests import projection
from eventsourcing.utils import get_topic
from jobledger.infra.adapter.recorder import Factory
from jobledger.infra.postgres.connections import schema_of
from psycopg.sql import SQL, Identifier, Literal

pytestmark = [
    pytest.mark.usefixtures("settings"),
    pytest.mark.filterwarnings("always"),  # A case looks at the warnings that it records.
]
SECRETS = {
    "CIPHER_TOPIC": get_topic(AESCipher),
    "CIPHER_KEY": AESCipher.create_key(16),
    "COMPRESSOR_TOPIC": "zlib",
}
STOCK = "eventsourcing.postgres"


@pytest.fixture
def settings(
    request: pytest.FixtureRequest,
    env: dict[str, str],
    dsn: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """The settings of the case's class, in this process; schemas that the applications make are dropped."""
    stock = request.cls.module == STOCK
    prefix = f"{'stock' if stock else 'case'}_{env['POSTGRES_SCHEMA']}"
    schema = prefix if stock else f"{prefix}_{{application}}"
    given = env | {"PERSISTENCE_MODULE": request.cls.module, "POSTGRES_SCHEMA": schema}
    for name, value in (given | request.cls.more).items():
        monkeypatch.setenv(name, value)
    pattern = prefix if stock else schema_of(prefix)
    with psycopg.connect(dsn, autocommit=True) as connection:
        if stock:  # A ledger is created by its first recorder.
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(prefix)))
        yield
        asked = SQL("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, {})")
        for (name,) in connection.execute(asked.format(Literal(pattern))).fetchall():
            connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(name)))


class OnLedger:
    module = Factory.__module__
    more: ClassVar[dict[str, str]] = {}


@pytest.mark.one_server
class OnStock:
    module = STOCK
    more: ClassVar[dict[str, str]] = {}


@pytest.mark.slow
class TestApplicationsOnLedger(OnLedger, published.ApplicationTestCase):  # type: ignore[misc]
    pass


@pytest.mark.slow
class TestEncryptedApplicationsOnLedger(OnLedger, published.ApplicationTestCase):  # type: ignore[misc]
    more = SECRETS


class TestExampleOnLedger(OnLedger, published.ExampleApplicationTestCase):  # type: ignore[misc]
    expected_factory_topic = get_topic(Factory)


@pytest.mark.slow
class TestEncryptedExampleOnLedger(OnLedger, published.ExampleApplicationTestCase):  # type: ignore[misc]
    expected_factory_topic = get_topic(Factory)
    more = SECRETS


@pytest.mark.slow
class TestApplicationsOnStock(OnStock, published.ApplicationTestCase):  # type: ignore[misc]
    pass


@pytest.mark.slow
class TestEncryptedApplicationsOnStock(OnStock, published.ApplicationTestCase):  # type: ignore[misc]
    more = SECRETS


class TestExampleOnStock(OnStock, published.ExampleApplicationTestCase):  # type: ignore[misc]
    expected_factory_topic = get_topic(PostgresFactory)


@pytest.mark.slow
class TestEncryptedExampleOnStock(OnStock, published.ExampleApplicationTestCase):  # type: ignore[misc]
    expected_factory_topic = get_topic(PostgresFactory)
    more = SECRETS


@pytest.mark.slow
class TestEventSourcedProjectionOnLedger(OnLedger, projection.EventSourcedProjectionTestCase):  # type: ignore[misc]
    pass


@pytest.mark.slow
class TestEncryptedProjectionOnLedger(OnLedger, projection.EventSourcedProjectionTestCase):  # type: ignore[misc]
    more = SECRETS


@pytest.mark.slow
class TestEventSourcedProjectionOnStock(OnStock, projection.EventSourcedProjectionTestCase):  # type: ignore[misc]
    pass
