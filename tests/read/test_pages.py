"""Pages of jobs: each shows the moment of the first, and tokens are valid for their query only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from jobledger.domain.errors import InvalidFieldError
from jobledger.domain.events import Created, Event
from jobledger.infra import Ledger

from tests.forms import Opener
from tests.ledgers import fresh_ledger

pytestmark = pytest.mark.both_forms

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.slow
@pytest.mark.parametrize("order_by", ["", "create_time desc", "state, name desc", "labels.n"])
def test_pages_show_the_moment_of_the_first_whatever_happens_meanwhile(
    ledger: Ledger, order_by: str
) -> None:
    for n in range(25):
        at = AT + timedelta(seconds=n % 5)
        created = Created(labels={"n": str(n % 3)})
        ledger.append_many([Event(f"projects/p/jobs/n{n:02d}", 1, created, at)])
    before = ledger.list(order_by=order_by)
    page = ledger.page(page_size=10, order_by=order_by)
    shown = [*page.jobs]
    while page.next_page_token:
        ledger.create(f"projects/p/jobs/later{len(shown)}")
        ledger.started(shown[-1].name)
        page = ledger.page(page_size=10, order_by=order_by, page_token=page.next_page_token)
        shown += page.jobs
    assert shown == before


@pytest.mark.slow
def test_a_page_of_the_past_holds_what_was_then(ledger: Ledger) -> None:
    for n in range(25):
        at = AT + timedelta(seconds=n % 5)
        ledger.append_many([Event(f"projects/p/jobs/n{n:02d}", 1, Created(), at)])
    at = AT + timedelta(seconds=2)
    page = ledger.page('state = QUEUED AND name : "*n0*"', page_size=3, as_of=at)
    assert [job.name[-3:] for job in page.jobs] == ["n02", "n07", "n01"]
    with pytest.raises(InvalidFieldError, match="AIP-132"):
        ledger.page(order_by="state upwards")
    with pytest.raises(InvalidFieldError, match="there is no field 'colour'"):
        ledger.page(order_by="colour")
    with pytest.raises(InvalidFieldError, match="order_by: 'parent' is a list"):
        ledger.page(order_by="parent")


@pytest.mark.slow
def test_a_page_token_of_another_query_is_refused(
    dsn: str, ledger: Ledger, ledger_name: str, open_ledger: Opener
) -> None:
    for n in range(4):
        ledger.create(f"projects/p/jobs/n{n}")
    token = ledger.page(page_size=2).next_page_token
    changed = ("A" if token[0] != "A" else "B") + token[1:]
    for wrong in (changed, token[:-2], "nonsense", "é"):
        with pytest.raises(InvalidFieldError, match="is not a token of this ledger"):
            ledger.page(page_size=2, page_token=wrong)
    with pytest.raises(InvalidFieldError, match="belongs to another query"):
        ledger.page("state = QUEUED", page_size=2, page_token=token)
    with (
        fresh_ledger(dsn) as other,
        pytest.raises(InvalidFieldError, match="is not a token of this ledger"),
    ):
        other.page(page_size=2, page_token=token)
    with open_ledger(dsn, ledger_name) as same:
        assert len(same.page(page_size=3, page_token=token).jobs) == 2
