"""Deposits: the transfers that came to our addresses."""

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from paynode.api.body import Form, Nothing
from paynode.api.lists import ListView, list_answer
from paynode.api.parameters import IdOf
from paynode.api.query import PageQuery
from paynode.api.routes import Call, Routes, answer
from paynode.domain.deposit import Stage
from paynode.domain.errors import NotFound
from paynode.operations import assigning, loading
from paynode.operations.once import Answer
from paynode.operations.views.deposit import DepositView, deposit
from paynode.store import chain
from paynode.store import deposits as rows
from paynode.store.database import Tx
from paynode.store.deposits import PlacedDeposit

routes = Routes()


class AssignForm(Form, frozen=True):
    invoice: Annotated[str, Meta(max_length=30)]


class DepositListQuery(PageQuery, frozen=True):
    prefix: ClassVar[str] = "dep"
    state: tuple[Stage, ...] = ()
    invoice: Annotated[str, IdOf("inv")] | None = None
    unattributed: bool = False


@routes.get("/v1/deposits", DepositListQuery, scope="deposits:read", shows=ListView[DepositView])
def list_all(call: Call[DepositListQuery], tx: Tx) -> Answer:
    """List what came in."""
    query = call.form
    found, has_more = rows.listed(
        tx,
        call.store_id,
        query.page,
        stages=query.state,
        invoice_id=query.invoice,
        unattributed=query.unattributed,
    )
    return list_answer((_view(call, tx, placed) for placed in found), query.page, has_more=has_more)


@routes.get("/v1/deposits/<deposit_id>", scope="deposits:read", shows=DepositView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show a deposit."""
    placed = rows.by_id(tx, call.path["deposit_id"])
    if placed is None or call.store_id not in {None, placed.deposit.store_id}:
        raise NotFound("deposit")
    return answer(_view(call, tx, placed))


@routes.post(
    "/v1/deposits/<deposit_id>/assign",
    AssignForm,
    scope="deposits:write",
    shows=DepositView,
    refuses=("deposit_assigned", "deposit_orphaned"),
)
def assign(call: Call[AssignForm], tx: Tx) -> Answer:
    """Count an unattributed deposit for an invoice."""
    placed = assigning.assign(
        tx, call.node.catalogue, call.path["deposit_id"], call.form.invoice, call.now, store_id=call.store_id
    )
    return answer(_view(call, tx, placed))


def _view(call: Call[Any], tx: Tx, placed: PlacedDeposit) -> DepositView:
    record = placed.deposit
    loaded = None if record.invoice_id is None else loading.load(tx, record.invoice_id)
    head_number = chain.network(tx, record.network).head_number or 0
    return deposit(call.node.catalogue, placed, loaded, head_number)
