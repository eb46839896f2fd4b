"""Events, the endpoints that hear of them, and how each delivery went."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from paynode.domain.delivery import Status
from paynode.domain.events import EventType
from paynode.domain.signing import SignatureFormat
from paynode.operations.views.shapes import Moment, Url, View, moment, moment_or_none
from paynode.store.callbacks import CallbackSecretRecord
from paynode.store.outbox import AttemptRecord, DeliveryRecord, EndpointRecord, EventRecord


class EventData(View, frozen=True):
    """The object as it was after the change, and those of its fields that changed as they were before."""

    object: Any
    previous: Any


class Told(View, frozen=True):
    """What a webhook carries."""

    id: str
    type: EventType
    created_at: Moment
    sequence: int
    livemode: bool
    store: str | None
    data: EventData


class EventView(Told, frozen=True, tag_field="object", tag="event"):
    """An event as the API lists it: what webhooks carry, and what it is about."""

    subject: str


class EndpointView(View, frozen=True, tag_field="object", tag="webhook_endpoint"):
    """Where a store hears of events; the secret is told once, by the answer that made it."""

    id: str
    store: str
    url: Url
    events: list[str]
    signature_format: SignatureFormat
    state: str
    reason: str | None
    old_secret_expires_at: Moment | None
    created_at: Moment
    secret: str | UnsetType = UNSET


class AttemptView(View, frozen=True):
    at: Moment
    status: int | None
    duration_ms: int
    error: str | None
    response_excerpt: str | None


class DeliveryView(View, frozen=True, tag_field="object", tag="delivery"):
    """One event owed to an endpoint, or to the callback of an invoice."""

    id: str
    event: str
    endpoint: str | None
    callback_of: str | None
    url: Url | None
    state: Status
    attempts: list[AttemptView]
    next_attempt_at: Moment | None
    created_at: Moment


class ReplayView(View, frozen=True, tag_field="object", tag="replay"):
    """What a call to replay a span of time did; where there is more, `next_cursor` says where to go on."""

    endpoint: str
    count: int
    has_more: bool
    next_cursor: str | None


class CallbackSecretView(View, frozen=True, tag_field="object", tag="callback_secret"):
    """What signs the callbacks of a store's invoices; the secret is told once, by the answer that made it."""

    store: str
    old_secret_expires_at: Moment | None
    secret: str | UnsetType = UNSET


def event(record: EventRecord) -> EventView:
    told = _TOLD.decode(record.payload)
    return EventView(
        id=told.id,
        type=told.type,
        created_at=told.created_at,
        sequence=told.sequence,
        livemode=told.livemode,
        store=told.store,
        data=told.data,
        subject=record.subject,
    )


_TOLD = msgspec.json.Decoder(Told)


def told_of(event: EventView) -> Told:
    """What a webhook carries of an event that the API has shown."""
    return Told(**{name: getattr(event, name) for name in Told.__struct_fields__})


def endpoint(record: EndpointRecord, *, with_secret: bool = False) -> EndpointView:
    return EndpointView(
        id=record.id,
        store=record.store_id,
        url=record.url,
        events=record.events.split(),
        signature_format=record.signature_format,
        state=record.state,
        reason=record.reason,
        old_secret_expires_at=moment_or_none(record.old_secret_expires_at),
        created_at=moment(record.created_at),
        secret=record.secret if with_secret else UNSET,
    )


def delivery(record: DeliveryRecord, url: str | None, attempts: Sequence[AttemptRecord]) -> DeliveryView:
    return DeliveryView(
        id=record.id,
        event=record.event_id,
        endpoint=record.endpoint_id,
        callback_of=record.callback_of,
        url=url,
        state=Status(record.state),
        attempts=[
            AttemptView(
                at=moment(attempt.at),
                status=attempt.status,
                duration_ms=attempt.duration_ms,
                error=attempt.error,
                response_excerpt=attempt.response_excerpt,
            )
            for attempt in attempts
        ],
        next_attempt_at=moment_or_none(record.next_attempt_at),
        created_at=moment(record.created_at),
    )


def callback_secret(record: CallbackSecretRecord, *, with_secret: bool = False) -> CallbackSecretView:
    return CallbackSecretView(
        store=record.store_id,
        old_secret_expires_at=moment_or_none(record.old_secret_expires_at),
        secret=record.secret if with_secret else UNSET,
    )
