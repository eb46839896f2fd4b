"""Payment methods: the assets and networks that invoices may offer, and what a store says about each."""

from dataclasses import replace
from decimal import Decimal
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from paynode.api.body import Form, Number
from paynode.api.caip import asset_id, chain_id
from paynode.api.lists import ListView, list_answer
from paynode.api.method_names import named
from paynode.api.numbers import AMOUNT_BELOW
from paynode.api.query import QueryForm
from paynode.api.routes import Call, Routes, answer
from paynode.config import Network
from paynode.domain.currencies import CURRENCIES
from paynode.domain.errors import Invalid, NotFound
from paynode.domain.money import Asset, NotAnAmount, format_decimal, minor_digits, parse_decimal
from paynode.operations.once import Answer
from paynode.operations.views.shapes import Amount, View
from paynode.store import chain, methods, refused_methods
from paynode.store.database import Tx
from paynode.store.methods import MethodSetting

routes = Routes()

UNSEEN = "its network was not looked at yet"

StoreId = Annotated[str, Meta(max_length=30)]


class MinimumView(View, frozen=True):
    amount: Amount
    currency: str


class PaymentMethodView(View, frozen=True, tag_field="object", tag="payment_method"):
    """An asset on a network, as a store offers it; `asset` is its CAIP-19 id, `chain` the CAIP-2 id of its network.

    `number` never changes and never means another method. `enabled`: the config and the store offer it. `ready`: it can
    be paid now. `reason` says why not. `minimum`: invoices of less do not offer it.
    """

    method: str
    number: int
    network: str
    chain: str
    asset: str
    symbol: str
    decimals: int
    contract: str | None
    stable: bool
    confirmations: int
    enabled: bool
    ready: bool
    reason: str | None
    minimum: MinimumView | None


class MinimumForm(Form, frozen=True):
    amount: Number
    currency: Annotated[str, Meta(max_length=20)]


class MethodChange(Form, frozen=True):
    """What is not named stays; `minimum` null: none."""

    enabled: bool | UnsetType = UNSET
    minimum: MinimumForm | UnsetType | None = UNSET
    store: StoreId | None = None


class MethodsQuery(QueryForm, frozen=True):
    """With a key of the node: as which store offers them, if there are several."""

    store: StoreId | None = None


@routes.get("/v1/payment_methods", MethodsQuery, scope="store:read", shows=ListView[PaymentMethodView])
def list_all(call: Call[MethodsQuery], tx: Tx) -> Answer:
    """List what the invoices of a store may offer.

    Those that are switched off too: new invoices name them no more, yet old ones do.
    """
    is_any_stores = call.store_id is None and call.form.store is None
    settings = {} if is_any_stores else methods.settings(tx, call.owner(call.form.store))
    found = [
        _view(call, tx, network, asset, settings.get(asset.method))
        for network in call.node.catalogue.config.networks.values()
        for asset in network.assets
    ]
    return list_answer(found)


@routes.patch("/v1/payment_methods/<method>", MethodChange, scope="store:write", shows=PaymentMethodView)
def change(call: Call[MethodChange], tx: Tx) -> Answer:
    """Switch a method on or off for the store's new invoices, or set the least amount that offers it.

    Invoices that exist keep what they offer.
    """
    form, name, store_id = call.form, named(call.node.catalogue, call.path["method"]), call.owner(call.form.store)
    network, asset = _found(call, name)
    setting = methods.settings(tx, store_id).get(name, MethodSetting(store_id, name))
    if form.enabled is not UNSET:
        setting = replace(setting, is_offered=form.enabled)
    if form.minimum is None:
        setting = replace(setting, minimum=None, minimum_currency=None)
    elif form.minimum is not UNSET:
        minimum, currency = _read(form.minimum)
        setting = replace(setting, minimum=minimum, minimum_currency=currency)
    methods.save(tx, setting)
    return answer(_view(call, tx, network, asset, setting))


def _found(call: Call[MethodChange], name: str) -> tuple[Network, Asset]:
    for network in call.node.catalogue.config.networks.values():
        for asset in network.assets:
            if asset.method == name:
                return network, asset
    raise NotFound("payment method")


def _read(minimum: MinimumForm) -> tuple[Decimal, str]:
    """An amount of a fiat currency: what a transfer is worth while, not how many coins it is."""
    currency = minimum.currency.upper()
    if currency not in CURRENCIES:
        raise Invalid.field("/minimum/currency", "unknown_currency", "Give an ISO 4217 currency, such as USD.")
    try:
        amount = parse_decimal(minimum.amount.text, decimals_max=minor_digits(currency))
    except NotAnAmount as error:
        raise Invalid.field("/minimum/amount", "not_an_amount", f"The amount {error}.") from error
    if not 0 < amount < AMOUNT_BELOW:
        detail = f"Give more than zero and less than {AMOUNT_BELOW:f}; null removes the minimum."
        raise Invalid.field("/minimum/amount", "out_of_range", detail)
    return amount, currency


def _view(
    call: Call[MethodsQuery] | Call[MethodChange], tx: Tx, network: Network, asset: Asset, setting: MethodSetting | None
) -> PaymentMethodView:
    is_offered = setting is None or setting.is_offered
    reason = refused_methods.reasons(tx).get(asset.method)
    if not network.is_enabled:
        reason = "its network is disabled in the config"
    elif not is_offered:
        reason = "the store has switched it off"
    elif chain.cursor(tx, network.name) is None:
        reason = UNSEEN
    return PaymentMethodView(
        method=asset.method,
        number=call.node.catalogue.method_numbers[asset.method],
        network=network.name,
        chain=chain_id(network),
        asset=asset_id(network, asset),
        symbol=asset.symbol,
        decimals=asset.decimals,
        contract=asset.contract,
        stable=asset.is_stable,
        confirmations=network.confirmations,
        enabled=network.is_enabled and is_offered,
        ready=reason is None,
        reason=reason,
        minimum=None
        if setting is None or setting.minimum is None or setting.minimum_currency is None
        else MinimumView(amount=format_decimal(setting.minimum), currency=setting.minimum_currency),
    )
