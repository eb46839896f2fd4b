"""Asking the node to look again: at an invoice's addresses, or at a transaction that somebody says paid it.

The merchant and the payer ask alike; the payer, whom nobody knows, less often and for less.
"""

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from paynode.api.body import Form, Nothing
from paynode.api.conflicts import NOT_CHECKED
from paynode.api.lists import ListView, page_answer
from paynode.api.query import PageQuery
from paynode.api.routes import Call, Routes, answer
from paynode.domain.rescue import Asker
from paynode.operations import loading, rescue
from paynode.operations.once import Answer
from paynode.operations.views.rescue import CheckView, ClaimView
from paynode.store import rescues
from paynode.store.database import Tx

routes = Routes()

ACCEPTED = 202


class ClaimForm(Form, frozen=True):
    tx_hash: Annotated[str, Meta(max_length=200)]
    network: Annotated[str, Meta(max_length=100)] | None = None


class ClaimListQuery(PageQuery, frozen=True):
    prefix: ClassVar[str] = "clm"


@routes.post(
    "/v1/invoices/<invoice_id>/check",
    Nothing,
    scope="invoices:write",
    shows=CheckView,
    status=ACCEPTED,
    refuses=NOT_CHECKED,
)
def check(call: Call[Nothing], tx: Tx) -> Answer:
    """Look at the addresses of an invoice again, now."""
    return answer(_checked(call, tx, Asker.MERCHANT), ACCEPTED)


@routes.post(
    "/v1/invoices/<invoice_id>/claim",
    ClaimForm,
    scope="invoices:write",
    shows=ClaimView,
    status=ACCEPTED,
    refuses=NOT_CHECKED,
)
def claim(call: Call[ClaimForm], tx: Tx) -> Answer:
    """Look into a transaction that is said to pay an invoice."""
    return answer(_claimed(call, tx, Asker.MERCHANT), ACCEPTED)


@routes.get("/v1/invoices/<invoice_id>/claims", ClaimListQuery, scope="invoices:read", shows=ListView[ClaimView])
def claims(call: Call[ClaimListQuery], tx: Tx) -> Answer:
    """List what came of the claims."""
    return _claims(call, tx)


@routes.post("/checkout/<invoice_id>/check", Nothing, shows=CheckView, status=ACCEPTED, refuses=NOT_CHECKED)
def check_as_payer(call: Call[Nothing], tx: Tx) -> Answer:
    """Look at the addresses of an invoice again, as its payer."""
    return answer(_checked(call, tx, Asker.PAYER), ACCEPTED)


@routes.post("/checkout/<invoice_id>/claim", ClaimForm, shows=ClaimView, status=ACCEPTED, refuses=NOT_CHECKED)
def claim_as_payer(call: Call[ClaimForm], tx: Tx) -> Answer:
    """Say "I have paid", and by which transaction."""
    return answer(_claimed(call, tx, Asker.PAYER), ACCEPTED)


@routes.get("/checkout/<invoice_id>/claims", ClaimListQuery, shows=ListView[ClaimView])
def claims_as_payer(call: Call[ClaimListQuery], tx: Tx) -> Answer:
    """List what came of the claims, as the payer."""
    return _claims(call, tx)


def _checked(call: Call[Any], tx: Tx, asker: Asker) -> CheckView:
    return rescue.check(tx, call.node.catalogue, call.path["invoice_id"], asker, call.now, store_id=call.store_id)


def _claimed(call: Call[ClaimForm], tx: Tx, asker: Asker) -> ClaimView:
    return rescue.claim(
        tx,
        call.node.catalogue,
        call.path["invoice_id"],
        call.form.tx_hash,
        asker,
        call.node.parse_tx_hash,
        call.now,
        network=call.form.network,
        store_id=call.store_id,
    )


def _claims(call: Call[ClaimListQuery], tx: Tx) -> Answer:
    loaded = loading.load(tx, call.path["invoice_id"], call.store_id)
    found = rescues.claims_of(tx, loaded.record.id, call.form.page)
    return page_answer(found.map(lambda record: rescue.claim_view(tx, record)))
