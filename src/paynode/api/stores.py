"""Stores: made in the config, seen here."""

from paynode.api.body import Nothing
from paynode.api.lists import ListView, list_answer
from paynode.api.routes import Call, Routes, answer
from paynode.domain.errors import NotFound
from paynode.operations.once import Answer
from paynode.operations.views.shapes import Moment, View, moment
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


@routes.get("/v1/stores", scope="store:read", shows=ListView[StoreView])
def list_all(call: Call[Nothing], tx: Tx) -> Answer:
    """List the stores of the config."""
    return list_answer(_view(call, record) for record in rows.all_stores(tx) if call.store_id in {None, record.id})


@routes.get("/v1/stores/<store_id>", scope="store:read", shows=StoreView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show a store."""
    record = rows.by_id(tx, call.path["store_id"])
    if record is None or call.store_id not in {None, record.id}:
        raise NotFound("store")
    return answer(_view(call, record))


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
