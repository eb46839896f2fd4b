"""Balances: what the ledger says lies where, per store and payment method."""

from collections.abc import Mapping

from paynode.api.body import Nothing
from paynode.api.lists import ListView, list_answer
from paynode.api.routes import Call, Routes
from paynode.domain.ledger import Account
from paynode.domain.money import format_units
from paynode.operations.once import Answer
from paynode.operations.views.shapes import Amount, UnitsText, View
from paynode.store import ledger
from paynode.store.database import Tx

routes = Routes()


class BalanceView(View, frozen=True, tag_field="object", tag="balance"):
    """What the ledger says lies where, of one method; a method that is no longer offered has no decimals."""

    store: str
    method: str
    symbol: str | None
    decimals: int | None
    deposits: Amount | None
    deposits_units: UnitsText
    in_transit: Amount | None
    in_transit_units: UnitsText
    swept: Amount | None
    swept_units: UnitsText
    gas: Amount | None
    gas_units: UnitsText
    fees: Amount | None
    fees_units: UnitsText
    reversed: Amount | None
    reversed_units: UnitsText


_SHOWN: Mapping[str, Account] = {
    "deposits": Account.DEPOSITS,
    "in_transit": Account.IN_TRANSIT,
    "swept": Account.TREASURY,
    "gas": Account.GAS,
    "fees": Account.FEES,
    "reversed": Account.REVERSED,
}


@routes.get("/v1/balances", scope="balances:read", shows=ListView[BalanceView])
def list_all(call: Call[Nothing], tx: Tx) -> Answer:
    """Show what lies where, by the ledger.

    Every offered method of every store the caller sees, and methods no longer offered where they hold something.
    """
    catalogue = call.node.catalogue
    found = ledger.balances(tx, call.store_id)
    units = {(balance.store_id, balance.method, balance.account): balance.units for balance in found}
    store_ids = list(catalogue.store_keys) if call.store_id is None else [call.store_id]
    pairs = {(store_id, method): None for store_id in store_ids for method in catalogue.assets}
    pairs |= {(balance.store_id, balance.method): None for balance in found if balance.units}
    return list_answer(_view(call, store_id, method, units) for store_id, method in pairs)


Held = Mapping[tuple[str, str, Account], int]  # units by store, method and account


def _view(call: Call[Nothing], store_id: str, method: str, units: Held) -> BalanceView:
    asset = call.node.catalogue.assets.get(method)
    held = {name: units.get((store_id, method, account), 0) for name, account in _SHOWN.items()}
    amounts = {name: None if asset is None else format_units(each, asset.decimals) for name, each in held.items()}
    in_units = {f"{name}_units": str(each) for name, each in held.items()}
    return BalanceView(
        store=store_id,
        method=method,
        symbol=None if asset is None else asset.symbol,
        decimals=None if asset is None else asset.decimals,
        **amounts,  # type: ignore[arg-type]  # mypy gives each mapping to every field
        **in_units,
    )
