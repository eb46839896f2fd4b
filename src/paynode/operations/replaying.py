"""Sending an endpoint again what happened in a span of time, in the order in which it happened."""

from dataclasses import dataclass
from datetime import datetime

from paynode.domain.delivery import Status
from paynode.domain.events import EventType
from paynode.operations import deliveries, endpoints
from paynode.operations.announcing import owe, wants
from paynode.store import outbox
from paynode.store.database import Tx
from paynode.store.outbox import Told

EVENTS_MAX = 1000  # looked at by one call; it says where to go on


@dataclass(frozen=True, slots=True)
class Replay:
    endpoint_id: str
    count: int  # of the deliveries that were made due
    has_more: bool
    next_cursor: str | None  # the last event that was looked at


def replay_span(
    tx: Tx,
    endpoint_id: str,
    store_id: str | None,
    *,
    created_after: datetime,
    created_before: datetime,
    starting_after: str | None,
    only_failed: bool,
    now: datetime,
) -> Replay:
    """Make due what the endpoint wants of the events between these moments, whether it was told then or not.

    `only_failed` leaves out what it took. What is due already stays as it is. `starting_after` goes on behind an event.

    Raises:
        NotFound: no such endpoint of this store.
        Conflict: it is disabled.
    """
    endpoint = endpoints.load(tx, endpoint_id, store_id)
    endpoints.require_enabled(endpoint)
    found = outbox.told_between(tx, endpoint, created_after, created_before, starting_after, limit=EVENTS_MAX + 1)
    looked_at, count = found[:EVENTS_MAX], 0
    for told in looked_at:
        if not _is_to_send(told, only_failed):
            continue
        if told.delivery_id is not None:
            deliveries.replay_now(tx, deliveries.load(tx, told.delivery_id, None), now)
        elif told.type != EventType.PING and wants(endpoint, EventType(told.type)):
            owe(tx, endpoint, told.event_id, now)
        else:
            continue
        count += 1
    has_more = len(found) > EVENTS_MAX
    return Replay(endpoint.id, count, has_more, looked_at[-1].event_id if has_more else None)


def _is_to_send(told: Told, only_failed: bool) -> bool:
    if told.state == Status.DUE:
        return False
    return not (only_failed and told.state == Status.DELIVERED)
