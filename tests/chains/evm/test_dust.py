"""What payments too small to mean anything cost, and an address that is paid all the time: little, and nobody else."""

from datetime import timedelta

from tests.chains.evm.scene import DEPTH, NATIVE, our_address, scene
from tests.chains.evm.village import OURS, Village

from paynode.chains.evm.thrift import PAIRS_PER_TICK_MAX, READS_PER_HOUR_MAX
from paynode.domain.chain import RowSource

QUIET = ["eth_getBlockByNumber", "eth_call"]
DUST = 1000


async def test_a_payment_below_the_dust_limit_costs_one_call_until_it_is_deep() -> None:
    async with scene(providers=2) as s:
        await s.tick()
        a = our_address(1)
        s.keeper.watch(a, [NATIVE], depth=DEPTH, dust_units=DUST)
        shown = s.keeper.checkpoints[0]
        s.liars[0].forget()
        await s.lab.mine(40)
        await s.lab.send_native(a, DUST - 1)
        await s.lab.mine(40)
        seen = await s.tick()
        assert s.liars[0].methods == [*QUIET, "eth_getBalance"]
        (row,) = seen.rows
        assert (row.source, row.units, row.block) == (RowSource.UNPLACED, DUST - 1, seen.head)
        assert row.earliest_at == shown.at
        assert not seen.disputes
        for liar in s.liars:
            liar.forget()
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == DUST - 1
        assert sum(len(liar.methods) for liar in s.liars) == DEPTH * len(QUIET) + 3  # a block, and a balance of each


async def test_dust_grows_in_one_row_and_a_payment_beside_it_is_placed_and_confirmed_in_its_time() -> None:
    async with scene(providers=2) as s:
        await s.tick()
        a = our_address(1)
        s.keeper.watch(a, [NATIVE], depth=DEPTH, dust_units=DUST)
        s.liars[0].forget()
        for _ in range(5):
            await s.lab.send_native(a, 1)
            await s.tick()
        assert s.liars[0].methods == 5 * [*QUIET, "eth_getBalance"]
        (heap,) = s.rows(a, NATIVE)
        assert heap.units == 5
        receipt = await s.lab.send_native(a, DUST)
        await s.tick()
        (paid,) = (row for row in s.rows(a, NATIVE) if row.units == DUST)
        assert (paid.source, paid.tx_hash) == (RowSource.TX, receipt["transactionHash"])
        assert heap in s.rows(a, NATIVE)
        for _ in range(DEPTH - 1):
            await s.lab.send_native(a, 1)
            await s.tick()
        assert {row.units for row in s.keeper.confirmed(a, NATIVE)} >= {DUST}
        await s.settle()
        assert s.keeper.confirmed_units(a, NATIVE) == DUST + 5 + DEPTH - 1


async def test_dust_that_adds_up_to_more_than_dust_is_not_searched_either() -> None:
    async with scene(providers=1) as s:
        await s.tick()
        a = our_address(1)
        s.keeper.watch(a, [NATIVE], depth=DEPTH, dust_units=DUST)
        s.liars[0].forget()
        for _ in range(3):
            await s.lab.send_native(a, 600)
            await s.tick()
        looks = 3 * [*QUIET, "eth_getBalance"]
        assert s.liars[0].methods == [*looks, "eth_getBlockByNumber", "eth_getBalance"]  # the first is deep now
        assert [row.units for row in s.rows(a, NATIVE)] == [600, 600, 600]
        await s.settle(2 * DEPTH)
        assert s.keeper.confirmed_units(a, NATIVE) == 1800


async def test_what_came_with_a_payment_between_two_looks_is_placed_however_small() -> None:
    async with scene() as s:
        await s.tick()
        a = our_address(1)
        s.keeper.watch(a, [NATIVE], depth=DEPTH, dust_units=DUST)
        paid = {(await s.lab.send_native(a, units))["transactionHash"]: units for units in (1, DUST, 2)}
        seen = await s.tick()
        assert {row.tx_hash: row.units for row in seen.rows} == paid


def test_an_address_paid_in_every_block_uses_up_its_hour_and_nobody_elses() -> None:
    village = Village()
    noisy, quiet = OURS[:2]
    village.watch(noisy, quiet)
    blocks = 2 * READS_PER_HOUR_MAX
    for number in range(blocks):
        village.mine(village.paid(noisy, 1), *([village.paid(quiet, 7)] if number == blocks // 3 else []))
    seen = village.tick()
    assert not seen.disputes
    assert sum(count for pair, reads in village.memory.natives.reads.items() for _, count in reads) <= (
        READS_PER_HOUR_MAX + 20
    )
    assert village.booked(noisy) == village.balance(noisy) == blocks
    spans = [row for row in village.rows(noisy) if row.source is RowSource.UNPLACED]
    for row in spans:
        assert row.earliest_at is not None
        # One wei a block: what came is exactly as long as the span that it came in.
        assert row.block.at - row.earliest_at == timedelta(seconds=12 * row.units)
    assert spans
    (paid,) = village.rows(quiet)
    assert (paid.source, paid.block.number) == (RowSource.TX, 2 + blocks // 3)
    village.settle()
    assert sum(row.units for row in village.rows(noisy) if row.confirmed) == blocks
    assert paid.id is not None
    assert village.keeper.rows[paid.id].confirmed


def test_a_capped_address_is_booked_at_every_look_and_searched_again_after_an_hour() -> None:
    village = Village()
    (a,) = OURS[:1]
    village.watch(a)
    for _ in range(2 * READS_PER_HOUR_MAX):
        village.mine(village.paid(a, 1))
    village.tick()
    sources = []
    while RowSource.UNPLACED not in sources:
        village.mine(village.paid(a, 5), then=7)
        (row,) = village.tick().rows
        sources.append(row.source)
        assert (village.booked(a), len(sources) < 100) == (village.balance(a), True)
    assert row.block.hash == village.chain.head.hash
    village.settle()
    assert all(row.confirmed for row in village.rows(a))
    for _ in range(300):  # an hour of twelve seconds each
        village.mine()
    village.tick()
    block = village.mine(village.paid(a, 5), then=3)
    (row,) = village.tick().rows
    assert (row.source, row.block.hash) == (RowSource.TX, block.hash)


def test_after_an_outage_a_tick_searches_no_more_than_it_can_end_and_nobody_starves() -> None:
    """Half of the addresses held coins before they were watched, which nothing explains: their turn comes and goes."""
    village = Village()
    addresses = [our_address(number) for number in range(1, 2 * PAIRS_PER_TICK_MAX + 1)]
    hopeless, paid = addresses[:PAIRS_PER_TICK_MAX], addresses[PAIRS_PER_TICK_MAX:]
    village.mine(*(village.paid(address, 1) for address in hopeless))
    village.tick()
    village.watch(*addresses)
    number_by_address = {address: village.mine(village.paid(address, 7), then=9).number for address in paid}
    reads = 0
    for _ in range(2):
        village.tick()
        searched = village.memory.natives.reads
        assert len(searched) - reads == PAIRS_PER_TICK_MAX
        reads = len(searched)
    assert {row.address: row.block.number for row in village.keeper.standing} == number_by_address
    village.settle()
    assert all(row.confirmed for row in village.keeper.standing)
