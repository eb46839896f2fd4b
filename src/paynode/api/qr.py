"""What a wallet's camera reads: QR codes of an invoice's addresses, drawn here, dark on white."""

from io import BytesIO
from typing import Any, Literal

import segno

from paynode.api.method_names import named
from paynode.api.query import QueryForm
from paynode.api.routes import SVG, Call, Routes
from paynode.domain.errors import Conflict, NotFound
from paynode.operations import loading
from paynode.operations.once import Answer
from paynode.operations.payment_uri import qr_text
from paynode.operations.views.method import MethodState
from paynode.operations.views.method import method as method_view
from paynode.store.database import Tx

routes = Routes()

QUIET_MODULES = 4  # of white around it: ISO/IEC 18004
NO_ADDRESS = ("no_address",)


class QrQuery(QueryForm, frozen=True):
    """`amount=with` puts a token's amount into the code too, for wallets that read EIP-681."""

    amount: Literal["with", "without"] = "without"


class MethodQrQuery(QrQuery, frozen=True, kw_only=True):
    method: str


@routes.get("/checkout/<invoice_id>/methods/<method>/qr.svg", QrQuery, shows=str, refuses=NO_ADDRESS, media=SVG)
def qr(call: Call[QrQuery], tx: Tx) -> Answer:
    """Draw the QR code of a method that was picked.

    Of a native coin it is the payment's URI, of a token the bare address: wallets misread token URIs.
    """
    return _drawn(call, tx, call.path["method"])


@routes.get(
    "/v1/invoices/<invoice_id>/qr.svg",
    MethodQrQuery,
    scope="invoices:read",
    shows=str,
    refuses=NO_ADDRESS,
    media=SVG,
)
def qr_of_invoice(call: Call[MethodQrQuery], tx: Tx) -> Answer:
    """Draw the QR code of an invoice's method.

    Of a native coin it is the payment's URI, of a token the bare address: wallets misread token URIs.
    """
    return _drawn(call, tx, call.form.method)


def qr_svg(text: str) -> bytes:
    """`text` as a QR code of level M."""
    code = segno.make(text, error="m", boost_error=False, micro=False)
    drawn = BytesIO()
    code.save(drawn, kind="svg", border=QUIET_MODULES, dark="#000", light="#fff", xmldecl=False, omitsize=True)
    return drawn.getvalue()


def _drawn(call: Call[Any], tx: Tx, name: str) -> Answer:
    """The code, while there is something to pay to.

    Raises:
        NotFound: no such invoice, or it does not offer the method.
        Conflict: the method has no address, or has it no more.
    """
    catalogue = call.node.catalogue
    loaded = loading.load(tx, call.path["invoice_id"], call.store_id)
    method = named(catalogue, name)
    entry = loaded.entry(method)
    if entry is None:
        raise NotFound("payment method of this invoice")
    view = method_view(catalogue, loaded, entry, call.now)
    if view.state is not MethodState.ACTIVE or view.address is None:
        raise Conflict("no_address", "This method has no address to pay to: pick it first.")
    units = None if view.amount_due_units is None else int(view.amount_due_units)
    network, asset = catalogue.networks[entry.network], catalogue.assets[method]
    text = qr_text(network, asset, view.address, units, with_amount=call.form.amount == "with")
    return Answer(200, qr_svg(text))
