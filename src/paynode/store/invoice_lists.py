"""Lists of invoices by any filter: pages and counts of them."""

import json

from paynode.store.database import Tx
from paynode.store.invoice_search import InvoiceFilter, Search
from paynode.store.invoices import INVOICE, InvoiceRecord
from paynode.store.pages import COUNTED_MAX, Found, Page, gather


def page_of(tx: Tx, wanted: InvoiceFilter, page: Page) -> Found[InvoiceRecord]:
    """One page of the invoices that fit.

    Raises:
        Invalid: the page's cursor is not an invoice of these stores, and only that could tell its amount.
    """
    search = Search(tx, wanted, by_amount=page.by_amount)
    start = None if page.cursor is None else search.position(page.cursor)
    gathered = gather(search.walk(start, up=page.walks_up), page, search.steps_max)
    rows = tx.rows(
        f"select serial, {INVOICE.sql} from invoices where serial in (select value from json_each(?))",
        (json.dumps([serial for _, _, serial in gathered.keys]),),
    )
    record_by_serial = {row[0]: INVOICE.decode(row[1:]) for row in rows}
    entries = [record_by_serial[serial] for _, _, serial in gathered.keys]
    return Found(entries, gathered.has_more, None if gathered.last is None else search.id_at(gathered.last))


def count(tx: Tx, wanted: InvoiceFilter) -> tuple[int, bool]:
    """How many invoices fit, and whether that is all of them: a count ends where it becomes long."""
    search = Search(tx, wanted, by_amount=False)
    if search.is_told_by_groups:
        return sum(group.count for group in search.groups), True
    found = 0
    for step, (_, fits) in enumerate(search.walk(None, up=False)):
        if step == COUNTED_MAX:
            return found, False
        found += fits
    return found, True
