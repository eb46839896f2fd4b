"""Exports: whole lists as CSV, by the same parameters as the lists.

They are read piece by piece, each piece in a transaction of its own, and none before the client took the one before it:
an export needs little memory however long it is, and a client that stalls keeps nothing open in the database.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from paynode.api import csv
from paynode.api.balances import LedgerQuery, currency_of, ledger_filter, rate_of
from paynode.api.deposits import DepositListQuery, deposit_filter, deposit_shown
from paynode.api.invoice_query import InvoiceListQuery, invoice_filter
from paynode.api.query import PageQuery
from paynode.api.routes import Call, Piece, Routes
from paynode.api.sweeps import SweepListQuery, sweep_filter
from paynode.operations import loading
from paynode.operations.sweep_items import sweep_view
from paynode.operations.views.invoice import invoice as invoice_view
from paynode.operations.views.ledger import ledger_entry
from paynode.store import deposit_lists, invoice_lists, ledger_lists, sweep_lists
from paynode.store.database import Tx
from paynode.store.pages import Found, Page

routes = Routes()

PIECE = 100  # entries

INVOICES = (
    *("id", "created_at", "store", "type", "status", "payment_state", "sweep_state", "screening", "late", "archived"),
    *("amount", "currency", "amount_paid", "amount_due", "amount_overpaid", "name", "description", "order_id"),
    *("customer", "metadata", "expires_at", "paid_at"),
)
DEPOSITS = (
    *("id", "detected_at", "invoice", "method", "network", "address", "tx_hash", "block_number", "block_at", "amount"),
    *("amount_units", "value", "state", "late", "screening", "sweep_state", "confirmed_at"),
)
SWEEPS = (
    *("id", "created_at", "store", "state", "method", "treasury", "gross", "net", "fee", "fee_method"),
    "completed_at",
)
LEDGER = (
    *("id", "created_at", "store", "account", "method", "amount", "amount_units", "value", "currency", "rate"),
    *("rate_at", "cause", "reason"),
)


@routes.export("/v1/exports/invoices.csv", InvoiceListQuery, scope="invoices:read")
def invoices(call: Call[InvoiceListQuery], tx: Tx, cursor: str | None) -> Piece:
    """Export invoices."""
    found = invoice_lists.page_of(tx, invoice_filter(call, call.form), _page(call.form, cursor))
    catalogue = call.node.catalogue
    shown = found.map(lambda record: invoice_view(catalogue, loading.with_parts(tx, record), call.now))
    return _piece(INVOICES, shown, cursor)


@routes.export("/v1/exports/deposits.csv", DepositListQuery, scope="deposits:read")
def deposits(call: Call[DepositListQuery], tx: Tx, cursor: str | None) -> Piece:
    """Export deposits."""
    found = deposit_lists.page_of(tx, deposit_filter(call, call.form), _page(call.form, cursor))
    return _piece(DEPOSITS, found.map(lambda placed: deposit_shown(call, tx, placed)), cursor)


@routes.export("/v1/exports/sweeps.csv", SweepListQuery, scope="sweeps:read")
def sweeps(call: Call[SweepListQuery], tx: Tx, cursor: str | None) -> Piece:
    """Export sweeps."""
    found = sweep_lists.page_of(tx, sweep_filter(call, call.form), _page(call.form, cursor))
    return _piece(SWEEPS, found.map(lambda record: sweep_view(tx, call.node.catalogue, record)), cursor)


@routes.export("/v1/exports/ledger.csv", LedgerQuery, scope="balances:read")
def ledger(call: Call[LedgerQuery], tx: Tx, cursor: str | None) -> Piece:
    """Export the ledger's entries."""
    currency = currency_of(call.form.currency)
    found = ledger_lists.page_of(tx, ledger_filter(call, call.form), _page(call.form, cursor))
    return _piece(
        LEDGER,
        found.map(
            lambda entry: ledger_entry(
                call.node.catalogue, entry, currency, rate_of(call, tx, entry.method, currency, entry.at)
            )
        ),
        cursor,
    )


def _page(query: PageQuery, cursor: str | None) -> Page:
    """The piece behind `cursor`; the first is where the query says."""
    page = replace(query.page, limit=PIECE)
    if cursor is None:
        return page
    return replace(page, before=cursor) if page.before is not None else replace(page, after=cursor)


def _piece(columns: Sequence[str], found: Found[Any], cursor: str | None) -> Piece:
    rows: Iterable[Any] = ([getattr(entry, name) for name in columns] for entry in found.entries)
    head = csv.line(columns) if cursor is None else b""
    return Piece(head + b"".join(map(csv.line, rows)), found.cursor)
