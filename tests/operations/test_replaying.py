"""Replaying a span of time to one endpoint: what is sent again, what for the first time, in which order."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.lab.shop import NOW, Shop, open_shop, sim_config

from paynode.domain.delivery import Answered
from paynode.domain.errors import Conflict, NotFound
from paynode.domain.events import EventType
from paynode.operations import deliveries, endpoints, replaying
from paynode.operations.announcing import announce
from paynode.operations.deliveries import Attempt
from paynode.operations.replaying import Replay
from paynode.outbound import Outbound
from paynode.store import outbox
from paynode.store.outbox import EndpointRecord

URL = "https://shop.example/hooks"
HOUR = timedelta(hours=1)
LATER = NOW + 1000 * HOUR


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = open_shop(sim_config(tmp_path))
    yield shop
    shop.database.close()


def endpoint_of(shop: Shop, *events: str) -> EndpointRecord:
    return shop.database.write(
        endpoints.create_endpoint,
        shop.store_id,
        url=URL,
        events=events or ["*"],
        secret=None,
        now=NOW,
        check=Outbound().check,
    )


def tell(shop: Shop, hours: int, kind: EventType = EventType.INVOICE_PAID, *, of_node: bool = False) -> str:
    return shop.database.write(
        announce,
        shop.catalogue,
        kind,
        subject="inv_1",
        store_id=None if of_node else shop.store_id,
        view={"object": "invoice"},
        now=NOW + hours * HOUR,
    )


def answered(shop: Shop, status: int) -> None:
    """Whatever is due gets this answer."""
    for post in shop.database.read(deliveries.due, LATER, {}):
        attempt = Attempt(post.delivery_id, URL, NOW, 1, Answered(status))
        shop.database.write(deliveries.record_attempt, shop.catalogue, attempt, now=NOW, jitter=Decimal(0))


def replay(
    shop: Shop, endpoint: EndpointRecord, first: int, last: int, after: str | None = None, *, only_failed: bool = False
) -> Replay:
    """What happened in the hours from `first` to `last`, both included."""
    return shop.database.write(
        replaying.replay_span,
        endpoint.id,
        shop.store_id,
        created_after=NOW + first * HOUR - timedelta(milliseconds=1),
        created_before=NOW + last * HOUR + timedelta(milliseconds=1),
        starting_after=after,
        only_failed=only_failed,
        now=LATER,
    )


def due(shop: Shop, endpoint: EndpointRecord) -> list[str]:
    """The events due to the endpoint, in the order in which they will be sent."""
    found = shop.database.read(outbox.due_deliveries, endpoint.id, LATER + HOUR, limit=10_000)
    return [one.delivery.event_id for one in found]


def test_what_was_delivered_in_the_span_is_sent_again_in_order(shop: Shop) -> None:
    endpoint = endpoint_of(shop)
    events = [tell(shop, hour) for hour in range(4)]
    answered(shop, 200)
    assert replay(shop, endpoint, 1, 2) == Replay(endpoint.id, 2, has_more=False, next_cursor=None)
    assert due(shop, endpoint) == events[1:3]


def test_an_endpoint_hears_of_what_it_missed_while_it_was_disabled_or_not_yet_there(shop: Shop) -> None:
    early = tell(shop, 0)
    endpoint = endpoint_of(shop, "invoice.*")
    taken = tell(shop, 1)
    answered(shop, 200)
    shop.database.write(endpoints.disable, shop.catalogue, endpoint, "a test", NOW + HOUR)
    missed, _ = tell(shop, 2), tell(shop, 3, EventType.SWEEP_QUEUED)
    with pytest.raises(Conflict):
        replay(shop, endpoint, 0, 9)
    shop.database.write(endpoints.enable, endpoint.id, shop.store_id)
    assert replay(shop, endpoint, 0, 9, only_failed=True).count == 2
    assert due(shop, endpoint) == [early, missed]
    assert replay(shop, endpoint, 0, 9).count == 1  # what is due already stays as it is
    assert sorted(due(shop, endpoint)) == [early, taken, missed]


def test_events_of_the_node_are_replayed_and_other_endpoints_pings_are_not(shop: Shop) -> None:
    pinged, endpoint = endpoint_of(shop, "invoice.paid"), endpoint_of(shop)
    of_node = tell(shop, 1, EventType.NETWORK_DEGRADED, of_node=True)
    shop.database.write(endpoints.ping, shop.catalogue, pinged.id, shop.store_id, NOW + 2 * HOUR)
    answered(shop, 200)
    assert replay(shop, endpoint, 0, 9).count == 1
    assert due(shop, endpoint) == [of_node]
    assert replay(shop, pinged, 0, 9).count == 1


def test_a_long_span_comes_in_bounded_parts_and_keeps_its_order(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "EVENTS_MAX", 3)
    events = [tell(shop, hour) for hour in range(7)]
    endpoint = endpoint_of(shop)
    counts, cursor = [], None
    while True:
        done = replay(shop, endpoint, 0, 9, cursor)
        counts.append(done.count)
        cursor = done.next_cursor
        if not done.has_more:
            break
    assert counts == [3, 3, 1]
    assert due(shop, endpoint) == events


def test_another_stores_endpoint_looks_like_none(shop: Shop) -> None:
    endpoint = endpoint_of(shop)
    with pytest.raises(NotFound):
        replay(shop._replace(store_id="sto_other"), endpoint, 0, 9)
