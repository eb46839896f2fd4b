"""A command's own short connection to the database, beside the daemon's."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from paynode.config import Config
from paynode.operations.catalogue import Catalogue, build
from paynode.operations.startup import StartupProblem
from paynode.store import database as databases
from paynode.store import methods, stores
from paynode.store.database import Database, Tx


def now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def opened(config: Config) -> Iterator[tuple[Database, Catalogue]]:
    """The database of an existing node, and the catalogue of the stores it knows.

    Raises:
        DatabaseProblem: it is missing or unusable.
        StartupProblem: it belongs to a node of another mode.
    """
    database = databases.open(config.node.database, migrate=False)
    try:
        yield database, database.read(_catalogue, config)
    finally:
        database.close()


def _catalogue(tx: Tx, config: Config) -> Catalogue:
    mode = stores.set_node(tx, config.node.mode, now())
    if mode != config.node.mode:
        raise StartupProblem(
            f'This database belongs to a node with mode "{mode}", the config says "{config.node.mode}". '
            "Name the config that belongs to it with -c."
        )
    keys = {record.id: record.name for record in stores.all_stores(tx) if record.name in config.stores}
    return build(config, keys, methods.numbers(tx))
