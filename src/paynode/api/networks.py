"""Networks: whether we follow each, and how far. For the node's owner; URLs of providers hold keys and stay inside."""

from collections.abc import Sequence

from paynode.api.body import Nothing
from paynode.api.caip import chain_id
from paynode.api.lists import ListView, list_answer
from paynode.api.routes import Call, Routes, answer
from paynode.chains.base import ProviderHealth, ProviderState
from paynode.config import Family, Network
from paynode.domain.errors import NotFound
from paynode.operations.once import Answer
from paynode.operations.views.shapes import Moment, View, moment, moment_or_none
from paynode.store import chain, stores
from paynode.store.chain import NetworkRecord
from paynode.store.database import Tx

routes = Routes()


class BlockView(View, frozen=True):
    number: int
    hash: str
    at: Moment


class ProviderView(View, frozen=True):
    """One provider by its host: what it said last, and what it cost today."""

    name: str
    state: ProviderState
    reason: str | None
    head: int | None
    lag_blocks: int | None
    errors_today: int
    lies_today: int
    calls_today: int
    calls_per_day: int | None
    calls_saved_today: int
    seconds_waited_today: int


class NetworkAccountView(View, frozen=True):
    """The gas station of a store: where its owner sends coins for fees."""

    store: str
    gas: str


class NetworkView(View, frozen=True, tag_field="object", tag="network"):
    """A chain that is followed: `head` is what the providers report, `cursor` how far it has been looked at."""

    id: str
    family: Family
    chain: str
    state: str
    reason: str | None
    hold: str | None
    head: BlockView | None
    cursor: BlockView | None
    looked_at: Moment | None
    lag_seconds: int | None
    confirmations: int
    providers: list[ProviderView]
    accounts: list[NetworkAccountView]


@routes.get("/v1/networks", scope="node:read", shows=ListView[NetworkView])
def list_all(call: Call[Nothing], tx: Tx) -> Answer:
    """List the networks, whether each is followed, and how far."""
    return list_answer(network_view(call, tx, network) for network in call.node.catalogue.config.networks.values())


@routes.get("/v1/networks/<network>", scope="node:read", shows=NetworkView)
def show(call: Call[Nothing], tx: Tx) -> Answer:
    """Show a network."""
    network = call.node.catalogue.config.networks.get(call.path["network"])
    if network is None:
        raise NotFound("network")
    return answer(network_view(call, tx, network))


def network_view(call: Call[Nothing], tx: Tx, network: Network) -> NetworkView:
    record, cursor = chain.network(tx, network.name), chain.cursor(tx, network.name)
    providers = call.node.providers(network.name)
    return NetworkView(
        id=network.name,
        family=network.family,
        chain=chain_id(network),
        state=record.state if network.is_enabled else "disabled",
        reason=record.reason or _why_slow(providers),
        hold=record.hold,
        head=_head(record),
        cursor=None if cursor is None else BlockView(number=cursor.number, hash=cursor.hash, at=moment(cursor.at)),
        looked_at=moment_or_none(record.looked_at),
        lag_seconds=None if cursor is None else max(0, int((call.now - cursor.at).total_seconds())),
        confirmations=network.confirmations,
        providers=[_provider(health) for health in providers],
        accounts=_accounts(call, tx, network),
    )


def _head(record: NetworkRecord) -> BlockView | None:
    if record.head_number is None or record.head_hash is None or record.head_at is None:
        return None
    return BlockView(number=record.head_number, hash=record.head_hash, at=moment(record.head_at))


def _why_slow(providers: Sequence[ProviderHealth]) -> str | None:
    """Why looks are as rare as can be, though nothing is wrong; None: they are not."""
    states = {health.state for health in providers}
    if ProviderState.SPENT not in states or ProviderState.OK in states:
        return None
    return "; ".join(f"{health.name}: {health.reason}" for health in providers)


def _provider(health: ProviderHealth) -> ProviderView:
    return ProviderView(
        name=health.name,
        state=health.state,
        reason=health.reason,
        head=health.head_number,
        lag_blocks=health.lag_blocks,
        errors_today=health.usage.errors,
        lies_today=health.usage.lies,
        calls_today=health.usage.calls,
        calls_per_day=health.calls_per_day,
        calls_saved_today=health.usage.calls_saved,
        seconds_waited_today=health.usage.seconds_waited,
    )


def _accounts(call: Call[Nothing], tx: Tx, network: Network) -> list[NetworkAccountView]:
    catalogue = call.node.catalogue
    found = []
    for store_id, key in catalogue.store_keys.items():
        branch = stores.account(tx, network.family, catalogue.config.stores[key].account)
        if branch is not None and branch.gas_address:
            found.append(NetworkAccountView(store=store_id, gas=branch.gas_address))
    return found
