"""Webhook endpoints: where a store hears of events."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from paynode.api.body import Form, Nothing
from paynode.api.lists import ListView, list_answer
from paynode.api.routes import NO_CONTENT, Call, Routes, answer
from paynode.domain.errors import Invalid
from paynode.domain.signing import SignatureFormat
from paynode.operations import endpoints, replaying
from paynode.operations.once import Answer
from paynode.operations.views import webhooks as views
from paynode.operations.views.webhooks import EndpointView, EventView, ReplayView
from paynode.store import outbox
from paynode.store.database import Tx
from paynode.store.ids import is_id
from paynode.store.outbox import EndpointRecord

routes = Routes()

Url = Annotated[str, Meta(max_length=2048)]
Patterns = Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=100)]

SecretText = Annotated[str, Meta(min_length=1, max_length=200)]
Moment = Annotated[datetime, Meta(tz=True)]


class EndpointForm(Form, frozen=True):
    url: Url
    events: Patterns | None = None  # all
    secret: SecretText | None = None
    signature_format: SignatureFormat = SignatureFormat.STANDARD
    store: Annotated[str, Meta(max_length=30)] | None = None


class RotationForm(Form, frozen=True):
    secret: SecretText | None = None


class ReplayForm(Form, frozen=True):
    created_after: Moment
    created_before: Moment | None = None  # now
    only_failed: bool = False
    starting_after: Annotated[str, Meta(max_length=30)] | None = None


class EndpointChange(Form, frozen=True):
    url: Url | None = None
    events: Patterns | None = None
    signature_format: SignatureFormat | None = None
    state: Annotated[str, Meta(max_length=20)] | None = None


@routes.post(
    "/v1/webhook_endpoints",
    EndpointForm,
    scope="webhooks:write",
    shows=EndpointView,
    status=201,
    refuses=("too_many_endpoints",),
)
def create(call: Call[EndpointForm], tx: Tx) -> Answer:
    """Make an endpoint. The answer shows its secret; a replay of it does not."""
    node, form = call.node, call.form
    record = endpoints.create_endpoint(
        tx,
        call.owner(form.store),
        url=form.url,
        events=["*"] if form.events is None else form.events,
        secret=form.secret,
        signature_format=form.signature_format,
        now=call.now,
        check=node.check_outbound,
    )
    return _with_secret(record, 201)


@routes.get("/v1/webhook_endpoints", scope="webhooks:read", shows=ListView[EndpointView])
def list_all(call: Call[Nothing], tx: Tx) -> Answer:
    """List the endpoints, all at once: a store has few."""
    found = outbox.all_endpoints(tx) if call.store_id is None else outbox.endpoints_of(tx, call.store_id)
    return list_answer(views.endpoint(record) for record in found)


@routes.get("/v1/webhook_endpoints/<endpoint_id>", scope="webhooks:read", shows=EndpointView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show an endpoint."""
    return answer(views.endpoint(endpoints.load(tx, call.path["endpoint_id"], call.store_id)))


@routes.patch("/v1/webhook_endpoints/<endpoint_id>", EndpointChange, scope="webhooks:write", shows=EndpointView)
def change(call: Call[EndpointChange], tx: Tx) -> Answer:
    """Change an endpoint: its URL, its events, how it is signed, whether it is enabled."""
    node, form = call.node, call.form
    record = endpoints.update_endpoint(
        tx,
        node.catalogue,
        call.path["endpoint_id"],
        call.store_id,
        url=form.url,
        events=form.events,
        state=form.state,
        signature_format=form.signature_format,
        now=call.now,
        check=node.check_outbound,
    )
    return answer(views.endpoint(record))


@routes.delete("/v1/webhook_endpoints/<endpoint_id>", scope="webhooks:write", shows=None, status=204)
def delete(call: Call[Nothing], tx: Tx) -> Answer:
    """Remove an endpoint; what is due to it is abandoned."""
    endpoints.delete_endpoint(tx, call.path["endpoint_id"], call.store_id, call.now)
    return NO_CONTENT


@routes.post(
    "/v1/webhook_endpoints/<endpoint_id>/rotate_secret", RotationForm, scope="webhooks:write", shows=EndpointView
)
def rotate_secret(call: Call[RotationForm], tx: Tx) -> Answer:
    """Give an endpoint a new secret. The answer shows it; a replay of it does not."""
    record = endpoints.rotate_secret(tx, call.path["endpoint_id"], call.store_id, secret=call.form.secret, now=call.now)
    return _with_secret(record, 200)


@routes.post("/v1/webhook_endpoints/<endpoint_id>/enable", Nothing, scope="webhooks:write", shows=EndpointView)
def enable(call: Call[Nothing], tx: Tx) -> Answer:
    """Enable an endpoint that was disabled. It hears of what happens from now on; replay what it missed."""
    return answer(views.endpoint(endpoints.enable(tx, call.path["endpoint_id"], call.store_id)))


@routes.post(
    "/v1/webhook_endpoints/<endpoint_id>/replay",
    ReplayForm,
    scope="webhooks:write",
    shows=ReplayView,
    refuses=("endpoint_disabled",),
)
def replay(call: Call[ReplayForm], tx: Tx) -> Answer:
    """Send an endpoint again what happened in a span of time.

    One call looks at a thousand events at most: with `has_more`, ask again with `starting_after` = `next_cursor`.
    """
    form = call.form
    if form.starting_after is not None and not is_id(form.starting_after, "evt"):
        raise Invalid.field("/starting_after", "not_an_id", "Give the `next_cursor` of the answer before.")
    done = replaying.replay_span(
        tx,
        call.path["endpoint_id"],
        call.store_id,
        created_after=form.created_after,
        created_before=form.created_before or call.now,
        starting_after=form.starting_after,
        only_failed=form.only_failed,
        now=call.now,
    )
    return answer(
        ReplayView(endpoint=done.endpoint_id, count=done.count, has_more=done.has_more, next_cursor=done.next_cursor)
    )


@routes.post(
    "/v1/webhook_endpoints/<endpoint_id>/ping",
    Nothing,
    scope="webhooks:write",
    shows=EventView,
    status=201,
    refuses=("endpoint_disabled",),
)
def ping(call: Call[Nothing], tx: Tx) -> Answer:
    """Send a `ping`. Answers with its event; the delivery is seen under /v1/deliveries."""
    event_id = endpoints.ping(tx, call.node.catalogue, call.path["endpoint_id"], call.store_id, call.now)
    record = outbox.event(tx, event_id)
    assert record is not None, "it was just written"
    return answer(views.event(record), 201)


def _with_secret(record: EndpointRecord, status: int) -> Answer:
    told, kept = answer(views.endpoint(record, with_secret=True), status), answer(views.endpoint(record))
    return Answer(told.status, told.body, kept_body=kept.body)
