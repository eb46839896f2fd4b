"""Events: what happened, exactly as webhooks tell it."""

from datetime import datetime
from typing import ClassVar

from paynode.api.body import Nothing
from paynode.api.lists import ListView, list_answer
from paynode.api.query import PageQuery
from paynode.api.routes import Call, Routes, answer
from paynode.domain.errors import NotFound
from paynode.domain.events import EventType
from paynode.operations.once import Answer
from paynode.operations.views import webhooks as views
from paynode.operations.views.webhooks import EventView
from paynode.store import outbox
from paynode.store.database import Tx

routes = Routes()


class EventsQuery(PageQuery, frozen=True):
    """Of a list of events."""

    prefix: ClassVar[str] = "evt"


class EventListQuery(EventsQuery, frozen=True):
    type: tuple[EventType, ...] = ()
    subject: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@routes.get("/v1/events", EventListQuery, scope="events:read", shows=ListView[EventView])
def list_all(call: Call[EventListQuery], tx: Tx) -> Answer:
    """List events, the newest first."""
    query = call.form
    found, has_more = outbox.listed_events(
        tx,
        call.store_id,
        query.page,
        types=query.type,
        subject=query.subject,
        created_after=query.created_after,
        created_before=query.created_before,
    )
    return list_answer((views.event(record) for record in found), query.page, has_more=has_more)


@routes.get("/v1/events/<event_id>", scope="events:read", shows=EventView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show an event.

    Those of the node itself are anybody's with a key: every store's endpoints were told.
    """
    record = outbox.event(tx, call.path["event_id"])
    if record is None or (call.store_id is not None and record.store_id not in {None, call.store_id}):
        raise NotFound("event")
    return answer(views.event(record))
