"""Deliveries on a real database: what is due, what an outcome changes, replays."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.lab.shop import NOW, Shop, open_shop, sim_config

from paynode.domain.delivery import STANDARD, Answered, Forbidden, Outcome, Unreachable
from paynode.domain.errors import Conflict, NotFound
from paynode.domain.events import EventType
from paynode.domain.signing import Secret
from paynode.operations import deliveries, endpoints
from paynode.operations.announcing import announce
from paynode.operations.deliveries import (
    ATTEMPTS_KEPT_MAX,
    EXCERPT_BYTES_MAX,
    IN_FLIGHT_MAX,
    IN_FLIGHT_PER_LANE_MAX,
    KEPT_FOR,
    Attempt,
    excerpt_text,
)
from paynode.store import outbox
from paynode.store.database import Tx
from paynode.store.ids import new_id
from paynode.store.outbox import AttemptRecord, DeliveryRecord, EndpointRecord
from paynode.store.pages import Page

URL = "https://shop.example/hooks"
NO_JITTER = Decimal(0)
SECOND = timedelta(seconds=1)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    shop = open_shop(sim_config(tmp_path))
    yield shop
    shop.database.close()


def add_endpoint(shop: Shop) -> EndpointRecord:
    """An endpoint that wants everything; past the usual limit if need be."""
    secret = Secret.from_key(bytes(32)).reveal()
    record = EndpointRecord(new_id("whe", NOW), shop.store_id, URL, "*", secret, "enabled", None, NOW)
    shop.database.write(outbox.add_endpoint, record)
    return record


def tell(shop: Shop, count: int = 1, now: datetime = NOW) -> list[str]:
    """Announce that many events in one transaction; returns their ids."""

    def announce_all(tx: Tx) -> list[str]:
        return [
            announce(
                tx,
                shop.catalogue,
                EventType.INVOICE_PAID,
                subject="inv_1",
                store_id=shop.store_id,
                view={"object": "invoice"},
                now=now,
            )
            for _ in range(count)
        ]

    return shop.database.write(announce_all)


def owed(shop: Shop, endpoint: EndpointRecord) -> list[DeliveryRecord]:
    page = Page(100, ascending=True)
    return shop.database.read(outbox.listed_deliveries, None, page, endpoint_id=endpoint.id).entries


def only(shop: Shop, endpoint: EndpointRecord) -> DeliveryRecord:
    [delivery] = owed(shop, endpoint)
    return delivery


def record(
    shop: Shop,
    delivery: DeliveryRecord,
    outcome: Outcome,
    *,
    now: datetime = NOW,
    url: str = URL,
    excerpt: bytes | None = None,
    error: str | None = None,
) -> DeliveryRecord:
    attempt = Attempt(delivery.id, url, now, 12, outcome, error, excerpt)
    return shop.database.write(deliveries.record_attempt, shop.catalogue, attempt, now=now, jitter=NO_JITTER)


def attempts(shop: Shop, delivery: DeliveryRecord) -> list[AttemptRecord]:
    return shop.database.read(outbox.attempts, delivery.id)


def picked(shop: Shop, now: datetime, in_flight: dict[str, str] | None = None) -> list[str]:
    """The events of the deliveries that are due."""
    return [one.event_id for one in shop.database.read(deliveries.due, now, in_flight or {})]


def replay(shop: Shop, delivery: DeliveryRecord, now: datetime = NOW) -> DeliveryRecord:
    return shop.database.write(deliveries.replay, delivery.id, shop.store_id, now)


def test_an_event_and_what_is_owed_of_it_are_written_together_or_not_at_all(shop: Shop) -> None:
    endpoint = add_endpoint(shop)

    def announce_and_fail(tx: Tx) -> None:
        announce(tx, shop.catalogue, EventType.PING, subject="inv_1", store_id=shop.store_id, view={}, now=NOW)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        shop.database.write(announce_and_fail)
    assert owed(shop, endpoint) == []
    assert shop.database.read(outbox.events_of, "inv_1") == []


def test_deliveries_of_one_moment_are_picked_in_the_order_of_their_events(shop: Shop) -> None:
    add_endpoint(shop)
    event_ids = tell(shop, 3)
    later = tell(shop, 1, NOW + SECOND)
    assert picked(shop, NOW + SECOND) == event_ids + later
    assert picked(shop, NOW) == event_ids


def test_what_is_under_way_is_not_picked_again_and_keeps_its_place(shop: Shop) -> None:
    endpoint = add_endpoint(shop)
    event_ids = tell(shop, 6)
    in_flight: dict[str, str] = {}
    for due in shop.database.read(deliveries.due, NOW, in_flight):
        in_flight[due.delivery_id] = due.lane
    assert len(in_flight) == IN_FLIGHT_PER_LANE_MAX
    assert picked(shop, NOW, in_flight) == []
    landed = next(one for one in owed(shop, endpoint) if one.event_id == event_ids[1])
    record(shop, landed, Answered(200))
    del in_flight[landed.id]
    assert picked(shop, NOW, in_flight) == [event_ids[4]]


def test_however_many_endpoints_hang_another_one_always_has_a_place(shop: Shop) -> None:
    crowd = IN_FLIGHT_MAX // IN_FLIGHT_PER_LANE_MAX
    hanging = {f"dlv_{n}": f"whe_{n % crowd}" for n in range(IN_FLIGHT_MAX)}
    first, second = add_endpoint(shop), add_endpoint(shop)
    tell(shop, 3)
    found = shop.database.read(deliveries.due, NOW, hanging)
    assert sorted(one.lane for one in found) == sorted([first.id, second.id])
    crowded = hanging | {one.delivery_id: one.lane for one in found}
    assert picked(shop, NOW, crowded) == []


def test_nothing_of_a_disabled_or_deleted_endpoint_is_picked_or_awaited(shop: Shop) -> None:
    disabled, deleted = add_endpoint(shop), add_endpoint(shop)
    tell(shop)
    shop.database.write(endpoints.delete_endpoint, deleted.id, shop.store_id, NOW)
    shop.database.write(endpoints.disable, shop.catalogue, disabled, "a test", NOW)
    assert picked(shop, NOW) == []
    assert shop.database.read(outbox.next_attempt_after, NOW - SECOND) is None


def test_the_next_moment_awaited_is_the_earliest_that_has_not_come(shop: Shop) -> None:
    first, second = add_endpoint(shop), add_endpoint(shop)
    tell(shop)
    record(shop, only(shop, first), Answered(500), now=NOW)
    record(shop, only(shop, second), Answered(500), now=NOW + SECOND)
    assert shop.database.read(outbox.next_attempt_after, NOW) == NOW + STANDARD.waits[1]
    after = NOW + STANDARD.waits[1]
    assert shop.database.read(outbox.next_attempt_after, after) == after + SECOND


def test_an_accepted_delivery_is_done_and_its_attempt_is_kept(shop: Shop) -> None:
    endpoint = add_endpoint(shop)
    tell(shop)
    delivered = record(shop, only(shop, endpoint), Answered(204), excerpt=b"thanks")
    assert (delivered.state, delivered.next_attempt_at, delivered.attempt_count) == ("delivered", None, 1)
    assert only(shop, endpoint) == delivered
    assert attempts(shop, delivered) == [AttemptRecord(delivered.id, 1, NOW, 204, 12, None, "thanks")]
    assert picked(shop, NOW + timedelta(days=9)) == []


@pytest.mark.parametrize("outcome", [Answered(500), Answered(301), Unreachable(), Forbidden()])
def test_a_delivery_that_is_not_accepted_is_tried_on_the_schedule_then_abandoned(shop: Shop, outcome: Outcome) -> None:
    endpoint, now = add_endpoint(shop), NOW
    tell(shop)
    for wait in STANDARD.waits:
        assert picked(shop, now + wait - timedelta(milliseconds=1)) == []
        now += wait
        assert len(picked(shop, now)) == 1
        record(shop, only(shop, endpoint), outcome, now=now, error="no answer")
    abandoned = only(shop, endpoint)
    assert (abandoned.state, abandoned.next_attempt_at) == ("abandoned", None)
    assert [one.number for one in attempts(shop, abandoned)] == list(range(1, len(STANDARD.waits) + 1))
    assert now - NOW >= timedelta(days=3)


def test_attempts_that_ended_together_are_recorded_in_one_transaction_each_with_its_own_jitter(shop: Shop) -> None:
    endpoint = add_endpoint(shop)
    tell(shop, 2)
    ended = [Attempt(one.id, URL, NOW, 1, Answered(503)) for one in owed(shop, endpoint)]
    jitters = iter([Decimal(0), Decimal("0.5")])
    shop.database.write(deliveries.record_attempts, shop.catalogue, ended, now=NOW, jitter=lambda: next(jitters))
    waits = [one.next_attempt_at - NOW for one in owed(shop, endpoint) if one.next_attempt_at is not None]
    assert sorted(waits) == [timedelta(seconds=5), timedelta(seconds=5.25)]


def test_gone_disables_the_endpoint_once_and_tells_the_others(shop: Shop) -> None:
    gone, other = add_endpoint(shop), add_endpoint(shop)
    tell(shop, 3)
    first, second, _ = owed(shop, gone)
    record(shop, first, Answered(410))
    record(shop, second, Answered(410))
    disabled = shop.database.read(endpoints.load, gone.id)
    assert (disabled.state, disabled.reason) == ("disabled", "The receiver answered 410 Gone.")
    assert {one.state for one in owed(shop, gone)} == {"abandoned"}
    bodies = [shop.database.read(outbox.event, one.event_id) for one in owed(shop, other)]
    types = [json.loads(event.payload)["type"] for event in bodies if event is not None]
    assert sorted(types) == [*["invoice.paid"] * 3, "webhook_endpoint.disabled"]
    assert len(attempts(shop, second)) == 1


def test_an_old_address_that_is_gone_says_nothing_of_the_new_one(shop: Shop) -> None:
    endpoint = add_endpoint(shop)
    tell(shop)
    again = record(shop, only(shop, endpoint), Answered(410), url="https://old.example/")
    assert again.state == "due"
    assert [one.status for one in attempts(shop, again)] == [410]
    assert shop.database.read(endpoints.load, endpoint.id).state == "enabled"


def test_an_attempt_that_ends_after_its_endpoint_was_deleted_is_still_recorded(shop: Shop) -> None:
    failed, accepted = add_endpoint(shop), add_endpoint(shop)
    tell(shop)
    for endpoint in (failed, accepted):
        shop.database.write(endpoints.delete_endpoint, endpoint.id, shop.store_id, NOW)
    assert record(shop, only(shop, failed), Answered(410)).state == "abandoned"
    assert record(shop, only(shop, accepted), Answered(200)).state == "delivered"


@pytest.mark.parametrize("outcome", [Answered(200), Answered(500)])
def test_a_replay_is_due_at_once_with_the_whole_schedule_before_it(shop: Shop, outcome: Outcome) -> None:
    endpoint = add_endpoint(shop)
    [event_id] = tell(shop)
    record(shop, only(shop, endpoint), outcome)
    later = NOW + timedelta(days=30)
    again = replay(shop, only(shop, endpoint), later)
    assert (again.state, again.attempt_count, again.next_attempt_at) == ("due", 0, later)
    assert picked(shop, later) == [event_id]
    record(shop, again, Answered(500), now=later)
    assert [one.number for one in attempts(shop, again)] == [1, 2]
    assert only(shop, endpoint).next_attempt_at == later + STANDARD.waits[1]


def test_a_replay_needs_an_endpoint_that_can_receive(shop: Shop) -> None:
    disabled, deleted = add_endpoint(shop), add_endpoint(shop)
    tell(shop)
    shop.database.write(endpoints.delete_endpoint, deleted.id, shop.store_id, NOW)
    shop.database.write(endpoints.disable, shop.catalogue, disabled, "a test", NOW)
    for endpoint, code in ((disabled, "endpoint_disabled"), (deleted, "endpoint_deleted")):
        with pytest.raises(Conflict) as refused:
            replay(shop, only(shop, endpoint))
        assert refused.value.code == code


def test_another_stores_delivery_looks_like_none(shop: Shop) -> None:
    endpoint = add_endpoint(shop)
    tell(shop)
    for delivery_id, store_id in ((only(shop, endpoint).id, "sto_other"), ("dlv_none", shop.store_id)):
        with pytest.raises(NotFound):
            shop.database.write(deliveries.replay, delivery_id, store_id, NOW)


def test_only_the_newest_attempts_are_kept(shop: Shop) -> None:
    endpoint = add_endpoint(shop)
    tell(shop)
    for _ in range(ATTEMPTS_KEPT_MAX + 5):
        record(shop, replay(shop, only(shop, endpoint)), Answered(500))
    numbers = [one.number for one in attempts(shop, only(shop, endpoint))]
    assert numbers == list(range(6, ATTEMPTS_KEPT_MAX + 6))


def test_what_is_over_is_forgotten_after_a_while_in_parts_and_its_event_stays(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "FORGOTTEN_AT_ONCE_MAX", 2)
    endpoint = add_endpoint(shop)
    event_ids = tell(shop, 4)
    for one in owed(shop, endpoint)[:3]:
        record(shop, one, Answered(200))
    [young] = tell(shop, now=NOW + SECOND)
    record(shop, next(one for one in owed(shop, endpoint) if one.event_id == young), Answered(200))
    then = NOW + KEPT_FOR + timedelta(milliseconds=1)
    assert [shop.database.write(deliveries.forget_old, then) for _ in range(3)] == [2, 1, 0]
    assert sorted(one.state for one in owed(shop, endpoint)) == ["delivered", "due"]
    assert young in {one.event_id for one in owed(shop, endpoint)}
    assert [one.id for one in shop.database.read(outbox.events_of, "inv_1")] == [*event_ids, young]


def test_an_excerpt_is_text_that_is_safe_to_show() -> None:
    assert excerpt_text(b"a\x00b\x1b[31m\xe2\x80\xae\tc\r\nd\xff") == "ab[31m\tc\nd\ufffd"


@given(st.binary(max_size=4 * EXCERPT_BYTES_MAX) | st.text(max_size=2 * EXCERPT_BYTES_MAX).map(str.encode))
def test_any_answer_becomes_a_short_text_without_control_characters(answer: bytes) -> None:
    text = excerpt_text(answer)
    assert len(text.encode()) <= EXCERPT_BYTES_MAX
    assert all(character.isprintable() or character in "\n\t" for character in text)
