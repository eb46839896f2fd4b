"""Invoices: create, see, list, and what a merchant does with one."""

from paynode.api.body import Nothing
from paynode.api.conflicts import NOT_OPEN, NOT_PROVISIONED
from paynode.api.deliveries import DeliveriesQuery, delivery_view
from paynode.api.deposits import DepositsQuery
from paynode.api.events import EventsQuery
from paynode.api.invoice_form import InvoiceForm, read_invoice
from paynode.api.invoice_query import InvoiceListQuery, invoice_filter
from paynode.api.lists import ListView, page_answer
from paynode.api.method_names import named
from paynode.api.routes import Call, Routes, answer
from paynode.operations import creating, invoices, loading
from paynode.operations.loading import LoadedInvoice
from paynode.operations.once import Answer
from paynode.operations.views.deposit import DepositView
from paynode.operations.views.deposit import deposit as deposit_view
from paynode.operations.views.invoice import InvoiceView
from paynode.operations.views.invoice import invoice as invoice_view
from paynode.operations.views.webhooks import DeliveryView, EventView
from paynode.operations.views.webhooks import event as event_view
from paynode.store import deposit_lists, invoice_lists, outbox
from paynode.store.database import Tx
from paynode.store.deposit_lists import DepositFilter

routes = Routes()


@routes.post(
    "/v1/invoices",
    InvoiceForm,
    scope="invoices:write",
    shows=InvoiceView,
    status=201,
    refuses=("order_id_taken", *NOT_PROVISIONED),
)
def create(call: Call[InvoiceForm], tx: Tx) -> Answer:
    """Make an invoice."""
    node = call.node
    store_id = call.owner(call.form.store)
    command = read_invoice(node.catalogue, store_id, call.form, node.check_outbound)
    return answer(creating.create_invoice(tx, node.catalogue, store_id, command, node.derive, call.now).view, 201)


@routes.get("/v1/invoices", InvoiceListQuery, scope="invoices:read", shows=ListView[InvoiceView], is_long=True)
def list_all(call: Call[InvoiceListQuery], tx: Tx) -> Answer:
    """List invoices."""
    wanted = invoice_filter(call, call.form)
    found = invoice_lists.page_of(tx, wanted, call.form.page)
    total = invoice_lists.count(tx, wanted) if "total" in call.form.include else None
    return page_answer(
        found.map(lambda record: invoice_view(call.node.catalogue, loading.with_parts(tx, record), call.now)), total
    )


@routes.get("/v1/invoices/<invoice_id>", scope="invoices:read", shows=InvoiceView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show an invoice."""
    return _answer(call, loading.load(tx, call.path["invoice_id"], call.store_id))


@routes.post("/v1/invoices/<invoice_id>/cancel", Nothing, scope="invoices:write", shows=InvoiceView, refuses=NOT_OPEN)
def cancel(call: Call[Nothing], tx: Tx) -> Answer:
    """Withdraw an open invoice."""
    return _answer(
        call, invoices.cancel(tx, call.node.catalogue, call.path["invoice_id"], call.now, store_id=call.store_id)
    )


@routes.post(
    "/v1/invoices/<invoice_id>/accept",
    Nothing,
    scope="invoices:write",
    shows=InvoiceView,
    refuses=("not_acceptable", "nothing_final"),
)
def accept(call: Call[Nothing], tx: Tx) -> Answer:
    """Take what has arrived as enough."""
    return _answer(
        call, invoices.accept(tx, call.node.catalogue, call.path["invoice_id"], call.now, store_id=call.store_id)
    )


@routes.post(
    "/v1/invoices/<invoice_id>/requote",
    Nothing,
    scope="invoices:write",
    shows=InvoiceView,
    refuses=("no_price", "quote_still_valid", "rate_unavailable", *NOT_OPEN),
)
def requote(call: Call[Nothing], tx: Tx) -> Answer:
    """Lock new prices where they lapsed."""
    return _answer(
        call, invoices.requote(tx, call.node.catalogue, call.path["invoice_id"], call.now, store_id=call.store_id)
    )


@routes.post(
    "/v1/invoices/<invoice_id>/methods/<method>",
    Nothing,
    scope="invoices:write",
    shows=InvoiceView,
    refuses=NOT_PROVISIONED,
)
def provision(call: Call[Nothing], tx: Tx) -> Answer:
    """Issue the address of a payment method."""
    node, path = call.node, call.path
    method = named(node.catalogue, path["method"])
    loaded = invoices.provision(
        tx,
        node.catalogue,
        path["invoice_id"],
        method,
        node.derive,
        call.now,
        store_id=call.store_id,
    )
    return _answer(call, loaded)


@routes.get("/v1/invoices/<invoice_id>/deposits", DepositsQuery, scope="deposits:read", shows=ListView[DepositView])
def deposits(call: Call[DepositsQuery], tx: Tx) -> Answer:
    """List what came in for an invoice."""
    loaded = loading.facts(tx, call.path["invoice_id"], call.store_id)
    found = deposit_lists.page_of(tx, DepositFilter(invoice_id=loaded.record.id), call.form.page)
    return page_answer(found.map(lambda placed: deposit_view(call.node.catalogue, placed, loaded)))


@routes.get("/v1/invoices/<invoice_id>/events", EventsQuery, scope="events:read", shows=ListView[EventView])
def events(call: Call[EventsQuery], tx: Tx) -> Answer:
    """List what happened to an invoice."""
    loaded = loading.load(tx, call.path["invoice_id"], call.store_id)
    return page_answer(outbox.listed_events(tx, None, call.form.page, subject=loaded.record.id).map(event_view))


@routes.get(
    "/v1/invoices/<invoice_id>/deliveries", DeliveriesQuery, scope="webhooks:read", shows=ListView[DeliveryView]
)
def deliveries(call: Call[DeliveriesQuery], tx: Tx) -> Answer:
    """List what the shop was told of an invoice."""
    loaded = loading.load(tx, call.path["invoice_id"], call.store_id)
    found = outbox.listed_deliveries(tx, None, call.form.page, subject=loaded.record.id)
    return page_answer(found.map(lambda record: delivery_view(tx, record)))


def _answer(call: Call[Nothing], loaded: LoadedInvoice) -> Answer:
    return answer(invoice_view(call.node.catalogue, loaded, call.now))
