"""Deliveries: what was sent to webhook endpoints and to invoices' callbacks, how it went, and sending it again."""

from typing import Annotated, ClassVar

from paynode.api.body import Nothing
from paynode.api.lists import ListView, page_answer
from paynode.api.parameters import IdOf
from paynode.api.query import PageQuery
from paynode.api.routes import Call, Routes, answer
from paynode.domain.delivery import Status
from paynode.domain.events import EventType
from paynode.operations import deliveries
from paynode.operations.once import Answer
from paynode.operations.receivers import receiver_of
from paynode.operations.views import webhooks as views
from paynode.operations.views.webhooks import DeliveryView
from paynode.store import outbox
from paynode.store.database import Tx
from paynode.store.outbox import DeliveryRecord

routes = Routes()


class DeliveriesQuery(PageQuery, frozen=True):
    """Of a list of deliveries."""

    prefix: ClassVar[str] = "dlv"


class DeliveryListQuery(DeliveriesQuery, frozen=True):
    state: tuple[Status, ...] = ()
    event: Annotated[str, IdOf("evt")] | None = None
    type: tuple[EventType, ...] = ()
    endpoint: Annotated[str, IdOf("whe")] | None = None
    invoice: Annotated[str, IdOf("inv")] | None = None


@routes.get("/v1/deliveries", DeliveryListQuery, scope="webhooks:read", shows=ListView[DeliveryView], is_long=True)
def list_all(call: Call[DeliveryListQuery], tx: Tx) -> Answer:
    """List what was sent to webhook endpoints and callbacks."""
    query = call.form
    found = outbox.listed_deliveries(
        tx,
        call.store_id,
        query.page,
        states=query.state,
        event_id=query.event,
        types=query.type,
        endpoint_id=query.endpoint,
        subject=query.invoice,
    )
    return page_answer(found.map(lambda record: delivery_view(tx, record)))


@routes.get("/v1/deliveries/<delivery_id>", scope="webhooks:read", shows=DeliveryView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show a delivery with its attempts."""
    return answer(delivery_view(tx, deliveries.load(tx, call.path["delivery_id"], call.store_id)))


@routes.post(
    "/v1/deliveries/<delivery_id>/replay",
    Nothing,
    scope="webhooks:write",
    shows=DeliveryView,
    refuses=("endpoint_deleted", "endpoint_disabled"),
)
def replay(call: Call[Nothing], tx: Tx) -> Answer:
    """Send a delivery again, now."""
    record = deliveries.replay(tx, call.path["delivery_id"], call.store_id, call.now)
    return answer(delivery_view(tx, record))


def delivery_view(tx: Tx, record: DeliveryRecord) -> DeliveryView:
    """A delivery with its receiver's URL and its attempts."""
    receiver = receiver_of(tx, record)
    return views.delivery(record, None if receiver is None else receiver.url, outbox.attempts(tx, record.id))
