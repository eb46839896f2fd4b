"""Payment methods: the assets and networks that invoices may offer."""

from paynode.api.body import Nothing
from paynode.api.caip import asset_id, chain_id
from paynode.api.lists import ListView, list_answer
from paynode.api.routes import Call, Routes
from paynode.config import Network
from paynode.domain.money import Asset
from paynode.operations.once import Answer
from paynode.operations.views.shapes import View
from paynode.store import chain, refused_methods
from paynode.store.database import Tx

routes = Routes()


class PaymentMethodView(View, frozen=True, tag_field="object", tag="payment_method"):
    """An asset on a network; `asset` is its CAIP-19 id, `chain` the CAIP-2 id of its network."""

    method: str
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


@routes.get("/v1/payment_methods", scope="store:read", shows=ListView[PaymentMethodView])
def list_all(call: Call[Nothing], tx: Tx) -> Answer:
    """List what invoices may offer.

    Those of disabled networks too: invoices may name them no more, yet old ones do.
    """
    found, refused = [], refused_methods.reasons(tx)
    for network in call.node.catalogue.config.networks.values():
        is_ready = network.is_enabled and chain.cursor(tx, network.name) is not None
        found += [_view(network, asset, refused.get(asset.method), is_ready=is_ready) for asset in network.assets]
    return list_answer(found)


def _view(network: Network, asset: Asset, refused: str | None, *, is_ready: bool) -> PaymentMethodView:
    return PaymentMethodView(
        method=asset.method,
        network=network.name,
        chain=chain_id(network),
        asset=asset_id(network, asset),
        symbol=asset.symbol,
        decimals=asset.decimals,
        contract=asset.contract,
        stable=asset.is_stable,
        confirmations=network.confirmations,
        enabled=network.is_enabled,
        ready=is_ready and refused is None,
        reason=refused,
    )
