"""Events: what happened, exactly as webhooks tell it, in lists and as it happens."""

from datetime import datetime
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from paynode.api.body import Nothing
from paynode.api.lists import ListView, page_answer
from paynode.api.parameters import OWN_ID
from paynode.api.query import PageQuery, QueryForm
from paynode.api.routes import Call, Routes, answer
from paynode.api.streams import Look, Message, News
from paynode.domain.errors import Invalid, NotFound
from paynode.domain.events import EventType
from paynode.operations.once import Answer
from paynode.operations.views import webhooks as views
from paynode.operations.views.webhooks import EventView
from paynode.store import bells, outbox
from paynode.store.database import Tx
from paynode.store.ids import is_id

routes = Routes()

EVENTS_AT_ONCE = 50  # read for a stream in one transaction; some 200 KB


class EventsQuery(PageQuery, frozen=True):
    """Of a list of events."""

    prefix: ClassVar[str] = "evt"


class EventListQuery(EventsQuery, frozen=True):
    type: tuple[EventType, ...] = ()
    subject: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@routes.get("/v1/events", EventListQuery, scope="events:read", shows=ListView[EventView], is_long=True)
def list_all(call: Call[EventListQuery], tx: Tx) -> Answer:
    """List events, the newest first."""
    query = call.form
    found = outbox.listed_events(
        tx,
        call.store_id,
        query.page,
        types=query.type,
        subject=query.subject,
        created_after=query.created_after,
        created_before=query.created_before,
    )
    return page_answer(found.map(views.event))


class EventStreamQuery(QueryForm, frozen=True):
    """Which events to follow."""

    prefix: ClassVar[str] = "evt"
    type: tuple[EventType, ...] = ()
    subject: str | None = None
    starting_after: Annotated[
        str | None, OWN_ID, Meta(description="Begin behind this event; `Last-Event-ID` says the same, and wins.")
    ] = None


@routes.stream("/v1/events/stream", EventStreamQuery, scope="events:read", shows=EventView)
def follow(call: Call[EventStreamQuery], tx: Tx, last_event_id: str | None) -> Look:
    """Follow events as they happen, without a gap and without a repeat.

    Server-sent events: a message's `event` is the type, its `id` the event's, its `data` the event. Who comes back with
    `Last-Event-ID` goes on behind that event; without it the stream begins now. It ends when the key is revoked.
    """
    if last_event_id is not None and not is_id(last_event_id, "evt"):
        raise Invalid.field("Last-Event-ID", "not_an_id", "Give the id of an event, such as evt_...")
    cursor = last_event_id or call.form.starting_after or outbox.last_event_id(tx)
    return _Follower(call.store_id, call.form, cursor).look


class _Follower:
    """A place in the list of events."""

    def __init__(self, store_id: str | None, wanted: EventStreamQuery, cursor: str) -> None:
        self._store_id = store_id
        self._wanted = wanted
        self._cursor = cursor

    def look(self, tx: Tx, _now: datetime) -> News:
        """What happened since, and where the next look goes on."""
        found = outbox.events_after(tx, self._store_id, self._cursor, limit=EVENTS_AT_ONCE)
        if found:
            self._cursor = found[-1].id
        messages = [
            Message(record.type, msgspec.json.encode(views.event(record)), record.id)
            for record in found
            if (not self._wanted.type or record.type in self._wanted.type)
            and self._wanted.subject in {None, record.subject}
        ]
        return News(messages, [bells.EVENTS], has_more=len(found) == EVENTS_AT_ONCE)


@routes.get("/v1/events/<event_id>", scope="events:read", shows=EventView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show an event.

    Those of the node itself are anybody's with a key: every store's endpoints were told.
    """
    record = outbox.event(tx, call.path["event_id"])
    if record is None or (call.store_id is not None and record.store_id not in {None, call.store_id}):
        raise NotFound("event")
    return answer(views.event(record))
