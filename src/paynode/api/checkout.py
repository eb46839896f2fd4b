"""What payers see and do, without a key: the invoice's id, 80 random bits of it, is the secret.

A payer's work is bounded by the merchant's: an invoice gets one address per chain family and one price at a time.
"""

from paynode.api.body import Nothing
from paynode.api.lists import list_answer
from paynode.api.routes import Call, Routes, answer
from paynode.domain.invoice import Status
from paynode.operations import invoices, loading, views
from paynode.operations.once import Answer
from paynode.store import bells
from paynode.store.database import Tx

routes = Routes()

_ADDRESS_FIELDS = ("method", "network", "symbol", "contract", "address", "payment_uri", "explorer_url")


@routes.get("/checkout/<invoice_id>")
def show(call: Call[Nothing], tx: Tx) -> Answer:
    loaded = loading.load(tx, call.path["invoice_id"])
    view = views.checkout(call.node.catalogue, loaded, call.now)
    active = [(entry["method"], entry["network"]) for entry in view["methods"] if entry["state"] == "active"]
    is_waiting = loaded.record.status in {Status.OPEN, Status.CONFIRMING}
    if is_waiting and call.node.attention.seen(loaded.record.id, active):
        tx.ring(bells.WATCHES)
    return answer(view)


@routes.get("/checkout/<invoice_id>/addresses")
def addresses(call: Call[Nothing], tx: Tx) -> Answer:
    loaded = loading.load(tx, call.path["invoice_id"])
    methods = views.checkout(call.node.catalogue, loaded, call.now)["methods"]
    return list_answer({key: entry[key] for key in _ADDRESS_FIELDS} for entry in methods if entry["state"] == "active")


@routes.post("/checkout/<invoice_id>/methods/<method>", Nothing)
def choose(call: Call[Nothing], tx: Tx) -> Answer:
    """The payer picks a method, and gets its address and a price that holds. Doing it again changes nothing."""
    node, path = call.node, call.path
    loaded = invoices.provision(tx, node.catalogue, path["invoice_id"], path["method"], node.derive, call.now)
    return answer(views.checkout(node.catalogue, loaded, call.now))
