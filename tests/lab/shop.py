"""A shop for tests: a simulated node's config, its database with the stores in it, and the catalogue of both."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from paynode.config import Config, load_config
from paynode.operations import startup
from paynode.operations.api_keys import Terms, create_key
from paynode.operations.catalogue import Catalogue
from paynode.operations.startup import Branch
from paynode.store import database as databases
from paynode.store.database import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, step: timedelta) -> None:
        self.now += step


class Shop(NamedTuple):
    database: Database
    catalogue: Catalogue
    store_id: str  # of the store "main"


def sim_config(folder: Path, toml: str = "") -> Config:
    """The config of a simulated node with the store "main"; `toml` is added, and may hold any table but `[node]`."""
    path = folder / "paynode.toml"
    path.write_text(f'[node]\nmode = "sim"\ndata_dir = "{folder}"\n{toml}')
    return load_config(path, environ={})


def open_shop(config: Config, *, database: Database | None = None, now: datetime = NOW) -> Shop:
    """The config's stores in a database, in memory unless one is given."""
    opened = databases.in_memory() if database is None else database
    families = {network.family for network in config.enabled_networks}
    branches = [
        Branch(family, store.account, xpub="", gas_address="")
        for family in families
        for store in config.stores.values()
    ]
    catalogue = opened.write(startup.sync, config, branches, now)
    store_id = next(store_id for store_id, name in catalogue.store_keys.items() if name == "main")
    return Shop(opened, catalogue, store_id)


def make_key(shop: Shop, scopes: Iterable[str], *, of_node: bool = False, now: datetime = NOW) -> str:
    """The text of a new API key of the store, or of the node's owner."""
    store_id = None if of_node else shop.store_id
    _, text = shop.database.write(
        create_key, shop.catalogue, store_id=store_id, name="test", terms=Terms(scopes), now=now
    )
    return text
