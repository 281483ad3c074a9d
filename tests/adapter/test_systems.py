"""Several applications of eventsourcing in one environment: each has a ledger, or the configuration is refused."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from eventsourcing.application import Application, ProcessingEvent
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.system import (
    MultiThreadedRunner,
    NewSingleThreadedRunner,
    ProcessApplication,
    SingleThreadedRunner,
    System,
)
from jobledger.infra.postgres.connections import schema_of
from psycopg.sql import SQL, Identifier

from tests.ledgers import new_ledger

RUNNERS = [SingleThreadedRunner, NewSingleThreadedRunner, MultiThreadedRunner]


class Order(Aggregate):
    class Placed(Aggregate.Created):
        item: str

    class Paid(Aggregate.Event):
        pass

    @event(Placed)
    def __init__(self, item: str) -> None:
        self.item = item
        self.is_paid = False

    @event(Paid)
    def pay(self) -> None:
        self.is_paid = True


class Payment(Aggregate):
    class Taken(Aggregate.Created):
        order: UUID

    @event(Taken)
    def __init__(self, order: UUID) -> None:
        self.order = order


class Orders(ProcessApplication[UUID]):
    """Follows payments, and is followed by them; it must not receive its own events."""

    name = "orders"

    def place(self, item: str) -> UUID:
        order = Order(item)
        self.save(order)
        return order.id

    @singledispatchmethod
    def policy(self, domain_event: Any, processing_event: ProcessingEvent[UUID]) -> None:  # noqa: ARG002
        assert not isinstance(domain_event, Order.Placed | Order.Paid)

    @policy.register
    def _(self, domain_event: Payment.Taken, processing_event: ProcessingEvent[UUID]) -> None:
        order: Order = self.repository.get(domain_event.order)
        order.pay()
        processing_event.collect_events(order)


class Payments(ProcessApplication[UUID]):
    name = "payments"

    @singledispatchmethod
    def policy(self, domain_event: Any, processing_event: ProcessingEvent[UUID]) -> None:  # noqa: ARG002
        assert not isinstance(domain_event, Payment.Taken)

    @policy.register
    def _(self, domain_event: Order.Placed, processing_event: ProcessingEvent[UUID]) -> None:
        processing_event.collect_events(Payment(domain_event.originator_id))


@pytest.fixture
def apart(dsn: str, env: dict[str, str]) -> Iterator[dict[str, str]]:
    """The environment with a ledger for each application."""
    with new_ledger(dsn) as payments:
        named = {
            "ORDERS_POSTGRES_SCHEMA": env["POSTGRES_SCHEMA"],
            "PAYMENTS_POSTGRES_SCHEMA": payments,
        }
        yield {key: value for key, value in env.items() if key != "POSTGRES_SCHEMA"} | named


def until_paid(orders: Orders, ids: list[UUID]) -> list[bool]:
    def paid() -> list[bool]:
        return [orders.repository.get(each).is_paid for each in ids]

    for _ in range(1_000):
        if all(paid()):
            break
        time.sleep(0.02)
    return paid()


@pytest.mark.slow
@pytest.mark.parametrize("runner", RUNNERS, ids=lambda runner: runner.__name__)
def test_a_system_runs_on_a_ledger_for_each_application(apart: dict[str, str], runner: Any) -> None:
    """No application is shown its own events, and each event of the other's once."""
    system = System([[Orders, Payments, Orders]])
    with runner(system, env=apart) as running:
        orders, payments = running.get(Orders), running.get(Payments)
        ids = [orders.place(f"item {n}") for n in range(5)]
        assert until_paid(orders, ids) == [True] * 5
        for app, events in ((payments, 5), (orders, 10)):
            assert app.recorder.max_notification_id() == events


@pytest.fixture
def one_for_each(env: dict[str, str], dsn: str) -> Iterator[dict[str, str]]:
    """One environment, in which each application has a ledger of its own."""
    prefix = f"each_{env['POSTGRES_SCHEMA']}"
    yield env | {"POSTGRES_SCHEMA": f"{prefix}_{{application}}"}
    with psycopg.connect(dsn, autocommit=True) as connection:
        for application in ("orders", "payments"):
            schema = Identifier(schema_of(f"{prefix}_{application}"))
            connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))


@pytest.mark.slow
@pytest.mark.parametrize("runner", RUNNERS, ids=lambda runner: runner.__name__)
def test_one_environment_gives_each_application_a_ledger(
    one_for_each: dict[str, str], runner: Any
) -> None:
    system = System([[Orders, Payments, Orders]])
    with runner(system, env=one_for_each) as running:
        orders, payments = running.get(Orders), running.get(Payments)
        assert until_paid(orders, [orders.place("item")]) == [True]
        assert orders.recorder.max_notification_id() == 2
        assert payments.recorder.max_notification_id() == 1


@pytest.mark.slow
@pytest.mark.parametrize("runner", RUNNERS, ids=lambda runner: runner.__name__)
def test_a_system_on_one_ledger_is_refused_with_the_setting_to_change(
    env: dict[str, str], runner: Any
) -> None:
    system = System([[Orders, Payments]])
    with (
        pytest.raises(
            OSError,
            match=r"'orders' and 'payments'.*PAYMENTS_POSTGRES_SCHEMA=payments, or POSTGRES_SCHEMA=\{application\}",
        ),
        runner(system, env=env),
    ):
        pass


@pytest.mark.slow
def test_one_application_may_be_open_many_times_and_another_after_it(env: dict[str, str]) -> None:
    class Others(Application[UUID]):
        name = "others"

    with Orders(env), Orders(env), pytest.raises(OSError, match="name a ledger for each"):
        Others(env)
    with Others(env) as others:
        assert others.notification_log.select(start=1, limit=1) == []
