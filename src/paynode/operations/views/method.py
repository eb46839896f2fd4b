"""One way to pay an invoice: what to send, where, until when."""

from datetime import datetime
from enum import StrEnum

from paynode.domain.invoice import seen_worth
from paynode.domain.money import format_decimal, format_units
from paynode.domain.quote import still_due
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import LoadedInvoice
from paynode.operations.payment_uri import payment_uri
from paynode.operations.views.shapes import Amount, Moment, UnitsText, Url, View, moment, seconds_until
from paynode.store.holdings import HoldingRecord
from paynode.store.invoices import MethodRecord


class MethodState(StrEnum):
    OFFERED = "offered"  # the payer may pick it
    ACTIVE = "active"  # it has an address
    PASSED_ON = "passed_on"  # another invoice has its address now: nobody should pay there any more
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
    issued = _issued(catalogue, loaded, entry)
    address = None if issued is None else issued.address
    due_units = None
    if asset is not None and quote is not None and loaded.price is not None:
        due_units = still_due(quote, loaded.price, seen_worth(loaded.payments), asset)
    state = _state(issued, is_enabled=asset is not None)
    return MethodView(
        method=entry.method,
        network=entry.network,
        symbol=None if asset is None else asset.symbol,
        decimals=None if asset is None else asset.decimals,
        contract=None if asset is None else asset.contract,
        state=state,
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
        if asset is None or address is None or state is not MethodState.ACTIVE
        else payment_uri(catalogue.networks[entry.network], asset, address, due_units),
        explorer_url=None if address is None else catalogue.explorer_address_url(entry.network, address),
    )


def _issued(catalogue: Catalogue, loaded: LoadedInvoice, entry: MethodRecord) -> HoldingRecord | None:
    """The address to pay to; None until the method is picked, or while nobody watches its network."""
    if entry.provisioned_at is None or entry.network not in catalogue.networks:
        return None
    return loaded.addresses.get(catalogue.family(entry.network))


def _state(issued: HoldingRecord | None, *, is_enabled: bool) -> MethodState:
    if not is_enabled:
        return MethodState.DISABLED
    if issued is None:
        return MethodState.OFFERED
    return MethodState.ACTIVE if issued.passed_on_at is None else MethodState.PASSED_ON
