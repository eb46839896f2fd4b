"""Sweeps: what was collected to the treasuries."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from paynode.api.body import Form, Nothing
from paynode.api.lists import ListView, page_answer, stores_of
from paynode.api.method_names import MethodName, named
from paynode.api.parameters import IdOf
from paynode.api.query import CountedPageQuery
from paynode.api.routes import Call, Routes, answer
from paynode.domain.errors import Invalid, NotFound
from paynode.domain.sweep import State
from paynode.operations import sweep_orders
from paynode.operations.once import Answer
from paynode.operations.sweep_items import sweep_view
from paynode.operations.sweep_orders import Selection
from paynode.operations.views import sweep_order
from paynode.operations.views.sweep import SweepView
from paynode.operations.views.sweep_order import SweepOrderView, SweepPreviewView
from paynode.store import sweep_lists
from paynode.store import sweeps as rows
from paynode.store.database import Tx
from paynode.store.sweep_lists import SweepFilter

routes = Routes()


class SweepListQuery(CountedPageQuery, frozen=True):
    prefix: ClassVar[str] = "swp"
    state: tuple[State, ...] = ()
    method: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    store: tuple[Annotated[str, IdOf("sto")], ...] = ()
    deposit: Annotated[str, IdOf("dep")] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


def sweep_filter(call: Call[Any], query: SweepListQuery) -> SweepFilter:
    """What the query narrows a list of sweeps to."""
    return SweepFilter(
        store_ids=stores_of(call, query.store),
        states=query.state,
        methods=[named(call.node.catalogue, each) for each in query.method],
        networks=query.network,
        deposit_id=query.deposit,
        created_after=query.created_after,
        created_before=query.created_before,
    )


@routes.get("/v1/sweeps", SweepListQuery, scope="sweeps:read", shows=ListView[SweepView], is_long=True)
def list_all(call: Call[SweepListQuery], tx: Tx) -> Answer:
    """List what was collected."""
    wanted = sweep_filter(call, call.form)
    found = sweep_lists.page_of(tx, wanted, call.form.page)
    total = sweep_lists.count(tx, wanted) if "total" in call.form.include else None
    return page_answer(found.map(lambda record: sweep_view(tx, call.node.catalogue, record)), total)


# Never none: a shop that picked invoices and found none does not mean all.
Chosen = Annotated[tuple[Annotated[str, Meta(max_length=30)], ...], Meta(min_length=1, max_length=100)]


class SelectionForm(Form, frozen=True):
    store: Annotated[str, Meta(max_length=30)] | None = None
    method: MethodName | int | None = None
    invoices: Chosen = ()
    deposits: Chosen = ()


@routes.post("/v1/sweeps/preview", SelectionForm, scope="sweeps:read", shows=SweepPreviewView)
def preview(call: Call[SelectionForm], tx: Tx) -> Answer:
    """Show what an order would collect now, what that costs, and why not the rest.

    Without invoices and deposits, of all that is not collected.
    """
    judged = sweep_orders.judge(tx, call.node.catalogue, _selection(call), call.now)
    return answer(sweep_order.preview(call.node.catalogue, judged))


@routes.post(
    "/v1/sweeps",
    SelectionForm,
    scope="sweeps:write",
    shows=SweepOrderView,
    status=201,
    refuses=("nothing_to_sweep", "idempotency_key_required"),
    needs_name=True,
)
def order(call: Call[SelectionForm], tx: Tx) -> Answer:
    """Collect what is chosen now, whether it pays or not.

    A method, invoices or deposits are to be named. What lies on one address in one coin goes together.
    """
    form, catalogue = call.form, call.node.catalogue
    if form.method is None and not form.invoices and not form.deposits:
        raise Invalid.field("", "required", "Name a method, invoices or deposits to collect.")
    made, judged = sweep_orders.order(tx, catalogue, _selection(call), call.now)
    return answer(sweep_order.ordered(catalogue, [sweep_view(tx, catalogue, each) for each in made], judged), 201)


@routes.post("/v1/sweeps/<sweep_id>/cancel", Nothing, scope="sweeps:write", shows=SweepView, refuses=("sweep_signed",))
def cancel(call: Call[Nothing], tx: Tx) -> Answer:
    """Call off what of a sweep is not signed yet."""
    catalogue = call.node.catalogue
    record = sweep_orders.cancel(tx, catalogue, call.path["sweep_id"], call.now, store_id=call.store_id)
    return answer(sweep_view(tx, catalogue, record))


def _selection(call: Call[SelectionForm]) -> Selection:
    form, catalogue = call.form, call.node.catalogue
    method = None if form.method is None else named(catalogue, form.method)
    if method is not None and method not in catalogue.assets:
        raise Invalid.field("/method", "unknown_method", "There is no such payment method.")
    return Selection(call.owner(form.store), method, form.invoices, form.deposits)


@routes.get("/v1/sweeps/<sweep_id>", scope="sweeps:read", shows=SweepView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show a sweep: its items, what it brought and what it cost."""
    record = rows.by_id(tx, call.path["sweep_id"])
    if record is None or call.store_id not in {None, record.store_id}:
        raise NotFound("sweep")
    return answer(sweep_view(tx, call.node.catalogue, record))
