"""What the ledger says lies where, and the entries that made it so, each with its worth at a rate that is shown."""

from collections.abc import Mapping
from fractions import Fraction

from paynode.domain.ledger import Account
from paynode.domain.money import Asset, format_decimal, format_fixed, format_units, minor_digits
from paynode.domain.quote import Rate
from paynode.operations.catalogue import Catalogue
from paynode.operations.views.shapes import Amount, Moment, UnitsText, View, moment
from paynode.store.ledger_lists import EntryRecord

SHOWN: Mapping[str, Account] = {
    "deposits": Account.DEPOSITS,
    "held": Account.HELD,
    "in_transit": Account.IN_TRANSIT,
    "swept": Account.TREASURY,
    "gas": Account.GAS,
    "fees": Account.FEES,
    "reversed": Account.REVERSED,
}


class BalanceView(View, frozen=True, tag_field="object", tag="balance"):
    """What the ledger says lies where, of one method.

    A method that is no longer offered has no decimals. Without a rate in `currency` there are no values.
    """

    store: str
    method: str
    symbol: str | None
    decimals: int | None
    deposits: Amount | None
    deposits_units: UnitsText
    deposits_value: Amount | None
    held: Amount | None
    held_units: UnitsText
    held_value: Amount | None
    in_transit: Amount | None
    in_transit_units: UnitsText
    in_transit_value: Amount | None
    swept: Amount | None
    swept_units: UnitsText
    swept_value: Amount | None
    gas: Amount | None
    gas_units: UnitsText
    gas_value: Amount | None
    fees: Amount | None
    fees_units: UnitsText
    fees_value: Amount | None
    reversed: Amount | None
    reversed_units: UnitsText
    reversed_value: Amount | None
    currency: str
    rate: Amount | None
    rate_at: Moment | None


class LedgerEntryView(View, frozen=True, tag_field="object", tag="ledger_entry"):
    """What one account gained, or lost; the entries of one cause sum to zero."""

    id: str
    store: str
    account: Account
    method: str
    amount: Amount | None
    amount_units: UnitsText
    value: Amount | None
    currency: str
    rate: Amount | None
    rate_at: Moment | None
    cause: str
    reason: str
    created_at: Moment


def balance(
    catalogue: Catalogue, store_id: str, method: str, held: Mapping[Account, int], currency: str, rate: Rate | None
) -> BalanceView:
    """`held` is what each account holds, in base units; `rate` is that of one whole coin in `currency`."""
    asset = catalogue.assets.get(method)
    parts: dict[str, str | None] = {}
    for name, account in SHOWN.items():
        units = held.get(account, 0)
        parts[f"{name}_units"] = str(units)
        parts[name] = None if asset is None else format_units(units, asset.decimals)
        parts[f"{name}_value"] = _value(units, asset, currency, rate)
    return BalanceView(
        store=store_id,
        method=method,
        symbol=None if asset is None else asset.symbol,
        decimals=None if asset is None else asset.decimals,
        currency=currency,
        rate=None if rate is None else format_decimal(rate.value),
        rate_at=None if rate is None else moment(rate.at),
        **parts,  # type: ignore[arg-type]  # mypy gives the mapping to every field
    )


def ledger_entry(catalogue: Catalogue, record: EntryRecord, currency: str, rate: Rate | None) -> LedgerEntryView:
    """`rate` is that of the entry's time."""
    asset = catalogue.assets.get(record.method)
    return LedgerEntryView(
        id=record.name,
        store=record.store_id,
        account=record.account,
        method=record.method,
        amount=None if asset is None else format_units(record.units, asset.decimals),
        amount_units=str(record.units),
        value=_value(record.units, asset, currency, rate),
        currency=currency,
        rate=None if rate is None else format_decimal(rate.value),
        rate_at=None if rate is None else moment(rate.at),
        cause=record.cause,
        reason=record.reason,
        created_at=moment(record.at),
    )


def _value(units: int, asset: Asset | None, currency: str, rate: Rate | None) -> Amount | None:
    """What units are worth, rounded towards zero."""
    if asset is None or rate is None:
        return None
    worth = Fraction(rate.value) * abs(units) / 10**asset.decimals
    text = format_fixed(worth, minor_digits(currency))
    return f"-{text}" if units < 0 and text.strip("0.") else text
