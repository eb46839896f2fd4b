"""The payer's page: pick a method, see where to send how much, see it arrive. Whole without any script.

Every request shows the invoice as it is now; a form of the page changes something and leads back to it, so that no
browser sends anything twice. The JSON routes of checkout.py do the same for programs.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from msgspec import Meta, structs

from paynode.api.body import Form, Nothing
from paynode.api.checkout import noted
from paynode.api.conflicts import NOT_CHECKED, NOT_OPEN, NOT_PROVISIONED
from paynode.api.method_names import named
from paynode.api.pages import colors
from paynode.api.pages.layout import CSS, ICON, policy, rendered, resource
from paynode.api.pages.standing import depth_words, standing
from paynode.api.pages.words import left_words, moment_words, network_words, web_link
from paynode.api.problem_types import problem_types
from paynode.api.query import QueryForm
from paynode.api.routes import Call, Routes, Shelf
from paynode.domain.errors import FieldProblem, NotFound
from paynode.domain.rescue import Asker
from paynode.operations import invoices, loading, rescue
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import LoadedInvoice
from paynode.operations.once import Answer
from paynode.operations.views.checkout import CheckoutView
from paynode.operations.views.checkout import checkout as checkout_view
from paynode.operations.views.method import MethodState, MethodView
from paynode.store import rescues
from paynode.store.database import Tx
from paynode.store.pages import Page

routes = Routes()

CLAIMS_SHOWN = 3  # the newest
CARDS_MAX = 8  # without a search box
RELOAD_SECONDS_MIN, RELOAD_SECONDS_MAX = 5, 60
RELOAD_FOR_SECONDS = 24 * 3600  # since something happened; then only by hand

# What a page of nobody's store is sent with; one that shows an invoice may be embedded by its store.
HEADERS: Mapping[str, str] = {"Content-Security-Policy": policy(form_action="'self'"), "X-Robots-Tag": "noindex"}


class CheckoutQuery(QueryForm, frozen=True):
    amount: Literal["with", "without"] = "without"  # in a token's QR code
    reload: Literal["off", "on"] = "on"  # for who is disturbed by a page that changes
    find: Annotated[str, Meta(max_length=40)] = ""  # among many methods


class ClaimForm(Form, frozen=True):
    tx_hash: Annotated[str, Meta(max_length=200)]


@routes.document("/i/style.css", media=CSS)
def stylesheet(shelf: Shelf) -> bytes:
    """Show how the page looks."""
    return resource("checkout.css")


@routes.document("/i/icon.svg", media=ICON)
def icon(shelf: Shelf) -> bytes:
    """Show what stands for the page in a browser's tab."""
    return resource("icon.svg")


@routes.get("/i/<invoice_id>/color.css", shows=str, media=CSS)
def color(call: Call[Nothing], tx: Tx) -> Answer:
    """Show the colour of the invoice's store."""
    loaded = loading.load(tx, call.path["invoice_id"])
    return Answer(200, colors.sheet(call.node.catalogue.branding(loaded.record.store_id).color))


@routes.page("/i/<invoice_id>", CheckoutQuery)
def show(call: Call[CheckoutQuery], tx: Tx) -> Answer:
    """Show an invoice to its payer."""
    return _shown(call, tx, None)


@routes.page("/i/<invoice_id>/<method>", CheckoutQuery)
def show_method(call: Call[CheckoutQuery], tx: Tx) -> Answer:
    """Show an invoice to its payer, with the method that it is paid by."""
    return _shown(call, tx, named(call.node.catalogue, call.path["method"]))


@routes.submit("/i/<invoice_id>/<method>", Nothing, refuses=NOT_PROVISIONED)
def choose(call: Call[Nothing], tx: Tx) -> Answer:
    """Pick a payment method, or renew its price once it lapsed."""
    node, invoice_id = call.node, call.path["invoice_id"]
    method = named(node.catalogue, call.path["method"])
    invoices.provision(tx, node.catalogue, invoice_id, method, node.derive, call.now, client=call.client)
    return _see(invoice_id, method)


@routes.submit("/i/<invoice_id>/cancel", Nothing, refuses=("cancel_not_allowed", "invoice_has_deposits", *NOT_OPEN))
def cancel(call: Call[Nothing], tx: Tx) -> Answer:
    """Withdraw an invoice on its payer's word."""
    invoices.cancel_by_payer(tx, call.node.catalogue, call.path["invoice_id"], call.now)
    return _see(call.path["invoice_id"])


@routes.page("/i/<invoice_id>/claim", QueryForm)
def show_claim(call: Call[QueryForm], tx: Tx) -> Answer:
    """Ask a payer who says "I have paid" by which transaction: on a page that never reloads while one types."""
    loaded = loading.load(tx, call.path["invoice_id"])
    view = checkout_view(call.node.catalogue, loaded, call.now)
    return _page(
        call.node.catalogue, loaded, call.now, "claim.html", title=f"I have paid - {view.store_name}", invoice=view
    )


@routes.submit("/i/<invoice_id>/claim", ClaimForm, refuses=NOT_CHECKED)
def claim(call: Call[ClaimForm], tx: Tx) -> Answer:
    """Say "I have paid", and by which transaction."""
    node, invoice_id = call.node, call.path["invoice_id"]
    rescue.claim(tx, node.catalogue, invoice_id, call.form.tx_hash, Asker.PAYER, node.parse_tx_hash, call.now)
    return _see(invoice_id)


def refusal(
    status: int, code: str, detail: str, request_id: str, fields: Sequence[FieldProblem], path: Mapping[str, str]
) -> bytes:
    """What a payer sees when the page cannot be shown, or a form of it cannot be accepted."""
    return rendered(
        "refusal.html",
        title=problem_types()[code].title,
        stylesheet="/i/style.css",
        details=[field.detail for field in fields] or [detail],
        code=code,
        request_id=request_id,
        back=None if status == 404 or "invoice_id" not in path else _path(path["invoice_id"]),
    )


def reload_seconds(loaded: LoadedInvoice, now: datetime) -> int | None:
    """How soon the page should show itself again: the more seldom the longer nothing happened; None: not any more."""
    quiet = int((now - loaded.record.updated_at).total_seconds())
    if quiet > RELOAD_FOR_SECONDS:
        return None
    return min(max(quiet // 60, RELOAD_SECONDS_MIN), RELOAD_SECONDS_MAX)


def _shown(call: Call[CheckoutQuery], tx: Tx, picked: str | None) -> Answer:
    node, query = call.node, call.form
    loaded = loading.load(tx, call.path["invoice_id"])
    view = checkout_view(node.catalogue, loaded, call.now)
    noted(node, tx, view)
    told = standing(view)
    payable = [each for each in view.methods if each.state is not MethodState.DISABLED]
    method = _method(view, payable, picked)
    method = method if told.takes_money else None
    is_long = len(payable) > CARDS_MAX
    is_picking = told.takes_money and method is None and (is_long or not loaded.addresses)
    seconds = reload_seconds(loaded, call.now) if told.is_awaited and not is_picking else None
    claims = rescues.claims_of(tx, view.id, Page(CLAIMS_SHOWN)).entries
    return _page(
        node.catalogue,
        loaded,
        call.now,
        "checkout.html",
        title=f"{told.title} - {view.store_name}",
        invoice=view,
        told=told,
        method=method,
        cards=[each for each in payable if query.find.lower().strip() in _searched(each)],
        is_long=is_long,
        has_choice=len(payable) > 1,
        find=query.find,
        with_amount=query.amount == "with",
        reload_seconds=seconds if query.reload == "on" else None,
        may_reload=seconds is not None,
        claims=[rescue.claim_view(tx, record) for record in claims],
        may_claim=bool(loaded.addresses),
        link=partial(_link, _path(view.id, picked or ""), query),
    )


def _method(view: CheckoutView, payable: Sequence[MethodView], picked: str | None) -> MethodView | None:
    """The one that the payer picked: by the path, or because there is no other; None: they are to pick.

    Raises:
        NotFound: the path names none of the invoice.
    """
    if picked is None:
        return payable[0] if len(payable) == 1 else None
    found = next((each for each in view.methods if each.method == picked), None)
    if found is None:
        raise NotFound("payment method of this invoice")
    return found


def _searched(method: MethodView) -> str:
    return f"{method.method} {method.symbol} {network_words(method.network)}".lower()


def _page(catalogue: Catalogue, loaded: LoadedInvoice, now: datetime, template: str, **values: Any) -> Answer:
    body = rendered(
        template,
        stylesheet="/i/style.css",
        path=lambda method="": _path(loaded.record.id, method),
        network_words=network_words,
        moment_words=partial(moment_words, now=now),
        left_words=left_words,
        depth_words=depth_words,
        web_link=web_link,
        **values,
    )
    ancestors = catalogue.allowed_origins(loaded.record.store_id)
    framed = policy(form_action="'self'", frame_ancestors=ancestors)
    return Answer(200, body, headers={**HEADERS, "Content-Security-Policy": framed})


def _path(invoice_id: str, rest: str = "") -> str:
    return f"/i/{quote(invoice_id, safe='')}{'/' if rest else ''}{quote(rest, safe='')}"


def _link(path: str, query: CheckoutQuery, **changed: str) -> str:
    """The same page with something of its query changed."""
    values = {**structs.asdict(query), **changed}
    written = {name: value for name, value in values.items() if value != _DEFAULTS[name]}
    return f"{path}?{urlencode(written)}" if written else path


_DEFAULTS = structs.asdict(CheckoutQuery())


def _see(invoice_id: str, method: str = "") -> Answer:
    """Go on with a page, by GET, whatever brought here (RFC 9110, 15.4.4)."""
    return Answer(303, b"", headers={"Location": _path(invoice_id, method)})
