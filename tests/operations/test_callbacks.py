"""An invoice's own callback on a real database: what it hears, what signs it, how often it is tried, when it ends."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook
from tests.lab.shop import NOW, Shop, open_shop, sim_config

from paynode.domain.delivery import RETRY_EVERY, STANDARD, Answered
from paynode.domain.errors import Invalid
from paynode.domain.events import EventType
from paynode.operations import callbacks, deliveries, endpoints
from paynode.operations.announcing import announce
from paynode.operations.callbacks import CreateCallback
from paynode.operations.deliveries import (
    IN_FLIGHT_MAX,
    IN_FLIGHT_OF_CALLBACKS_MAX,
    IN_FLIGHT_PER_LANE_MAX,
    Attempt,
)
from paynode.operations.receivers import Post
from paynode.outbound import Outbound
from paynode.store import callbacks as rows
from paynode.store import outbox
from paynode.store.ids import new_id
from paynode.store.outbox import DeliveryRecord
from paynode.store.pages import Page

URL = "https://shop.example/paid?order=7"
DAY = timedelta(days=1)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = open_shop(sim_config(tmp_path))
    yield shop
    shop.database.close()


def add(shop: Shop, command: CreateCallback | None = None) -> str:
    """The id of an invoice that has a callback."""
    invoice_id = new_id("inv", NOW)
    shop.database.write(callbacks.add_callback, invoice_id, shop.store_id, command or CreateCallback(URL))
    return invoice_id


def tell(shop: Shop, subject: str, kind: EventType = EventType.INVOICE_PAID) -> str:
    view = {"object": "invoice", "id": subject}
    return shop.database.write(
        announce, shop.catalogue, kind, subject=subject, store_id=shop.store_id, view=view, now=NOW
    )


def owed(shop: Shop, invoice_id: str) -> list[DeliveryRecord]:
    return shop.database.read(outbox.listed_deliveries, None, Page(100, ascending=True), subject=invoice_id).entries


def posts(shop: Shop, now: timedelta = timedelta(0), in_flight: dict[str, str] | None = None) -> list[Post]:
    return shop.database.read(deliveries.due, NOW + now, in_flight or {})


def record(shop: Shop, delivery: DeliveryRecord, status: int, now: timedelta = timedelta(0)) -> DeliveryRecord:
    attempt = Attempt(delivery.id, URL, NOW + now, 12, Answered(status))
    return shop.database.write(deliveries.record_attempt, shop.catalogue, attempt, now=NOW + now, jitter=Decimal(0))


def test_it_hears_of_its_own_invoice_and_of_no_other(shop: Shop) -> None:
    invoice_id, other = add(shop), add(shop, CreateCallback("https://elsewhere.example/"))
    event_ids = [tell(shop, invoice_id, kind) for kind in (EventType.INVOICE_CREATED, EventType.INVOICE_PAID)]
    tell(shop, "swp_1", EventType.SWEEP_QUEUED)
    assert [(post.event_id, post.url) for post in posts(shop)] == [(event_id, URL) for event_id in event_ids]
    assert [(one.endpoint_id, one.callback_of, one.state) for one in owed(shop, invoice_id)] == [
        (None, invoice_id, "due")
    ] * 2
    assert owed(shop, other) == []


def test_an_endpoint_of_the_store_hears_of_it_as_well(shop: Shop) -> None:
    endpoint = shop.database.write(
        endpoints.create_endpoint,
        shop.store_id,
        url="https://shop.example/hooks",
        events=["invoice.*"],
        secret=None,
        now=NOW,
        check=Outbound().check,
    )
    invoice_id = add(shop)
    tell(shop, invoice_id)
    assert {(one.endpoint_id, one.callback_of) for one in owed(shop, invoice_id)} == {
        (endpoint.id, None),
        (None, invoice_id),
    }
    assert {post.body for post in posts(shop)} == {posts(shop)[0].body}


@pytest.mark.parametrize(
    ("secret", "key"),
    [("any text, пароль", "any text, пароль".encode()), ("whsec_" + "YWJj" * 10, "whsec_" + "YWJj" * 10)],
    ids=["free text", "whsec"],
)
def test_its_own_secret_signs_and_is_not_in_the_body(shop: Shop, secret: str, key: str | bytes) -> None:
    tell(shop, add(shop, CreateCallback(URL, secret)))
    [post] = posts(shop)
    assert secret not in post.body.decode()
    assert secret not in repr(post)
    assert verified(post, key)["type"] == "invoice.paid"


def test_the_secret_is_in_the_body_when_the_maker_asked_for_it(shop: Shop) -> None:
    event_id = tell(shop, add(shop, CreateCallback(URL, 'quo"te', echoes_secret=True)))
    [post] = posts(shop)
    body = verified(post, b'quo"te')
    assert (body.pop("callback_secret"), body.pop("secret_key")) == ('quo"te', 'quo"te')
    event = shop.database.read(outbox.event, event_id)
    assert event is not None
    assert body == json.loads(event.payload)


def test_without_one_the_stores_secret_signs_and_the_one_before_it_for_a_day(shop: Shop) -> None:
    tell(shop, add(shop))
    first = shop.database.read(rows.secret_of_store, shop.store_id)
    assert first is not None
    assert verified(posts(shop)[0], first.secret)
    second = shop.database.write(callbacks.rotate_secret, shop.store_id, secret=None, now=NOW)
    assert second.secret != first.secret
    assert len(posts(shop, DAY - RETRY_EVERY)[0].signer.secrets) == 2
    for secret in (first.secret, second.secret):
        assert verified(posts(shop)[0], secret)
    assert len(posts(shop, DAY)[0].signer.secrets) == 1


@pytest.mark.parametrize("secret", ["whsec_short", "short"])
def test_a_stores_secret_is_one_that_libraries_take(shop: Shop, secret: str) -> None:
    with pytest.raises(Invalid):
        shop.database.write(callbacks.rotate_secret, shop.store_id, secret=secret, now=NOW)
    assert shop.database.read(rows.secret_of_store, shop.store_id) is None


@pytest.mark.parametrize("retries", [0, 1, 20])
def test_counted_retries_come_one_a_minute_until_exactly_200(shop: Shop, retries: int) -> None:
    invoice_id = add(shop, CreateCallback(URL, retries=retries))
    tell(shop, invoice_id)
    [delivery] = owed(shop, invoice_id)
    for number in range(1, retries + 1):
        delivery = record(shop, delivery, 204)
        assert (delivery.attempt_count, delivery.next_attempt_at) == (number, NOW + RETRY_EVERY)
    assert record(shop, delivery, 201).state == "abandoned"
    assert record(shop, delivery, 200).state == "delivered"


def test_without_a_count_any_2xx_will_do_on_the_usual_schedule(shop: Shop) -> None:
    invoice_id = add(shop)
    tell(shop, invoice_id)
    [delivery] = owed(shop, invoice_id)
    delivery = record(shop, delivery, 500)
    assert delivery.next_attempt_at == NOW + STANDARD.waits[1]
    assert record(shop, delivery, 204).state == "delivered"


def test_a_receiver_that_is_gone_ends_its_own_callback_only_and_a_replay_begins_it_again(shop: Shop) -> None:
    gone, neighbour = add(shop), add(shop)
    for invoice_id in (gone, gone, neighbour):
        tell(shop, invoice_id)
    first, second = owed(shop, gone)
    assert record(shop, first, 410).state == "abandoned"
    tell(shop, gone)
    assert [one.state for one in owed(shop, gone)] == ["abandoned", "abandoned"]
    assert [one.state for one in owed(shop, neighbour)] == ["due"]
    shop.database.write(deliveries.replay, second.id, shop.store_id, NOW)
    tell(shop, gone)
    assert sorted(one.state for one in owed(shop, gone)) == ["abandoned", "due", "due"]


def test_callbacks_to_one_server_share_its_places_and_delay_no_other(shop: Shop) -> None:
    for _ in range(10):
        tell(shop, add(shop))
    tell(shop, add(shop, CreateCallback("https://shop.example:8443/")))
    found = posts(shop)
    assert [post.lane.split()[1] for post in found] == ["shop.example:443"] * IN_FLIGHT_PER_LANE_MAX + [
        "shop.example:8443"
    ]


def test_however_many_servers_callbacks_name_only_so_many_are_under_way(shop: Shop) -> None:
    for number in range(IN_FLIGHT_OF_CALLBACKS_MAX + 5):
        tell(shop, add(shop, CreateCallback(f"https://shop-{number}.example/")))
    found = posts(shop)
    assert len(found) == IN_FLIGHT_OF_CALLBACKS_MAX > IN_FLIGHT_MAX
    assert posts(shop, in_flight={post.delivery_id: post.lane for post in found}) == []
    rest = {post.delivery_id: post.lane for post in found[5:]}
    assert len(posts(shop, in_flight=rest)) == 5


def verified(post: Post, key: str | bytes) -> dict[str, object]:
    """The body, which the public library believes; its clock is the machine's, so the moment is checked apart."""
    headers = post.signer.headers(post.event_id, NOW, post.body)
    webhook = Webhook(key)
    expected = webhook.sign(post.event_id, NOW, post.body.decode())
    assert expected in headers["webhook-signature"].split()
    body: dict[str, object] = json.loads(post.body)
    return body
