"""What a reorganisation does to addresses that were shown while it was being looked at."""

from datetime import timedelta
from pathlib import Path

from tests.lab.simnode import SimNode

from paynode.domain.chain import AHEAD_MAX, Pair
from paynode.operations.observations import apply_observation, load_books
from paynode.store import watches


async def test_an_address_shown_during_the_tick_of_a_reorg_is_searched_from_the_fork(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    await node.mine(6, "alpha")
    await node.look()
    world = node.worlds["alpha"]
    world.reorg(4, keep=False)
    books = node.database.read(load_books, node.catalogue, "alpha")
    observation = await node.chains["alpha"].observe(books)
    invoice = node.create()
    node.database.write(apply_observation, node.catalogue, "alpha", books, observation, node.clock())
    watch = node.database.read(watches.watch, "alpha", node.address(invoice))
    assert watch is not None
    assert watch.floor == observation.fork_number == 2


async def test_a_floor_follows_each_deeper_fork(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    await node.mine(9, "alpha")
    await node.look()
    pair = Pair(node.address(node.create()), "alpha_usdt")
    node.database.write(watches.set_floors, "alpha", {pair: 8})
    for depth, floor in ((2, 7), (5, 5)):
        node.worlds["alpha"].reorg(depth, keep=False)
        await node.look("alpha")
        books = node.database.read(load_books, node.catalogue, "alpha")
        [watch] = [watch for watch in books.watches if watch.address == pair.address]
        assert books.floor(watch, pair.method) == floor


async def test_what_leaves_the_chain_after_its_watch_is_looked_for_again(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    await node.mine(3, "alpha")
    invoice_id = node.create()
    node.clock.now = node.invoice(invoice_id).record.monitor_until - timedelta(seconds=3)
    node.pay(invoice_id, 10**7)
    await node.mine(4, "alpha")
    node.clock.advance(AHEAD_MAX)
    await node.mine(4, "alpha")
    watch = node.database.read(watches.watch, "alpha", node.address(invoice_id))
    assert watch is not None
    assert watch.is_closed
    node.worlds["alpha"].reorg(9, keep=False)
    await node.look("alpha")
    assert [deposit.stage for deposit in node.deposits(invoice_id)] == ["orphaned"]
    await node.mine(8, "alpha")
    node.clock.advance(timedelta(hours=20))
    node.pay(invoice_id, 10**7)
    await node.mine(4, "alpha")
    assert [deposit.stage for deposit in node.deposits(invoice_id)] == ["orphaned", "settled"]


async def test_a_watch_goes_on_for_as_long_as_a_block_may_be_dated_ahead(tmp_path: Path) -> None:
    """One provider's forged time ends no watch before its time."""
    node = SimNode(tmp_path)
    await node.mine(3, "alpha")
    invoice_id = node.create()
    until = node.invoice(invoice_id).record.monitor_until
    assert until is not None
    node.clock.now = until + AHEAD_MAX - timedelta(minutes=1)
    await node.mine(8, "alpha")
    node.pay(invoice_id, 10**7)
    await node.mine(4, "alpha")
    assert [deposit.stage for deposit in node.deposits(invoice_id)] == ["settled"]
