"""What lies where: the ledger's balances per store and method, and its entries."""

from datetime import datetime
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from paynode.api.lists import ListView, list_answer, page_answer, stores_of
from paynode.api.method_names import named
from paynode.api.parameters import IdOf
from paynode.api.query import CountedPageQuery, QueryForm
from paynode.api.routes import Call, Routes
from paynode.domain.currencies import CURRENCIES
from paynode.domain.errors import Invalid
from paynode.domain.ledger import Account
from paynode.domain.quote import Rate
from paynode.operations.once import Answer
from paynode.operations.views.ledger import BalanceView, LedgerEntryView, balance, ledger_entry
from paynode.store import ledger, ledger_lists, rates
from paynode.store.database import Tx
from paynode.store.ledger_lists import EntryFilter

routes = Routes()

DEFAULT_CURRENCY = "USD"
Currency = Annotated[str, Meta(max_length=3, description="ISO 4217: what values are told in.")]


class BalanceQuery(QueryForm, frozen=True):
    currency: Currency = DEFAULT_CURRENCY
    method: tuple[str, ...] = ()
    store: tuple[Annotated[str, IdOf("sto")], ...] = ()


class LedgerQuery(CountedPageQuery, frozen=True):
    prefix: ClassVar[str] = ledger_lists.PREFIX
    currency: Currency = DEFAULT_CURRENCY
    method: tuple[str, ...] = ()
    account: tuple[Account, ...] = ()
    reason: tuple[str, ...] = ()
    cause: str | None = None
    store: tuple[Annotated[str, IdOf("sto")], ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None


@routes.get("/v1/balances", BalanceQuery, scope="balances:read", shows=ListView[BalanceView])
def list_all(call: Call[BalanceQuery], tx: Tx) -> Answer:
    """Show what lies where, by the ledger.

    Every offered method of every store the caller sees, and methods no longer offered where they hold something, each
    with its worth at the newest rate.
    """
    catalogue, currency = call.node.catalogue, currency_of(call.form.currency)
    wanted = {named(catalogue, each) for each in call.form.method}
    held: dict[tuple[str, str], dict[Account, int]] = {}
    seen = stores_of(call, call.form.store)
    for store_id in catalogue.store_keys if seen is None else seen:
        held |= {(store_id, method): {} for method in catalogue.assets}
    for each in ledger.balances(tx, call.store_id):
        if (each.units or (each.store_id, each.method) in held) and (seen is None or each.store_id in seen):
            held.setdefault((each.store_id, each.method), {})[each.account] = each.units
    return list_answer(
        balance(catalogue, store_id, method, by_account, currency, rate_of(call, tx, method, currency, call.now))
        for (store_id, method), by_account in held.items()
        if not wanted or method in wanted
    )


def ledger_filter(call: Call[Any], query: LedgerQuery) -> EntryFilter:
    """What the query narrows a list of entries to."""
    return EntryFilter(
        store_ids=stores_of(call, query.store),
        methods=[named(call.node.catalogue, each) for each in query.method],
        accounts=query.account,
        reasons=query.reason,
        cause=query.cause,
        after=query.created_after,
        before=query.created_before,
    )


@routes.get("/v1/ledger", LedgerQuery, scope="balances:read", shows=ListView[LedgerEntryView], is_long=True)
def list_entries(call: Call[LedgerQuery], tx: Tx) -> Answer:
    """List the ledger's entries, each with its worth at the rate of its own time."""
    wanted, currency = ledger_filter(call, call.form), currency_of(call.form.currency)
    found = ledger_lists.page_of(tx, wanted, call.form.page)
    total = ledger_lists.count(tx, wanted) if "total" in call.form.include else None
    return page_answer(
        found.map(
            lambda entry: ledger_entry(
                call.node.catalogue, entry, currency, rate_of(call, tx, entry.method, currency, entry.at)
            )
        ),
        total,
    )


def currency_of(text: str) -> str:
    """The currency that values are to be told in.

    Raises:
        Invalid: there is none of that name.
    """
    if text.upper() not in CURRENCIES:
        raise Invalid.field("currency", "unknown_currency", "Give the code of a currency, such as EUR.")
    return text.upper()


def rate_of(call: Call[Any], tx: Tx, method: str, currency: str, moment: datetime) -> Rate | None:
    """What one whole coin was worth then, as near as is known."""
    asset = call.node.catalogue.assets.get(method)
    return None if asset is None else rates.nearest(tx, asset.symbol, currency, moment)
