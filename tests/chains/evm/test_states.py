"""Old states: what is left of them is found with a few reads, and what is gone costs precision only."""

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from tests.chains.evm.fakechain import FakeBlock
from tests.chains.evm.scene import Url
from tests.chains.evm.test_native_properties import brought, check_intervals
from tests.chains.evm.village import OURS, Village
from tests.lab.stub import Reply, reply, result, scripted, stub

from paynode.chains.evm.log_range import LogRange
from paynode.chains.evm.look import Looker
from paynode.chains.evm.reads import FULL_BLOCKS_MAX, Pruned, Reads
from paynode.chains.evm.states import States
from paynode.chains.jsonrpc import TooMuch
from paynode.chains.rpc import RpcPool
from paynode.domain.chain import RowSource

A = OURS[0]
CHAIN = 31337


class Memory:
    """A provider that keeps the states from one height on."""

    def __init__(self, kept_from: int) -> None:
        self.kept_from = kept_from
        self.read: list[int] = []

    async def balances(self, asks: Sequence[tuple[str, int]], head: int) -> list[int]:
        self.read += [height for _, height in asks]
        if min(height for _, height in asks) < self.kept_from:
            raise Pruned
        return [height for _, height in asks]


@given(st.integers(1, 500_000), st.integers(0, 500_000))
def test_the_oldest_state_is_found_to_a_fifth_of_its_age_with_a_few_reads(head: int, age: int) -> None:
    memory = Memory(max(head - age, 1))
    states = States(memory, head)
    assert trio.run(states.balances, [(A, 0)]) == [None]
    trio.run(states.measure, A)
    assert memory.kept_from <= states.oldest <= head
    assert (head - memory.kept_from + 1) * 4 <= (head - states.oldest + 1) * 5
    assert len(memory.read) <= 10
    read = len(memory.read)
    trio.run(states.measure, A)
    assert len(memory.read) == read, "it is known by now"


@given(st.lists(st.integers(0, 100), min_size=1, max_size=30), st.integers(0, 100))
def test_of_many_balances_at_once_those_are_read_whose_state_is_left(heights: list[int], kept_from: int) -> None:
    states = States(Memory(kept_from), 100)
    asks = [(A, height) for height in heights]
    assert trio.run(states.balances, asks) == [height if height >= kept_from else None for height in heights]


def test_a_measure_is_taken_anew_of_states_that_are_thrown_away() -> None:
    memory = Memory(500)
    states = States(memory, 1_000)
    assert trio.run(states.balances, [(A, 499), (A, 500)]) == [None, 500]
    memory.kept_from = 900
    assert trio.run(states.balances, [(A, 500)]) == [None]
    trio.run(states.measure, A)
    assert 900 <= states.oldest <= 920


def test_after_an_outage_all_is_placed_that_the_provider_still_remembers() -> None:
    village = Village()
    village.watch(A)
    village.views[0].kept = 600
    paid = {100: 3, 1_500: 5, 1_700: 7}
    blocks = [village.mine(*([village.paid(A, paid[at])] if at in paid else [])) for at in range(2_000)]
    village.tick()
    sources = {row.units: row.source for row in village.rows(A)}
    assert sources == {3: RowSource.UNPLACED, 5: RowSource.TX, 7: RowSource.TX}
    assert {row.block.number for row in village.rows(A) if row.source is RowSource.TX} == {
        blocks[at].number for at in (1_500, 1_700)
    }
    check_intervals(village, A)


@pytest.mark.parametrize("lost", [1, 10, 40])
def test_states_that_are_thrown_away_during_the_search_leave_a_rise_that_is_placed_as_well_as_it_can_be(
    lost: int,
) -> None:
    village = Village()
    village.watch(*OURS)
    view = village.views[0]
    view.kept = 190

    def forget(name: str, what: str) -> None:
        if what == "balances":
            assert view.kept is not None
            view.kept = max(view.kept - lost, 3)

    view.before_read = forget
    paid: dict[int, list[str]] = {20: OURS, 60: OURS[:2], 100: OURS[2:], 178: OURS}
    for at in range(180):
        village.mine(*(village.paid(to, 1 + at) for to in paid.get(at, [])))
    village.tick()
    for address in OURS:
        assert village.booked(address) == village.balance(address)
        check_intervals(village, address)


def test_the_payments_of_many_are_searched_with_as_many_requests_as_those_of_one() -> None:
    def requests(addresses: Sequence[str]) -> int:
        village = Village()
        village.watch(*addresses)
        asked: list[str] = []
        for _ in range(30):
            village.mine()
        block: FakeBlock = village.mine(*(village.paid(to, 5) for to in addresses), then=20)
        village.views[0].before_read = lambda name, what: asked.append(what)
        village.tick()
        for address in addresses:
            assert sum(brought(block, address).values()) == village.booked(address) == 5
        return sum(what in {"balances", "blocks"} for what in asked)

    assert requests(OURS) == requests(OURS[:1])


def test_the_payments_of_many_are_proven_with_as_many_requests_as_those_of_one() -> None:
    def requests(addresses: Sequence[str]) -> int:
        village = Village()
        village.watch(*addresses)
        asked: list[str] = []
        village.mine(*(village.paid(to, 5, is_inside=True) for to in addresses))
        village.tick()
        village.views[1].before_read = lambda name, what: asked.append(what)
        village.settle()
        assert all(row.confirmed for address in addresses for row in village.rows(address))
        return asked.count("balances")

    assert requests(OURS) == requests(OURS[:1]) == 1


def blocks_of(size: int, sizes: list[int]) -> Any:
    """A provider of full blocks with so many bytes in each; `sizes` are those of the batches it was asked for."""

    def one(call: dict[str, Any]) -> dict[str, Any]:
        number = int(call["params"][0], 16)
        return result(
            call,
            {
                "number": hex(number),
                "hash": call["params"][0],
                "parentHash": "0x" + "0" * 64,
                "timestamp": "0x1",
                "transactions": [],
                "extraData": "0x" + "00" * size,
            },
        )

    async def answer(body: Any) -> Reply:
        sizes.append(len(body) if isinstance(body, list) else 1)
        return reply([one(call) for call in body] if isinstance(body, list) else one(body))

    return scripted(CHAIN, answer)


async def test_full_blocks_that_are_too_much_at_once_are_asked_for_in_smaller_batches() -> None:
    hashes = [f"0x{number:064x}" for number in range(1, 12)]
    for size, asked in ((10, [8, 3]), (1_000, [8, 4, 2, 2, 2, 2, 2, 1])):
        sizes: list[int] = []
        async with (
            stub(blocks_of(size, sizes)) as server,
            RpcPool([Url(server.url, "one")], chain_id=CHAIN, answer_bytes_max=6_000) as pool,
        ):
            reads = Reads(pool.first, Looker(CHAIN), LogRange())
            found = await reads.full_blocks(hashes)
            assert [block.ref.hash for block in found] == hashes
            assert sizes == asked
            assert not pool.first.is_resting
    assert FULL_BLOCKS_MAX == 8


async def test_one_block_that_is_too_much_is_a_failure() -> None:
    async with (
        stub(blocks_of(10_000, [])) as server,
        RpcPool([Url(server.url, "one")], chain_id=CHAIN, answer_bytes_max=6_000) as pool,
    ):
        with pytest.raises(TooMuch):
            await Reads(pool.first, Looker(CHAIN), LogRange()).full_blocks([f"0x{1:064x}", f"0x{2:064x}"])
