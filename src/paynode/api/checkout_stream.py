"""A payer's page as it changes: the checkout's JSON at every change, until nothing more is to be expected."""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from paynode.api.body import Nothing
from paynode.api.checkout import noted
from paynode.api.node import ApiNode
from paynode.api.routes import Call, Routes
from paynode.api.streams import Look, Message, News
from paynode.domain.deposit import Stage
from paynode.domain.invoice import Status
from paynode.operations import loading
from paynode.operations.views.checkout import CheckoutView
from paynode.operations.views.checkout import checkout as checkout_view
from paynode.store import bells, invoices
from paynode.store.database import Tx

routes = Routes()

END = "end"  # the name and the id of the last message: a browser that comes back with it is told to stay away


@routes.stream("/checkout/<invoice_id>/events", shows=CheckoutView)
def follow(call: Call[Nothing], tx: Tx, last_event_id: str | None) -> Look | None:
    """Follow an invoice as its payer sees it.

    Server-sent events: one message `checkout` at once and one at every change; its `data` is what
    `GET /checkout/{invoice_id}` answers. Once nothing more is to be expected a message `end` comes, and the stream is
    over.
    """
    view = checkout_view(call.node.catalogue, loading.load(tx, call.path["invoice_id"]), call.now)
    if last_event_id == END and _is_final(view):
        return None
    return _Watcher(call.node, view.id).look


class _Watcher:
    """What one page was shown last."""

    def __init__(self, node: ApiNode, invoice_id: str) -> None:
        self._node = node
        self._invoice_id = invoice_id
        self._shown: CheckoutView | None = None

    def look(self, tx: Tx, now: datetime) -> News:
        """The page, if it is another than before."""
        record = invoices.by_id(tx, self._invoice_id)
        if record is None:
            return News(is_over=True)  # it was deleted
        view = checkout_view(self._node.catalogue, loading.with_parts(tx, record), now)
        noted(self._node, tx, view)
        messages, lasting = [], _lasting(view)
        if lasting != self._shown:
            self._shown = lasting
            messages.append(Message("checkout", msgspec.json.encode(view)))
        if is_final := _is_final(view):
            messages.append(Message(END, b"{}", END))
        growing = {each.network for each in view.deposits if each.state in _UNDER_WAY}
        worth_a_look = [bells.about(view.id), *map(bells.head_of, sorted(growing))]
        return News(messages, worth_a_look, is_over=is_final)


_UNDER_WAY = frozenset({Stage.DETECTED, Stage.CONFIRMING})


def _is_final(view: CheckoutView) -> bool:
    is_waiting = view.status in {Status.OPEN, Status.CONFIRMING}
    return not is_waiting and not any(each.state in _UNDER_WAY for each in view.deposits)


def _lasting(view: CheckoutView) -> CheckoutView:
    """The page without what changes by the second."""
    return replace(
        view, now="", expires_in=None, methods=[replace(each, rate_expires_in=None) for each in view.methods]
    )
