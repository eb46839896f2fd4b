"""Events: written in the transaction that makes them true, and owed to every endpoint that wants them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from paynode.domain.events import EventType
from paynode.operations.catalogue import Catalogue
from paynode.operations.views.shapes import View, moment
from paynode.store import bells, outbox
from paynode.store.database import Tx
from paynode.store.ids import new_id
from paynode.store.outbox import DeliveryRecord, EndpointRecord, EventRecord


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
    outbox.add_event(tx, EventRecord(event_id, store_id, kind, subject, sequence, payload, now))
    for endpoint in _endpoints(tx, store_id) if only_endpoint is None else [only_endpoint]:
        if only_endpoint is not None or wants(endpoint, kind):
            delivery = DeliveryRecord(new_id("dlv", now), endpoint.store_id, endpoint.id, event_id, "due", 0, now, now)
            outbox.add_delivery(tx, delivery)
            tx.ring(bells.DELIVERIES)
    return event_id


def _endpoints(tx: Tx, store_id: str | None) -> list[EndpointRecord]:
    """Who hears of it: the store's endpoints; of what concerns the whole node, every store's."""
    return outbox.all_endpoints(tx) if store_id is None else outbox.endpoints_of(tx, store_id)


def wants(endpoint: EndpointRecord, kind: EventType) -> bool:
    """Whether an endpoint asked for events of this kind: by name, by family (`invoice.*`) or all (`*`)."""
    family = f"{kind.partition('.')[0]}.*"
    return endpoint.state == "enabled" and not {"*", family, str(kind)}.isdisjoint(endpoint.events.split())
