"""Webhook endpoints on a real database."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.lab.shop import NOW, Shop, open_shop, sim_config

from paynode.domain.errors import Conflict, Invalid, NotFound
from paynode.domain.events import EventType
from paynode.domain.signing import Secret
from paynode.operations import endpoints
from paynode.operations.announcing import announce
from paynode.operations.endpoints import ENDPOINTS_MAX
from paynode.outbound import Outbound
from paynode.store import outbox
from paynode.store.ids import new_id
from paynode.store.outbox import DeliveryRecord, EndpointRecord
from paynode.store.pages import Page

URL = "https://shop.example/hooks"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

TWO_STORES = '[stores.main]\nname = "Main"\naccount = 0\n[stores.other]\nname = "Other"\naccount = 1\n'


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = open_shop(sim_config(tmp_path, TWO_STORES))
    yield shop
    shop.database.close()


def other_store(shop: Shop) -> str:
    return next(store_id for store_id, name in shop.catalogue.store_keys.items() if name == "other")


def create(
    shop: Shop,
    *,
    store_id: str | None = None,
    url: str = URL,
    events: Sequence[str] = ("*",),
    secret: str | None = None,
) -> EndpointRecord:
    return shop.database.write(
        endpoints.create_endpoint,
        store_id or shop.store_id,
        url=url,
        events=events,
        secret=secret,
        now=NOW,
        check=Outbound().check,
    )


def update(
    shop: Shop,
    endpoint: EndpointRecord,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    state: str | None = None,
) -> EndpointRecord:
    return shop.database.write(
        endpoints.update_endpoint,
        shop.catalogue,
        endpoint.id,
        shop.store_id,
        url=url,
        events=events,
        state=state,
        now=NOW,
        check=Outbound().check,
    )


def tell(shop: Shop, kind: EventType = EventType.INVOICE_PAID, store_id: str | None = None) -> str:
    return shop.database.write(
        announce,
        shop.catalogue,
        kind,
        subject=new_id("inv", NOW),
        store_id=store_id or shop.store_id,
        view={"object": "invoice"},
        now=NOW,
    )


def owed(shop: Shop, endpoint: EndpointRecord) -> list[DeliveryRecord]:
    page = Page(100, ascending=True)
    return shop.database.read(outbox.listed_deliveries, None, page, endpoint_id=endpoint.id).entries


def told(shop: Shop, endpoint: EndpointRecord) -> dict[str, dict[str, Any]]:
    """The bodies of the events owed to an endpoint, by type; no test owes two of one."""
    deliveries = owed(shop, endpoint)
    events = [shop.database.read(outbox.event, delivery.event_id) for delivery in deliveries]
    bodies = [json.loads(event.payload) for event in events if event is not None]
    body_by_type = {body["type"]: body for body in bodies}
    assert len(body_by_type) == len(deliveries)
    return body_by_type


def pointers(refused: pytest.ExceptionInfo[Invalid]) -> list[str]:
    return [problem.pointer for problem in refused.value.problems]


def test_a_new_endpoint_is_enabled_and_gets_a_secret_of_its_own(shop: Shop) -> None:
    first, second = create(shop), create(shop)
    assert (first.state, first.url, first.events) == ("enabled", URL, "*")
    assert first.secret != second.secret
    assert len(Secret.parse(first.secret).key) == 32
    assert shop.database.read(endpoints.load, first.id, shop.store_id) == first


def test_a_merchant_may_bring_a_secret(shop: Shop) -> None:
    assert create(shop, secret=SECRET).secret == SECRET


def test_every_wrong_field_is_named_at_once(shop: Shop) -> None:
    with pytest.raises(Invalid) as refused:
        create(shop, url="http://127.0.0.1/", events=["invoice.paid", "invoice.eaten"], secret="whsec_short")
    assert pointers(refused) == ["/url", "/events/1", "/secret"]
    assert shop.database.read(outbox.endpoints_of, shop.store_id) == []


@pytest.mark.parametrize("pattern", ["*", "invoice.*", "webhook_endpoint.*", "ping", *EventType])
def test_a_pattern_is_an_event_a_family_or_all(shop: Shop, pattern: str) -> None:
    assert create(shop, events=[pattern]).events == pattern


@pytest.mark.parametrize(
    "pattern", ["", "**", "invoice", "invoice.", "invoice.p*", "*.paid", "Invoice.*", "a b", "ping.*"]
)
def test_what_matches_no_event_is_no_pattern(shop: Shop, pattern: str) -> None:
    with pytest.raises(Invalid) as refused:
        create(shop, events=[pattern])
    assert pointers(refused) == ["/events/0"]


@pytest.mark.parametrize("events", [[], ["*"] * 100])
def test_an_endpoint_wants_some_events_and_not_more_than_there_are(shop: Shop, events: Sequence[str]) -> None:
    with pytest.raises(Invalid) as refused:
        create(shop, events=events)
    assert pointers(refused) == ["/events"]


def test_a_pattern_said_twice_counts_once(shop: Shop) -> None:
    assert create(shop, events=["ping", "invoice.*", "ping"]).events == "ping invoice.*"


def test_an_endpoint_is_owed_what_it_asked_for_and_nothing_else(shop: Shop) -> None:
    family, exact = create(shop, events=["invoice.*"]), create(shop, events=["invoice.paid", "sweep.failed"])
    foreign = create(shop, store_id=other_store(shop))
    for kind in (EventType.INVOICE_PAID, EventType.INVOICE_EXPIRED, EventType.SWEEP_FAILED, EventType.DEPOSIT_LATE):
        tell(shop, kind)
    assert set(told(shop, family)) == {"invoice.paid", "invoice.expired"}
    assert set(told(shop, exact)) == {"invoice.paid", "sweep.failed"}
    assert told(shop, foreign) == {}


def test_a_store_has_at_most_so_many_endpoints_the_deleted_not_counted(shop: Shop) -> None:
    made = [create(shop) for _ in range(ENDPOINTS_MAX)]
    with pytest.raises(Conflict) as refused:
        create(shop)
    assert refused.value.code == "too_many_endpoints"
    create(shop, store_id=other_store(shop))
    shop.database.write(endpoints.delete_endpoint, made[0].id, shop.store_id, NOW)
    create(shop)


def test_only_what_is_given_changes(shop: Shop) -> None:
    endpoint = create(shop, events=["invoice.*"])
    assert update(shop, endpoint) == endpoint
    moved = update(shop, endpoint, url="https://new.example/")
    assert moved == replace(endpoint, url="https://new.example/")
    assert update(shop, endpoint, events=["ping"]) == replace(moved, events="ping")


def test_a_wrong_change_changes_nothing(shop: Shop) -> None:
    endpoint = create(shop)
    with pytest.raises(Invalid) as refused:
        update(shop, endpoint, url="ftp://shop.example/", events=[], state="paused")
    assert pointers(refused) == ["/url", "/events", "/state"]
    assert shop.database.read(endpoints.load, endpoint.id) == endpoint


def test_disabling_abandons_what_is_due_and_tells_the_stores_other_endpoints(shop: Shop) -> None:
    endpoint, other, foreign = create(shop), create(shop), create(shop, store_id=other_store(shop))
    tell(shop)
    disabled = update(shop, endpoint, state="disabled")
    assert (disabled.state, disabled.reason) == ("disabled", "It was disabled on request.")
    assert [(one.state, one.next_attempt_at) for one in owed(shop, endpoint)] == [("abandoned", None)]
    assert set(told(shop, other)) == {"invoice.paid", "webhook_endpoint.disabled"}
    assert told(shop, foreign) == {}
    data = told(shop, other)["webhook_endpoint.disabled"]["data"]
    assert (data["object"]["state"], data["previous"]["state"]) == ("disabled", "enabled")
    assert endpoint.secret not in json.dumps(data)


def test_a_disabled_endpoint_is_owed_nothing_until_it_is_enabled(shop: Shop) -> None:
    endpoint = create(shop)
    update(shop, endpoint, state="disabled")
    tell(shop)
    assert owed(shop, endpoint) == []
    assert update(shop, endpoint, state="enabled") == endpoint
    tell(shop)
    assert [one.state for one in owed(shop, endpoint)] == ["due"]


def test_disabling_twice_announces_once(shop: Shop) -> None:
    endpoint, other = create(shop), create(shop)
    once = update(shop, endpoint, state="disabled")
    assert update(shop, endpoint, state="disabled") == once
    assert len(owed(shop, other)) == 1


def test_a_deleted_endpoint_is_not_found_and_what_was_due_is_abandoned(shop: Shop) -> None:
    endpoint, other = create(shop), create(shop)
    tell(shop)
    shop.database.write(endpoints.delete_endpoint, endpoint.id, shop.store_id, NOW)
    with pytest.raises(NotFound):
        shop.database.read(endpoints.load, endpoint.id)
    with pytest.raises(NotFound):
        shop.database.write(endpoints.delete_endpoint, endpoint.id, shop.store_id, NOW)
    assert [one.state for one in owed(shop, endpoint)] == ["abandoned"]
    assert [one.state for one in owed(shop, other)] == ["due"]
    tell(shop)
    assert len(owed(shop, endpoint)) == 1


def test_a_ping_reaches_its_endpoint_alone_whatever_it_asked_for(shop: Shop) -> None:
    endpoint, other = create(shop, events=["sweep.*"]), create(shop)
    event_id = shop.database.write(endpoints.ping, shop.catalogue, endpoint.id, shop.store_id, NOW)
    assert [(kind, body["id"], body["sequence"]) for kind, body in told(shop, endpoint).items()] == [
        ("ping", event_id, 1)
    ]
    assert told(shop, other) == {}


def test_a_disabled_endpoint_cannot_be_pinged(shop: Shop) -> None:
    endpoint = create(shop)
    update(shop, endpoint, state="disabled")
    with pytest.raises(Conflict) as refused:
        shop.database.write(endpoints.ping, shop.catalogue, endpoint.id, shop.store_id, NOW)
    assert refused.value.code == "endpoint_disabled"


def test_another_stores_endpoint_looks_like_none(shop: Shop) -> None:
    foreign = create(shop, store_id=other_store(shop))
    with pytest.raises(NotFound):
        update(shop, foreign, state="disabled")
    with pytest.raises(NotFound):
        shop.database.write(endpoints.delete_endpoint, foreign.id, shop.store_id, NOW)
    with pytest.raises(NotFound):
        shop.database.write(endpoints.ping, shop.catalogue, foreign.id, shop.store_id, NOW)
    assert shop.database.read(endpoints.load, foreign.id, None) == foreign
