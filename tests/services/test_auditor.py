"""The auditor on a database in a file, as the daemon has it."""

from pathlib import Path

from tests.lab.shop import NOW, open_shop, sim_config

from paynode.services import auditor
from paynode.store import database as databases
from paynode.store import outgoing
from paynode.store.database import Tx


def forge(tx: Tx, store_id: str) -> None:
    """What somebody with a SQLite shell could write."""
    tx.run(
        "insert into ledger_balances (store_id, account, method, units) values (?, 'treasury', 'sim_usdt', '1')",
        (store_id,),
    )


async def reasons_to_pause(folder: Path, *, is_forged: bool) -> list[str]:
    """Why outflows are paused after one audit."""
    config = sim_config(folder)
    databases.create(config.node.database)
    database = databases.open(config.node.database)
    shop = open_shop(config, database=database)
    if is_forged:
        database.write(forge, shop.store_id)
    await auditor.audit_once(database, shop.catalogue, config.node.database, lambda: NOW)
    found = [pause.reason for pause in database.read(outgoing.pauses)]
    database.close()
    return found


async def test_forged_books_pause_every_network_and_say_why(tmp_path: Path) -> None:
    (reason,) = await reasons_to_pause(tmp_path, is_forged=True)
    assert reason.startswith("the books do not balance: sim_usdt")


async def test_books_that_balance_pause_nothing(tmp_path: Path) -> None:
    assert await reasons_to_pause(tmp_path, is_forged=False) == []
