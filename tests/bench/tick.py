"""What one look costs the node's processor, beside waiting: with many addresses, and with a gas station of long use."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

from tests.bench.calls import GAS, now, opened_world, simulated
from tests.bench.chain import FIRST_BLOCK
from tests.bench.report import Line

from paynode.domain.chain import BlockRef, Row, RowKind, RowSource
from paynode.operations.observations import load_books
from paynode.store import chain_rows
from paynode.store.database import Tx

WATCHES = (300, 3000)
OLD_ROWS = 10_000
TICKS = 10


async def run() -> AsyncIterator[list[Line]]:
    """Few and many addresses, without and with old rows."""
    for count in WATCHES:
        yield await simulated(partial(_measured, count, 0))
    yield await simulated(partial(_measured, WATCHES[0], OLD_ROWS))


async def _measured(count: int, old_rows: int) -> list[Line]:
    with opened_world(2.0) as world:
        await world.follow(timedelta(minutes=1))
        world.database.write(_add_old_rows, old_rows)
        world.chain.pay(FIRST_BLOCK, GAS, old_rows)
        world.open(count)
        await world.follow(timedelta(minutes=1))
        began = time.process_time()
        for _ in range(TICKS):
            world.database.read(load_books, world.catalogue, "chain", is_wide=True)
        books = time.process_time() - began
        began, looked = time.process_time(), world.chain.calls["eth_getBlockByNumber"]
        await world.follow(timedelta(minutes=2))
        whole = time.process_time() - began
        ticks = world.chain.calls["eth_getBlockByNumber"] - looked
    what = f"{count:,} addresses" + (f", {old_rows:,} old rows of a gas station" if old_rows else "")
    return [
        Line(f"processor time of a look, {what}", whole / ticks * 1000, "ms"),
        Line("  of which loading the books", books / TICKS * 1000, "ms"),
    ]


def _add_old_rows(tx: Tx, count: int) -> None:
    for number in range(count):
        block = BlockRef(FIRST_BLOCK - 1_000_000 + number, f"0x01d{number:061x}", now() - timedelta(days=30))
        row = Row(RowKind.IN, RowSource.TX, GAS, "chain_eth", 1, block, tx_hash=f"0x01d{number:061x}", own=True)
        row_id = chain_rows.add_row(tx, "chain", row, now())
        assert row_id is not None, "each is another"
        chain_rows.confirm_row(tx, row_id, 1, now())
