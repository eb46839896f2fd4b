"""Receipts: what was received for an invoice and is final. The payer and the merchant get the same."""

from paynode.api.body import Nothing
from paynode.api.routes import Call, Routes, answer
from paynode.operations import loading
from paynode.operations.once import Answer
from paynode.operations.views.receipt import ReceiptView
from paynode.operations.views.receipt import receipt as receipt_view
from paynode.store.database import Tx

routes = Routes()

NOTHING_YET = ("nothing_final",)


@routes.get("/v1/invoices/<invoice_id>/receipt", scope="invoices:read", shows=ReceiptView, refuses=NOTHING_YET)
def receipt(call: Call[Nothing], tx: Tx) -> Answer:
    """Show what was received for an invoice, transaction by transaction."""
    loaded = loading.load(tx, call.path["invoice_id"], call.store_id)
    return answer(receipt_view(call.node.catalogue, loaded, call.now, for_payer=False))


@routes.get("/checkout/<invoice_id>/receipt", shows=ReceiptView, refuses=NOTHING_YET)
def receipt_of_payer(call: Call[Nothing], tx: Tx) -> Answer:
    """Show what was received for an invoice to its payer, transaction by transaction."""
    loaded = loading.load(tx, call.path["invoice_id"])
    return answer(receipt_view(call.node.catalogue, loaded, call.now, for_payer=True))
