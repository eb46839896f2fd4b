"""Events, the endpoints that want them, and what is owed to each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from paynode.store.database import Tx, Value
from paynode.store.ids import next_id
from paynode.store.pages import Page, select_page
from paynode.store.records import Columns
from paynode.store.times import optional_from_ms, to_ms


@dataclass(frozen=True, slots=True)
class EventRecord:
    id: str
    store_id: str | None
    type: str
    subject: str
    sequence: int
    payload: bytes  # the body that webhooks carry
    created_at: datetime


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    id: str
    store_id: str
    url: str
    events: str  # space separated patterns
    secret: str
    state: str
    reason: str | None
    created_at: datetime
    deleted_at: datetime | None = None
    old_secret: str | None = None
    old_secret_expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    id: str
    store_id: str
    endpoint_id: str
    event_id: str
    state: str
    attempt_count: int
    next_attempt_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    delivery_id: str
    number: int
    at: datetime
    status: int | None
    duration_ms: int
    error: str | None
    response_excerpt: str | None


@dataclass(frozen=True, slots=True)
class DueDelivery:
    """All that one attempt needs."""

    delivery: DeliveryRecord
    endpoint: EndpointRecord
    payload: bytes


EVENT = Columns(EventRecord)
ENDPOINT = Columns(EndpointRecord)
DELIVERY = Columns(DeliveryRecord)
ATTEMPT = Columns(AttemptRecord)


# Events


def add_event(tx: Tx, record: EventRecord) -> None:
    tx.run(EVENT.insert("events"), EVENT.encode(record))


def new_event_id(tx: Tx, now: datetime) -> str:
    """An identifier after every other event's, so that lists are in the order in which things happened."""
    row = tx.row("select max(id) from events")
    return next_id("evt", now, None if row is None else row[0])


def next_sequence(tx: Tx, subject: str) -> int:
    """The number of the next event about a subject, from 1."""
    row = tx.row("select coalesce(max(sequence), 0) + 1 from events where subject = ?", (subject,))
    assert row is not None, "an aggregate always answers"
    return int(row[0])


def event(tx: Tx, event_id: str) -> EventRecord | None:
    row = tx.row(f"select {EVENT.sql} from events where id = ?", (event_id,))
    return None if row is None else EVENT.decode(row)


def events_of(tx: Tx, subject: str) -> list[EventRecord]:
    """Every event about one subject, in order."""
    found = tx.rows(f"select {EVENT.sql} from events where subject = ? order by sequence", (subject,))
    return [EVENT.decode(row) for row in found]


def listed_events(
    tx: Tx, store_id: str | None, page: Page, *, types: Sequence[str] = (), subject: str | None = None
) -> tuple[list[EventRecord], bool]:
    where = ["1"]
    values: dict[str, Value] = {}
    if store_id is not None:
        where.append("store_id = :store_id")
        values["store_id"] = store_id
    if subject is not None:
        where.append("subject = :subject")
        values["subject"] = subject
    if types:
        where.append(f"type in ({', '.join(f':type{n}' for n in range(len(types)))})")
        values |= {f"type{n}": kind for n, kind in enumerate(types)}
    rows, has_more = select_page(tx, f"select {EVENT.sql} from events", where, values, page)
    return [EVENT.decode(row) for row in rows], has_more


# Endpoints


def add_endpoint(tx: Tx, record: EndpointRecord) -> None:
    tx.run(ENDPOINT.insert("webhook_endpoints"), ENDPOINT.encode(record))


def save_endpoint(tx: Tx, record: EndpointRecord) -> None:
    tx.run(ENDPOINT.update("webhook_endpoints", "id"), ENDPOINT.encode(record))


def endpoint(tx: Tx, endpoint_id: str) -> EndpointRecord | None:
    """An endpoint that is not deleted."""
    row = tx.row(f"select {ENDPOINT.sql} from webhook_endpoints where id = ? and deleted_at is null", (endpoint_id,))
    return None if row is None else ENDPOINT.decode(row)


def endpoints_of(tx: Tx, store_id: str) -> list[EndpointRecord]:
    found = tx.rows(
        f"select {ENDPOINT.sql} from webhook_endpoints where store_id = ? and deleted_at is null order by id",
        (store_id,),
    )
    return [ENDPOINT.decode(row) for row in found]


def all_endpoints(tx: Tx) -> list[EndpointRecord]:
    found = tx.rows(f"select {ENDPOINT.sql} from webhook_endpoints where deleted_at is null order by id")
    return [ENDPOINT.decode(row) for row in found]


# Deliveries


def add_delivery(tx: Tx, record: DeliveryRecord) -> None:
    tx.run(DELIVERY.insert("deliveries"), DELIVERY.encode(record))


def save_delivery(tx: Tx, record: DeliveryRecord) -> None:
    tx.run(DELIVERY.update("deliveries", "id"), DELIVERY.encode(record))


def delivery(tx: Tx, delivery_id: str) -> DeliveryRecord | None:
    row = tx.row(f"select {DELIVERY.sql} from deliveries where id = ?", (delivery_id,))
    return None if row is None else DELIVERY.decode(row)


def due_endpoints(tx: Tx, now: datetime) -> list[EndpointRecord]:
    """The enabled endpoints that a delivery is due to."""
    found = tx.rows(
        f"select {ENDPOINT.of('e')} from webhook_endpoints e where e.state = 'enabled' and e.deleted_at is null "
        "and exists (select 1 from deliveries d "
        "where d.endpoint_id = e.id and d.state = 'due' and d.next_attempt_at <= ?) order by e.id",
        (to_ms(now),),
    )
    return [ENDPOINT.decode(row) for row in found]


def due_deliveries(tx: Tx, endpoint: EndpointRecord, now: datetime, *, limit: int) -> list[DueDelivery]:
    """An endpoint's deliveries whose time has come, in the order it came; of the same time, as they were written."""
    found = tx.rows(
        f"select {DELIVERY.of('d')}, v.payload from deliveries d join events v on v.id = d.event_id "
        "where d.endpoint_id = ? and d.state = 'due' and d.next_attempt_at <= ? "
        "order by d.next_attempt_at, d.rowid limit ?",
        (endpoint.id, to_ms(now), limit),
    )
    return [DueDelivery(DELIVERY.decode(row[:-1]), endpoint, bytes(row[-1])) for row in found]


def next_attempt_after(tx: Tx, now: datetime) -> datetime | None:
    """When the next delivery that is not due yet becomes due."""
    row = tx.row(
        "select min((select min(d.next_attempt_at) from deliveries d "
        "where d.endpoint_id = e.id and d.state = 'due' and d.next_attempt_at > ?)) "
        "from webhook_endpoints e where e.state = 'enabled' and e.deleted_at is null",
        (to_ms(now),),
    )
    assert row is not None, "an aggregate always answers"
    return optional_from_ms(row[0])


def bring_forward(tx: Tx, by: timedelta) -> None:
    """Make every delivery due so much earlier."""
    tx.run(
        "update deliveries set next_attempt_at = next_attempt_at - ? where state = 'due'",
        (by // timedelta(milliseconds=1),),
    )


def abandon_deliveries(tx: Tx, endpoint_id: str) -> int:
    """`domain.delivery.abandon` for all of an endpoint's; returns how many were due."""
    return tx.run(
        "update deliveries set state = 'abandoned', next_attempt_at = null where endpoint_id = ? and state = 'due'",
        (endpoint_id,),
    )


def next_attempt_number(tx: Tx, delivery_id: str) -> int:
    """The number of a delivery's next attempt, from 1; replays count on."""
    row = tx.row("select coalesce(max(number), 0) + 1 from delivery_attempts where delivery_id = ?", (delivery_id,))
    assert row is not None, "an aggregate always answers"
    return int(row[0])


def forget_attempts(tx: Tx, delivery_id: str, number: int) -> None:
    """Remove a delivery's attempts up to and with `number`."""
    tx.run("delete from delivery_attempts where delivery_id = ? and number <= ?", (delivery_id, number))


def add_attempt(tx: Tx, record: AttemptRecord) -> None:
    tx.run(ATTEMPT.insert("delivery_attempts"), ATTEMPT.encode(record))


def attempts(tx: Tx, delivery_id: str) -> list[AttemptRecord]:
    found = tx.rows(
        f"select {ATTEMPT.sql} from delivery_attempts where delivery_id = ? order by number", (delivery_id,)
    )
    return [ATTEMPT.decode(row) for row in found]


def listed_deliveries(
    tx: Tx,
    store_id: str | None,
    page: Page,
    *,
    states: Sequence[str] = (),
    event_id: str | None = None,
    endpoint_id: str | None = None,
    subject: str | None = None,
) -> tuple[list[DeliveryRecord], bool]:
    where = ["1"]
    values: dict[str, Value] = {}
    for name, value in (("store_id", store_id), ("event_id", event_id), ("endpoint_id", endpoint_id)):
        if value is not None:
            where.append(f"{name} = :{name}")
            values[name] = value
    if subject is not None:
        where.append("event_id in (select id from events where subject = :subject)")
        values["subject"] = subject
    if states:
        where.append(f"state in ({', '.join(f':state{n}' for n in range(len(states)))})")
        values |= {f"state{n}": state for n, state in enumerate(states)}
    rows, has_more = select_page(tx, f"select {DELIVERY.sql} from deliveries", where, values, page)
    return [DELIVERY.decode(row) for row in rows], has_more
