"""Events, the endpoints that want them, and what is owed to each of these and to invoices' callbacks."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from paynode.domain.signing import SignatureFormat
from paynode.store.database import Tx, Value
from paynode.store.ids import first_id, last_id, next_id
from paynode.store.packing import unpacked
from paynode.store.pages import Conditions, Found, Page, walk_page
from paynode.store.records import Body, Columns
from paynode.store.times import optional_from_ms, to_ms


@dataclass(frozen=True, slots=True)
class EventRecord:
    id: str
    store_id: str | None
    type: str
    subject: str
    sequence: int
    payload: Body  # what webhooks carry
    created_at: datetime


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    id: str
    store_id: str
    url: str
    events: str  # space separated patterns
    secret: str = field(repr=False)
    state: str
    reason: str | None
    created_at: datetime
    deleted_at: datetime | None = None
    old_secret: str | None = field(default=None, repr=False)
    old_secret_expires_at: datetime | None = None
    signature_format: SignatureFormat = SignatureFormat.STANDARD


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    id: str
    store_id: str
    endpoint_id: str | None  # None: the callback of an invoice
    callback_of: str | None
    lane: str  # the deliveries of one lane share its places
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
    """A delivery whose time has come, and its event's body."""

    delivery: DeliveryRecord
    payload: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and how one endpoint was told of it, if it was."""

    event_id: str
    type: str
    delivery_id: str | None
    state: str | None


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


def last_event_id(tx: Tx) -> str:
    """The newest event's id, '' if there is none."""
    row = tx.row("select max(id) from events")
    return "" if row is None or row[0] is None else str(row[0])


def events_after(tx: Tx, store_id: str | None, cursor: str, *, limit: int) -> list[EventRecord]:
    """What happened after an event, in order, to a store and to the node, or with None to anybody."""
    part = f"select {EVENT.sql} from events where id > :cursor {{}} order by id limit :limit"
    sql = part.format("")
    if store_id is not None:
        of_store, of_node = part.format("and store_id = :store_id"), part.format("and store_id is null")
        sql = f"select * from ({of_store}) union all select * from ({of_node}) order by id limit :limit"
    values: dict[str, Value] = {"cursor": cursor, "store_id": store_id, "limit": limit}
    return [EVENT.decode(row) for row in tx.rows(sql, values)]


def next_sequence(tx: Tx, subject: str) -> int:
    """The number of the next event about a subject, from 1."""
    row = tx.row("select coalesce(max(sequence), 0) + 1 from events where subject = ?", (subject,))
    assert row is not None, "an aggregate always answers"
    return int(row[0])


def event(tx: Tx, event_id: str) -> EventRecord | None:
    row = tx.row(f"select {EVENT.sql} from events where id = ?", (event_id,))
    return None if row is None else EVENT.decode(row)


def newest_type(tx: Tx, subject: str) -> str | None:
    """What was announced last about a subject."""
    row = tx.row("select type from events where subject = ? order by sequence desc limit 1", (subject,))
    return None if row is None else str(row[0])


def events_of(tx: Tx, subject: str) -> list[EventRecord]:
    """Every event about one subject, in order."""
    found = tx.rows(f"select {EVENT.sql} from events where subject = ? order by sequence", (subject,))
    return [EVENT.decode(row) for row in found]


def listed_events(
    tx: Tx,
    store_id: str | None,
    page: Page,
    *,
    types: Sequence[str] = (),
    subject: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
) -> Found[EventRecord]:
    """One page of what happened to a store and to the node, or with None to anybody."""
    source, found = "events e", Conditions()
    found.seek_made("e.id", "evt", created_after, created_before)
    if store_id is not None:
        found.values["store_id"] = store_id
    if subject is not None:  # has few events
        found.seek("e.subject = :subject", subject=subject)
        if store_id is not None:
            found.check("(e.store_id = :store_id or e.store_id is null)")
    elif store_id is not None:  # two walks through the index, merged
        every = "select * from events where store_id"
        source = f"({every} = :store_id union all {every} is null) e"
    found.check_any("e.type", types or None)
    return walk_page(tx, EVENT.of("e"), source, found, page, key="e.id").map(EVENT.decode)


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


# Each lane with something due, now or later: one step in the index for each, however much is due to it.
_LANES = (
    "with recursive lanes (lane) as (select min(lane) from deliveries where state = 'due' union all "
    "select (select min(d.lane) from deliveries d where d.state = 'due' and d.lane > lanes.lane) from lanes "
    "where lanes.lane is not null) "
)


def due_lanes(tx: Tx, now: datetime) -> list[str]:
    """The lanes in which a delivery is due, the longest waiting first."""
    found = tx.rows(
        f"{_LANES} select l.lane, (select min(d.next_attempt_at) from deliveries d "
        "where d.lane = l.lane and d.state = 'due') as since "
        "from lanes l where l.lane is not null and since <= ? order by since, l.lane",
        (to_ms(now),),
    )
    return [lane for lane, _ in found]


def due_deliveries(tx: Tx, lane: str, now: datetime, *, limit: int) -> list[DueDelivery]:
    """A lane's deliveries whose time has come, in the order it came; of the same time, as their events happened."""
    found = tx.rows(
        f"select {DELIVERY.of('d')}, v.payload from deliveries d join events v on v.id = d.event_id "
        "where d.lane = ? and d.state = 'due' and d.next_attempt_at <= ? "
        "order by d.next_attempt_at, d.event_id limit ?",
        (lane, to_ms(now), limit),
    )
    return [DueDelivery(DELIVERY.decode(row[:-1]), unpacked(row[-1])) for row in found]


def next_attempt_after(tx: Tx, now: datetime) -> datetime | None:
    """When the next delivery that is not due yet becomes due."""
    row = tx.row(
        f"{_LANES} select min((select min(d.next_attempt_at) from deliveries d "
        "where d.lane = l.lane and d.state = 'due' and d.next_attempt_at > ?)) "
        "from lanes l where l.lane is not null",
        (to_ms(now),),
    )
    assert row is not None, "an aggregate always answers"
    return optional_from_ms(row[0])


def told_between(
    tx: Tx, endpoint: EndpointRecord, after: datetime, before: datetime, cursor: str | None, *, limit: int
) -> list[Told]:
    """The events of the endpoint's store and of the node between two moments, in order, past the event `cursor`."""
    part = "select id, type from events where store_id {} and id > :low and id > :cursor and id < :high "
    part += "order by id limit :limit"
    found = tx.rows(
        f"select e.id, e.type, d.id, d.state from (select * from ({part.format('= :store_id')}) "
        f"union all select * from ({part.format('is null')}) order by id limit :limit) e "
        "left join deliveries d on d.endpoint_id = :endpoint_id and d.event_id = e.id order by e.id",
        {
            "low": last_id("evt", after),
            "cursor": cursor or "",
            "high": first_id("evt", before),
            "store_id": endpoint.store_id,
            "endpoint_id": endpoint.id,
            "limit": limit,
        },
    )
    return [Told(*row) for row in found]


def bring_forward(tx: Tx, by: timedelta) -> None:
    """Make every delivery due so much earlier."""
    tx.run(
        "update deliveries set next_attempt_at = next_attempt_at - ? where state = 'due'",
        (by // timedelta(milliseconds=1),),
    )


def abandon_deliveries(tx: Tx, endpoint_id: str) -> None:
    """`domain.delivery.abandon` for all of an endpoint's."""
    tx.run(
        "update deliveries set state = 'abandoned', next_attempt_at = null where lane = ? and state = 'due'",
        (endpoint_id,),
    )


def abandon_callbacks(tx: Tx, lane: str, invoice_id: str) -> None:
    """`domain.delivery.abandon` for all of an invoice's callback."""
    tx.run(
        "update deliveries set state = 'abandoned', next_attempt_at = null "
        "where lane = ? and callback_of = ? and state = 'due'",
        (lane, invoice_id),
    )


def forget_deliveries(tx: Tx, before: datetime, *, limit: int) -> int:
    """Drop deliveries, with their attempts, that were made before and are over; returns how many."""
    found = tx.rows(
        "select id from deliveries where id < ? and state <> 'due' order by id limit ?",
        (first_id("dlv", before), limit),
    )
    tx.run_many("delete from delivery_attempts where delivery_id = ?", found)
    tx.run_many("delete from deliveries where id = ?", found)
    return len(found)


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
    types: Sequence[str] = (),
    subject: str | None = None,
) -> Found[DeliveryRecord]:
    """One page of what was sent, or is to be."""
    found = Conditions()
    if event_id is not None:
        found.seek("d.event_id = :event_id", event_id=event_id)
    if subject is not None:
        found.seek("d.event_id in (select id from events where subject = :subject)", subject=subject)
    if store_id is not None and event_id is None and subject is None:
        found.seek("d.store_id = :store_id", store_id=store_id)
    elif store_id is not None:
        found.check("d.store_id = :store_id", store_id=store_id)
    if endpoint_id is not None:
        found.check("d.endpoint_id = :endpoint_id", endpoint_id=endpoint_id)
    if types:
        wanted = "select value from json_each(:types)"
        found.check(
            f"exists (select 1 from events v where v.id = d.event_id and v.type in ({wanted}))", types=json.dumps(types)
        )
    found.check_any("d.state", states or None)
    return walk_page(tx, DELIVERY.of("d"), "deliveries d", found, page, key="d.id").map(DELIVERY.decode)
