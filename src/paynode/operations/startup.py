"""Bringing the database in line with the config at every start: stores, branches, rates, treasuries, gas watches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from paynode.config import Config, Family
from paynode.domain.events import EventType
from paynode.domain.quote import Rate
from paynode.operations.announcing import announce
from paynode.operations.catalogue import Catalogue, build
from paynode.operations.sweeps import is_own_address
from paynode.operations.views.shapes import Moment, View, moment
from paynode.store import chain, methods, rates, stores, sweeps, watches
from paynode.store.database import Tx
from paynode.store.stores import AccountRecord
from paynode.store.sweeps import TreasuryRecord
from paynode.store.watches import WatchRecord


class TreasuryView(View, frozen=True, tag_field="object", tag="treasury"):
    """Where sweeps go from `effective_at` on; until then they go where they went."""

    network: str
    address: str
    previous_address: str
    effective_at: Moment


@dataclass(frozen=True, slots=True)
class Branch:
    """What one store's branch of the key tree looks like from outside."""

    family: Family
    account: int
    xpub: str
    gas_address: str  # '' where this node holds no keys


class StartupProblem(Exception):
    """The config and the database contradict each other. The message says how, and what to do."""


def sync(tx: Tx, config: Config, branches: Sequence[Branch], now: datetime) -> Catalogue:
    """Make the rows that the config asks for; returns the catalogue of what the node offers.

    Raises:
        StartupProblem: the database was made for another mode, seed or account, or a treasury is one of our addresses.
    """
    mode = stores.set_node(tx, config.node.mode, now)
    if mode != config.node.mode:
        raise StartupProblem(
            f'This database belongs to a node with mode "{mode}", the config says "{config.node.mode}". '
            "A node's mode never changes: make a new data_dir for another mode."
        )
    named = [asset.method for network in config.networks.values() for asset in network.assets]
    catalogue = build(config, _sync_stores(tx, config, now), methods.number(tx, named))
    for branch in branches:
        _sync_branch(tx, branch)
    _require_branches(tx, config, catalogue)
    for (base, quote), value in config.static_rates.items():
        latest = rates.latest(tx, base, quote, now)
        if latest is None or (latest.value, latest.source) != (value, rates.STATIC):
            rates.add(tx, Rate(base, quote, value, now, rates.STATIC))
    for store_id, key in catalogue.store_keys.items():
        for network in catalogue.networks:
            _watch_gas(tx, catalogue, store_id, config.stores[key].account, network)
            _sync_treasury(tx, catalogue, store_id, key, network, now)
    return catalogue


def _sync_stores(tx: Tx, config: Config, now: datetime) -> Mapping[str, str]:
    keys: dict[str, str] = {}
    for key, store in config.stores.items():
        known = stores.by_name(tx, key) or stores.add(tx, key, store.account, now)
        if known.account != store.account:
            raise StartupProblem(
                f"Store {key} was made with account {known.account}, the config says {store.account}. "
                "Its addresses belong to that account: put it back, or name a new store."
            )
        keys[known.id] = key
    return keys


def _sync_branch(tx: Tx, branch: Branch) -> None:
    known = stores.account(tx, branch.family, branch.account)
    if known is None:
        stores.add_account(tx, AccountRecord(branch.family, branch.account, branch.xpub, branch.gas_address, 0))
    elif known.xpub != branch.xpub:
        raise StartupProblem(
            f"Account {branch.account} of this database was made from another seed or xpub. Addresses already given "
            "to customers would be lost: put the right mnemonic or xpub back, or begin a new data_dir."
        )
    elif known.gas_address != branch.gas_address and branch.gas_address:
        stores.set_gas_address(tx, branch.family, branch.account, branch.gas_address)


def _require_branches(tx: Tx, config: Config, catalogue: Catalogue) -> None:
    for key, store in config.stores.items():
        for family in {network.family for network in catalogue.networks.values()}:
            if stores.account(tx, family, store.account) is None:
                raise StartupProblem(
                    f"Store {key} has no branch of the key tree for {family} networks yet. Run `paynode init` with "
                    "this config: it adds what is missing and changes nothing else."
                )


def _watch_gas(tx: Tx, catalogue: Catalogue, store_id: str, account: int, network: str) -> None:
    """Watch the store's gas station: what arrives there is the owner's, what leaves it is ours."""
    branch = stores.account(tx, catalogue.family(network), account)
    if branch is None or not branch.gas_address:
        return
    cursor = chain.cursor(tx, network)
    watches.add_watch(
        tx,
        WatchRecord(
            network=network,
            address=branch.gas_address,
            store_id=store_id,
            invoice_id=None,
            depth=catalogue.networks[network].confirmations,
            floor=0 if cursor is None else cursor.number,
            watch_until=None,
        ),
    )


def _sync_treasury(tx: Tx, catalogue: Catalogue, store_id: str, key: str, network: str, now: datetime) -> None:
    """Take over the config's treasury: at once the first time, after the announced delay when it changes (C7)."""
    wanted = catalogue.config.treasury(key, network)
    known = sweeps.treasury(tx, network, store_id)
    if wanted is None or (known is not None and known.address == wanted):
        return
    effective_at = now if known is None else now + catalogue.treasury_change_delay
    record = TreasuryRecord(network, store_id, wanted, effective_at)
    if is_own_address(tx, catalogue, network, record):
        raise StartupProblem(
            f"The treasury of {network} for store {key} is one of this node's own addresses. Name an address of a "
            "wallet that only you hold."
        )
    sweeps.set_treasury(tx, record)
    if known is not None:
        view = TreasuryView(
            network=network,
            address=wanted,
            previous_address=known.address,
            effective_at=moment(effective_at),
        )
        announce(
            tx,
            catalogue,
            EventType.TREASURY_CHANGED,
            subject=f"treasury:{network}:{store_id}",
            store_id=store_id,
            view=view,
            now=now,
        )
