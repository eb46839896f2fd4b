"""Stores: made in the config, seen here; and what signs their invoices' callbacks."""

from typing import Annotated

from msgspec import Meta

from paynode.api.body import Form, Nothing
from paynode.api.lists import ListView, list_answer
from paynode.api.routes import Call, Routes, answer
from paynode.domain.errors import NotFound
from paynode.operations import callbacks
from paynode.operations.once import Answer
from paynode.operations.views import webhooks as views
from paynode.operations.views.shapes import Moment, View, moment
from paynode.operations.views.webhooks import CallbackSecretView
from paynode.store import stores as rows
from paynode.store.database import Tx
from paynode.store.stores import StoreRecord

routes = Routes()


class StoreView(View, frozen=True, tag_field="object", tag="store"):
    """A store; `key` is its name in the config, and `enabled` is false once it left it."""

    id: str
    key: str
    name: str
    enabled: bool
    livemode: bool
    created_at: Moment


class CallbackSecretForm(Form, frozen=True):
    secret: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


@routes.get("/v1/stores", scope="store:read", shows=ListView[StoreView])
def list_all(call: Call[Nothing], tx: Tx) -> Answer:
    """List the stores of the config."""
    return list_answer(_view(call, record) for record in rows.all_stores(tx) if call.store_id in {None, record.id})


@routes.get("/v1/stores/<store_id>", scope="store:read", shows=StoreView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show a store."""
    return answer(_view(call, _load(tx, call.path["store_id"], call.store_id)))


@routes.post(
    "/v1/stores/<store_id>/rotate_callback_secret",
    CallbackSecretForm,
    scope="webhooks:write",
    shows=CallbackSecretView,
)
def rotate_callback_secret(call: Call[CallbackSecretForm], tx: Tx) -> Answer:
    """Give a store a new secret for its invoices' callbacks. The answer shows it; a replay of it does not."""
    store = _load(tx, call.path["store_id"], call.store_id)
    record = callbacks.rotate_secret(tx, store.id, secret=call.form.secret, now=call.now)
    told, kept = answer(views.callback_secret(record, with_secret=True)), answer(views.callback_secret(record))
    return Answer(told.status, told.body, kept_body=kept.body)


def _load(tx: Tx, store_id: str, of_caller: str | None) -> StoreRecord:
    record = rows.by_id(tx, store_id)
    if record is None or of_caller not in {None, record.id}:
        raise NotFound("store")
    return record


def _view(call: Call[Nothing], record: StoreRecord) -> StoreView:
    catalogue = call.node.catalogue
    is_configured = record.id in catalogue.store_keys
    return StoreView(
        id=record.id,
        key=record.name,
        name=catalogue.store_name(record.id) if is_configured else record.name,
        enabled=is_configured,
        livemode=catalogue.is_live,
        created_at=moment(record.created_at),
    )
