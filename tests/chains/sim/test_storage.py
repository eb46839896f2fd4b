import msgspec
import pytest
import trio
import trio.testing
from tests.chains.sim.scene import COIN, ETHER, GAS, KEYS, SHOP, TREASURY, USDT, Clock

from paynode.chains.base import Outgoing
from paynode.chains.sim import miner, wallet
from paynode.chains.sim.storage import open_world
from paynode.chains.sim.world import World

HUGE = 2**256 - 1


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sim-sim.json"


def test_what_was_acknowledged_is_there_after_a_crash_at_any_moment(path):
    clock = Clock()
    world = open_world(path, COIN.method, clock, seed="s")

    def is_there_again() -> bool:
        again = open_world(path, COIN.method, clock)
        return again.snapshot() == world.snapshot() and (again.head, again.mempool) == (world.head, world.mempool)

    assert is_there_again()
    world.pay(SHOP, USDT.method, HUGE)
    assert is_there_again()
    world.fund(GAS, COIN.method, ETHER)
    assert is_there_again()
    planned = wallet.plan(Outgoing(GAS, TREASURY, COIN, 5, empties_sender=False), 0, world.fee_units)
    signed = wallet.sign(planned, KEYS[GAS])
    world.submit(wallet.read(signed.raw))
    assert is_there_again()
    world.mine()
    assert is_there_again()
    world.gas_price += 1
    assert is_there_again()
    world.reorg(1, keep=False)
    assert is_there_again()


def test_a_network_goes_on_after_a_restart_as_if_there_had_been_none(path):
    clock = Clock()
    staying, restarted = World(COIN.method, clock), open_world(path, COIN.method, clock)
    for world in (staying, restarted):
        world.pay(SHOP, USDT.method, HUGE)
        world.mine(3)
    restarted = open_world(path, COIN.method, clock)
    for world in (staying, restarted):
        world.pay(SHOP, COIN.method, 5)
        world.mine()
        world.reorg(4, keep=True)
    assert restarted.snapshot() == staying.snapshot()
    assert restarted.units(SHOP, USDT.method) == HUGE
    tx_hash = next(mined.tx.hash for block in staying.blocks_above(0) for mined in block.mined)
    assert restarted.find(tx_hash) == staying.find(tx_hash)


def test_no_part_of_a_file_is_ever_taken_for_the_whole(path):
    world = open_world(path, COIN.method, Clock())
    path.with_name(path.name + ".new").write_bytes(world.snapshot()[:20])  # died while writing
    assert open_world(path, COIN.method, Clock()).head == world.head
    before = path.read_bytes()
    with path.open("rb") as reader:
        world.pay(SHOP, USDT.method, 5)
        assert reader.read() == before  # the file was replaced, and not written into
    assert path.read_bytes() == world.snapshot()


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"[]"])
def test_a_file_that_is_something_else_is_left_alone_with_a_remedy(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"sim-sim\.json .* Move it away"):
        open_world(path, COIN.method, Clock())
    assert path.read_bytes() == content


def test_the_file_of_a_network_with_another_coin_is_refused(path):
    open_world(path, COIN.method, Clock())
    with pytest.raises(ValueError, match="native coin is sim_sim, not sim_other"):
        open_world(path, "sim_other", Clock())


def test_a_snapshot_without_blocks_is_refused():
    world = World(COIN.method, Clock())
    snapshot = msgspec.json.decode(world.snapshot()) | {"blocks": []}
    with pytest.raises(ValueError, match="length >= 1"):
        world.restore(msgspec.json.encode(snapshot))


async def test_the_miner_makes_a_block_each_time_its_seconds_are_over(autojump_clock):
    world = World(COIN.method, Clock())
    with trio.move_on_after(11):
        await miner.run(world, 2)
    assert world.head.number == 5
