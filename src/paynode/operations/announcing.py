"""Events: written in the transaction that makes them true, and owed to all who want them.

These are the endpoints of the store, or of every store where the node itself is concerned, and of an invoice's events
its own callback.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from paynode.domain.events import EventType
from paynode.operations import callbacks
from paynode.operations.catalogue import Catalogue
from paynode.operations.views.shapes import View, moment
from paynode.store import bells, outbox
from paynode.store import callbacks as callback_rows
from paynode.store.callbacks import CallbackRecord
from paynode.store.database import Tx
from paynode.store.ids import new_id
from paynode.store.outbox import DeliveryRecord, EndpointRecord, EventRecord
from paynode.store.records import Body


def announce(
    tx: Tx,
    catalogue: Catalogue,
    kind: EventType,
    *,
    subject: str,
    store_id: str | None,
    view: View | msgspec.Raw,
    now: datetime,
    previous: Mapping[str, Any] | None = None,
    only_endpoint: EndpointRecord | None = None,
) -> str:
    """Write one event with its deliveries; returns its id. `view` is the object as it is after the change."""
    event_id = outbox.new_event_id(tx, now)
    sequence = outbox.next_sequence(tx, subject)
    payload = msgspec.json.encode(
        {
            "id": event_id,
            "type": kind,
            "created_at": moment(now),
            "sequence": sequence,
            "livemode": catalogue.is_live,
            "store": store_id,
            "data": {"object": view, "previous": previous or {}},
        }
    )
    outbox.add_event(tx, EventRecord(event_id, store_id, kind, subject, sequence, Body(payload), now))
    tx.ring(bells.EVENTS)
    tx.ring(bells.about(subject))
    if only_endpoint is not None:
        owe(tx, only_endpoint, event_id, now)
        return event_id
    for endpoint in _endpoints(tx, store_id):
        if wants(endpoint, kind):
            owe(tx, endpoint, event_id, now)
    callback = callback_rows.of_invoice(tx, subject)
    if callback is not None and callback.gone_at is None:
        owe(tx, callback, event_id, now)
    return event_id


def owe(tx: Tx, receiver: EndpointRecord | CallbackRecord, event_id: str, now: datetime) -> None:
    """Make an event due to a receiver."""
    delivery = DeliveryRecord(
        id=new_id("dlv", now),
        store_id=receiver.store_id,
        endpoint_id=receiver.id if isinstance(receiver, EndpointRecord) else None,
        callback_of=receiver.invoice_id if isinstance(receiver, CallbackRecord) else None,
        lane=receiver.id if isinstance(receiver, EndpointRecord) else callbacks.lane(receiver),
        event_id=event_id,
        state="due",
        attempt_count=0,
        next_attempt_at=now,
        created_at=now,
    )
    outbox.add_delivery(tx, delivery)
    tx.ring(bells.DELIVERIES)


def _endpoints(tx: Tx, store_id: str | None) -> list[EndpointRecord]:
    """Who hears of it: the store's endpoints; of what concerns the whole node, every store's."""
    return outbox.all_endpoints(tx) if store_id is None else outbox.endpoints_of(tx, store_id)


def wants(endpoint: EndpointRecord, kind: EventType) -> bool:
    """Whether an endpoint asked for events of this kind: by name, by family (`invoice.*`) or all (`*`)."""
    family = f"{kind.partition('.')[0]}.*"
    return endpoint.state == "enabled" and not {"*", family, str(kind)}.isdisjoint(endpoint.events.split())
