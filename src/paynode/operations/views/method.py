"""One way to pay an invoice: what to send, where, until when."""

from datetime import datetime
from enum import StrEnum
from fractions import Fraction

from paynode.domain.invoice import seen_worth
from paynode.domain.money import Asset, format_decimal, format_units
from paynode.domain.quote import Quote
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import LoadedInvoice
from paynode.operations.payment_uri import payment_uri
from paynode.operations.views.shapes import Amount, Moment, UnitsText, Url, View, moment, seconds_until
from paynode.store.invoices import MethodRecord


class MethodState(StrEnum):
    OFFERED = "offered"  # the payer may pick it
    ACTIVE = "active"  # it has an address
    DISABLED = "disabled"  # its network left the config


class MethodView(View, frozen=True):
    """How to pay by one method. Of a disabled one, only what does not need the config is told; where the payer decides
    how much, nothing is quoted."""

    method: str
    network: str
    symbol: str | None
    decimals: int | None
    contract: str | None
    state: MethodState
    address: str | None
    amount: Amount | None
    amount_units: UnitsText | None
    amount_due: Amount | None
    amount_due_units: UnitsText | None
    rate: Amount | None
    rate_expires_at: Moment | None
    rate_expires_in: int | None
    confirmations_required: int
    payment_uri: str | None
    explorer_url: Url | None


def method(catalogue: Catalogue, loaded: LoadedInvoice, entry: MethodRecord, now: datetime) -> MethodView:
    asset, quote = catalogue.assets.get(entry.method), loaded.quote(entry.method)
    address = _address(catalogue, loaded, entry)
    due_units = None if asset is None else _due_units(loaded, quote, asset)
    return MethodView(
        method=entry.method,
        network=entry.network,
        symbol=None if asset is None else asset.symbol,
        decimals=None if asset is None else asset.decimals,
        contract=None if asset is None else asset.contract,
        state=MethodState.DISABLED if asset is None else MethodState.OFFERED if address is None else MethodState.ACTIVE,
        address=address,
        amount=None if asset is None or quote is None else format_units(quote.units, asset.decimals),
        amount_units=None if quote is None else str(quote.units),
        amount_due=None if asset is None or due_units is None else format_units(due_units, asset.decimals),
        amount_due_units=None if due_units is None else str(due_units),
        rate=None if quote is None else format_decimal(quote.rate),
        rate_expires_at=None if quote is None else moment(quote.valid_until),
        rate_expires_in=None if quote is None else seconds_until(quote.valid_until, now),
        confirmations_required=entry.confirmations,
        payment_uri=None
        if asset is None or address is None
        else payment_uri(catalogue.networks[entry.network], asset, address, due_units),
        explorer_url=None if address is None else catalogue.explorer_address_url(entry.network, address),
    )


def _address(catalogue: Catalogue, loaded: LoadedInvoice, entry: MethodRecord) -> str | None:
    """Where to pay; None until the method is picked, or while nobody watches its network."""
    if entry.provisioned_at is None or entry.network not in catalogue.networks:
        return None
    issued = loaded.addresses.get(catalogue.family(entry.network))
    return None if issued is None else issued.address


def _due_units(loaded: LoadedInvoice, quote: Quote | None, asset: Asset) -> int | None:
    """What is still to be sent: the rest's share of the quote, rounded up to what a wallet can pay.

    None where the payer decides.
    """
    if quote is None or loaded.price is None:
        return None
    price = Fraction(loaded.price.amount)
    share = quote.units * max(price - seen_worth(loaded.payments), Fraction(0)) / price
    step = 1 if loaded.price.is_in(asset) else 10 ** (asset.decimals - asset.payable_decimals)
    return min(quote.units, -((-share.numerator) // (share.denominator * step)) * step)
