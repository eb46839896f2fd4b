"""What payers see and do, without a key: the invoice's id, 80 random bits of it, is the secret.

A payer's work is bounded by the merchant's: an invoice gets one address per chain family and one price at a time.
"""

from paynode.api.body import Nothing
from paynode.api.conflicts import NOT_OPEN, NOT_PROVISIONED
from paynode.api.lists import ListView, list_answer
from paynode.api.method_names import named
from paynode.api.node import ApiNode
from paynode.api.routes import Call, Routes, answer
from paynode.domain.invoice import Status
from paynode.operations import invoices, loading
from paynode.operations.once import Answer
from paynode.operations.views.checkout import CheckoutView
from paynode.operations.views.checkout import checkout as checkout_view
from paynode.operations.views.method import MethodState, MethodView
from paynode.operations.views.shapes import Url, View
from paynode.store import bells
from paynode.store.database import Tx

routes = Routes()


class AddressView(View, frozen=True):
    """Where to pay by one method."""

    method: str
    network: str
    symbol: str | None
    contract: str | None
    address: str | None
    payment_uri: str | None
    explorer_url: Url | None


@routes.get("/checkout/<invoice_id>", shows=CheckoutView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show an invoice to its payer."""
    loaded = loading.load(tx, call.path["invoice_id"])
    view = checkout_view(call.node.catalogue, loaded, call.now)
    noted(call.node, tx, view)
    return answer(view)


@routes.get("/checkout/<invoice_id>/addresses", shows=ListView[AddressView])
def addresses(call: Call[Nothing], tx: Tx) -> Answer:
    """List the addresses that were issued so far."""
    loaded = loading.load(tx, call.path["invoice_id"])
    methods = checkout_view(call.node.catalogue, loaded, call.now).methods
    return list_answer(_address(entry) for entry in methods if entry.state is MethodState.ACTIVE)


@routes.post("/checkout/<invoice_id>/methods/<method>", Nothing, shows=CheckoutView, refuses=NOT_PROVISIONED)
def choose(call: Call[Nothing], tx: Tx) -> Answer:
    """Pick a payment method: the payer gets its address and a price that holds.

    Doing it again changes nothing, unless the price has lapsed: then it is renewed.
    """
    node, path = call.node, call.path
    method = named(node.catalogue, path["method"])
    loaded = invoices.provision(
        tx,
        node.catalogue,
        path["invoice_id"],
        method,
        node.derive,
        call.now,
        client=call.client,
    )
    return answer(checkout_view(node.catalogue, loaded, call.now))


@routes.post(
    "/checkout/<invoice_id>/cancel",
    Nothing,
    shows=CheckoutView,
    refuses=("cancel_not_allowed", "invoice_has_deposits", *NOT_OPEN),
)
def cancel(call: Call[Nothing], tx: Tx) -> Answer:
    """Withdraw an invoice on its payer's word, before any money came and where its store allows it."""
    node = call.node
    loaded = invoices.cancel_by_payer(tx, node.catalogue, call.path["invoice_id"], call.now)
    return answer(checkout_view(node.catalogue, loaded, call.now))


def noted(node: ApiNode, tx: Tx, view: CheckoutView) -> None:
    """Note that somebody waits in front of this page; if that is news, scanners look at once."""
    active = [(entry.method, entry.network) for entry in view.methods if entry.state is MethodState.ACTIVE]
    if view.status in {Status.OPEN, Status.CONFIRMING} and node.attention.seen(view.id, active):
        tx.ring(bells.WATCHES)


def _address(entry: MethodView) -> AddressView:
    return AddressView(**{name: getattr(entry, name) for name in AddressView.__struct_fields__})
