"""Balances: what the ledger says lies where, per store and payment method."""

from collections.abc import Mapping

from paynode.api.body import Nothing
from paynode.api.lists import list_answer
from paynode.api.routes import Call, Routes
from paynode.domain.ledger import Account
from paynode.domain.money import format_units
from paynode.operations.once import Answer
from paynode.operations.views import View
from paynode.store import ledger
from paynode.store.database import Tx

routes = Routes()

_SHOWN: Mapping[str, Account] = {
    "deposits": Account.DEPOSITS,
    "in_transit": Account.IN_TRANSIT,
    "swept": Account.TREASURY,
    "gas": Account.GAS,
    "fees": Account.FEES,
    "reversed": Account.REVERSED,
}


@routes.get("/v1/balances", scope="balances:read")
def list_all(call: Call[Nothing], tx: Tx) -> Answer:
    """Every offered method of every store the caller sees, and methods no longer offered where they hold something."""
    catalogue = call.node.catalogue
    found = ledger.balances(tx, call.store_id)
    units = {(balance.store_id, balance.method, balance.account): balance.units for balance in found}
    store_ids = list(catalogue.store_keys) if call.store_id is None else [call.store_id]
    pairs = {(store_id, method): None for store_id in store_ids for method in catalogue.assets}
    pairs |= {(balance.store_id, balance.method): None for balance in found if balance.units}
    return list_answer(_view(call, store_id, method, units) for store_id, method in pairs)


def _view(call: Call[Nothing], store_id: str, method: str, units: Mapping[tuple[str, str, Account], int]) -> View:
    asset = call.node.catalogue.assets.get(method)
    view: View = {
        "object": "balance",
        "store": store_id,
        "method": method,
        "symbol": None if asset is None else asset.symbol,
        "decimals": None if asset is None else asset.decimals,
    }
    for name, account in _SHOWN.items():
        held = units.get((store_id, method, account), 0)
        view[f"{name}_units"] = str(held)
        view[name] = None if asset is None else format_units(held, asset.decimals)
    return view
