"""Networks: whether we follow each, and how far. For the node's owner; URLs of providers hold keys and stay inside."""

from collections.abc import Sequence

from paynode.api.body import Nothing
from paynode.api.caip import chain_id
from paynode.api.lists import list_answer
from paynode.api.routes import Call, Routes, answer
from paynode.chains.base import ProviderHealth, ProviderState
from paynode.config import Network
from paynode.domain.errors import NotFound
from paynode.operations.once import Answer
from paynode.operations.views import View, moment
from paynode.store import chain, stores
from paynode.store.database import Tx

routes = Routes()


@routes.get("/v1/networks", scope="node:read")
def list_all(call: Call[Nothing], tx: Tx) -> Answer:
    return list_answer(network_view(call, tx, network) for network in call.node.catalogue.config.networks.values())


@routes.get("/v1/networks/<network>", scope="node:read")
def show(call: Call[Nothing], tx: Tx) -> Answer:
    network = call.node.catalogue.config.networks.get(call.path["network"])
    if network is None:
        raise NotFound("network")
    return answer(network_view(call, tx, network))


def network_view(call: Call[Nothing], tx: Tx, network: Network) -> View:
    record, cursor = chain.network(tx, network.name), chain.cursor(tx, network.name)
    providers = call.node.providers(network.name)
    has_head = record.head_number is not None
    return {
        "object": "network",
        "id": network.name,
        "family": network.family,
        "chain": chain_id(network),
        "state": record.state if network.is_enabled else "disabled",
        "reason": record.reason or _why_slow(providers),
        "hold": record.hold,
        "head": {"number": record.head_number, "hash": record.head_hash, "at": moment(record.head_at)}
        if has_head
        else None,
        "cursor": None if cursor is None else {"number": cursor.number, "hash": cursor.hash, "at": moment(cursor.at)},
        "looked_at": moment(record.looked_at),
        "lag_seconds": None if cursor is None else max(0, int((call.now - cursor.at).total_seconds())),
        "confirmations": network.confirmations,
        "providers": [_provider(health) for health in providers],
        "accounts": _accounts(call, tx, network),
    }


def _why_slow(providers: Sequence[ProviderHealth]) -> str | None:
    """Why looks are as rare as can be, though nothing is wrong; None: they are not."""
    states = {health.state for health in providers}
    if ProviderState.SPENT not in states or ProviderState.OK in states:
        return None
    return "; ".join(f"{health.name}: {health.reason}" for health in providers)


def _provider(health: ProviderHealth) -> View:
    return {
        "name": health.name,
        "state": health.state,
        "reason": health.reason,
        "head": health.head_number,
        "lag_blocks": health.lag_blocks,
        "errors_today": health.usage.errors,
        "lies_today": health.usage.lies,
        "calls_today": health.usage.calls,
        "calls_per_day": health.calls_per_day,
        "calls_saved_today": health.usage.calls_saved,
        "seconds_waited_today": health.usage.seconds_waited,
    }


def _accounts(call: Call[Nothing], tx: Tx, network: Network) -> list[View]:
    """The gas station of each store: where the owner sends coins for fees."""
    catalogue = call.node.catalogue
    found = []
    for store_id, key in catalogue.store_keys.items():
        branch = stores.account(tx, network.family, catalogue.config.stores[key].account)
        if branch is not None and branch.gas_address:
            found.append({"store": store_id, "gas": branch.gas_address})
    return found
