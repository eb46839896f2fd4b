"""Rules 5 and 10: what comes and leaves between two looks moves no balance, and is found all the same."""

from datetime import timedelta

import pytest
from tests.chains.evm.fakechain import Payment
from tests.chains.evm.fakescene import CONTRACT, DEPTH, PAYER, STRANGER, TREASURY, USDT, FakeScene

from paynode.chains.evm.closing import CLOSED_BLOCKS, WIDE_RANGE_BLOCKS, Closable, due
from paynode.chains.evm.tick import Memory
from paynode.domain.chain import Pair, RowKind

FAR = CLOSED_BLOCKS + DEPTH
A, B = Pair("a", USDT), Pair("b", USDT)


def closable(floor: int, **kinds: frozenset[Pair]) -> Closable:
    known: dict[str, frozenset[Pair]] = {"exposed": frozenset(), "ending": frozenset()} | kinds
    return Closable(floors={A: floor, B: floor}, **known)


async def test_a_deposit_that_a_stranger_swept_between_two_looks_is_credited_once_its_range_is_closed() -> None:
    s = FakeScene()
    (a,) = await s.shop()
    s.mine(1, s.pays(a, 50))
    s.mine(FAR, s.pays(TREASURY, 50, sender=a))
    await s.tick()
    assert [(row.kind, row.units) for row in s.keeper.standing] == [(RowKind.IN, 50), (RowKind.OUT, 50)]
    await s.tick()
    assert all(row.confirmed for row in s.keeper.standing)


async def test_the_floor_rises_to_what_is_final_and_no_further() -> None:
    s = FakeScene()
    (a,) = await s.shop()
    s.mine(FAR)
    seen = await s.tick()
    assert seen.floors == {Pair(a, USDT): seen.head.number - DEPTH + 1}


async def test_a_range_is_closed_by_what_the_second_provider_says() -> None:
    s = FakeScene()
    (a,) = await s.shop()
    s.mine(1, s.pays(a, 50))
    s.mine(FAR, s.pays(TREASURY, 50, sender=a))
    s.views[0].lies = {"empty logs"}
    await s.tick()
    assert len(s.keeper.standing) == 2


@pytest.mark.parametrize("lie", ["no logs", "no blocks"])
async def test_while_the_second_provider_fails_no_floor_rises(lie: str) -> None:
    s = FakeScene()
    await s.shop()
    s.mine(FAR)
    s.views[1].lies = {lie}
    assert (await s.tick()).floors == {}


async def test_a_second_provider_that_is_behind_closes_nothing() -> None:
    s = FakeScene()
    (a,) = await s.shop()
    s.mine(FAR)
    behind = s.views[1].chain = type(s.chain)()
    behind.blocks = s.chain.blocks[:50]
    assert (await s.tick()).floors == {}
    behind.blocks = s.chain.blocks
    assert (await s.tick()).floors.keys() == {Pair(a, USDT)}


async def test_a_disputed_pair_keeps_its_floor_and_delays_no_other() -> None:
    s = FakeScene()
    a, b = await s.shop(2)
    s.chain.mine()
    s.chain.head.tokens[CONTRACT, a] = 5  # it grew by itself
    s.mine(FAR)
    seen = await s.tick()
    assert Pair(a, USDT) in seen.disputes
    assert seen.floors.keys() == {Pair(b, USDT)}


async def test_a_reorganisation_brings_a_risen_floor_down_again() -> None:
    s = FakeScene()
    (a,) = await s.shop()
    s.mine(FAR)
    await s.tick()
    s.chain.reorg(DEPTH + 6)
    s.mine(DEPTH + 8)
    seen = await s.tick()
    assert seen.fork_number is not None
    assert seen.floors[Pair(a, USDT)] <= seen.fork_number


async def test_a_narrow_provider_is_asked_about_addresses_with_code_only() -> None:
    s = FakeScene()
    a, b = await s.shop(2)
    s.views[1].lies = {"capped"}
    s.chain.codes[a] = 23
    await s.tick()
    s.mine(1, s.pays(a, 50), s.pays(b, 50))
    s.mine(FAR, s.pays(TREASURY, 50, sender=a), s.pays(TREASURY, 50, sender=b))
    for _ in range(8):  # so far in each tick, and the rest in the next
        await s.tick()
    assert {row.address for row in s.keeper.standing} == {a}
    assert Pair(b, USDT) not in s.keeper.floors


async def test_an_ending_watch_is_read_once_more_at_once() -> None:
    s = FakeScene()
    a, _b = await s.shop(2)
    s.mine(1, s.pays(a, 50))
    s.mine(DEPTH + 2, s.pays(TREASURY, 50, sender=a))
    assert (await s.tick()).ended == set()
    assert not s.keeper.standing
    await s.end(a)
    await s.tick()
    assert {row.address for row in s.keeper.standing} == {a}
    await s.tick()
    assert (await s.tick()).ended == {a}


async def test_a_watch_does_not_end_unread() -> None:
    s = FakeScene()
    (a,) = await s.shop()
    s.mine(DEPTH + 2)
    await s.end(a)
    s.views[1].lies = {"no logs"}
    assert (await s.tick()).ended == set()
    s.views[1].lies = set()
    assert (await s.tick()).ended == {a}


async def test_a_watch_does_not_end_while_a_row_of_it_may_be_refused() -> None:
    """What stale state made up is dropped again; by then nobody would look any more."""
    s = FakeScene()
    (a,) = await s.shop()
    s.mine(1, s.pays(a, 50))
    s.mine(DEPTH - 1)
    await s.end(a)
    seen = await s.tick()
    assert len(seen.rows) == 1
    assert seen.ended == set()
    assert (await s.tick()).ended == set()  # proven now, and stored so
    assert (await s.tick()).ended == {a}


async def test_a_disputed_watch_does_not_end() -> None:
    s = FakeScene()
    (a,) = await s.shop()
    s.chain.mine()
    s.chain.head.native[a] = 5
    s.chain.head.tokens[CONTRACT, a] = 5
    s.mine(FAR)
    await s.end(a)
    assert (await s.tick()).ended == set()


async def test_a_payment_to_the_treasury_from_an_address_with_code_makes_that_address_read() -> None:
    """Rule 5 alone: nothing is old enough for a closed range."""
    s = FakeScene()
    a, _b = await s.shop(2)
    s.keeper.treasuries.add(TREASURY)
    s.chain.codes[a] = 23
    await s.tick()
    s.mine(1)
    await s.tick()
    s.mine(1, s.pays(a, 50))
    s.mine(1, s.pays(TREASURY, 50, sender=a))
    await s.tick()
    assert [(row.kind, row.address) for row in s.keeper.standing] == [(RowKind.IN, a), (RowKind.OUT, a)]


async def test_a_treasury_that_logs_do_not_explain_makes_every_address_with_code_read() -> None:
    s = FakeScene()
    a, _b = await s.shop(2)
    s.keeper.treasuries.add(TREASURY)
    s.chain.codes[a] = 23
    await s.tick()
    s.mine(1)
    await s.tick()
    s.mine(1, s.pays(a, 50))
    s.mine(1, s.pays(STRANGER, 50, sender=a))
    s.chain.mine()
    s.chain.head.tokens[CONTRACT, TREASURY] = 7
    await s.tick()
    assert {row.address for row in s.keeper.standing} == {a}


async def test_without_code_the_treasury_is_nobodys_business() -> None:
    s = FakeScene()
    await s.shop()
    s.keeper.treasuries.add(TREASURY)
    s.mine(1, s.pays(TREASURY, 50))
    await s.tick()
    assert s.memory.ranges.treasury == {}


async def test_a_touched_address_is_read_though_its_balance_is_right() -> None:
    s = FakeScene()
    a, b = await s.shop(2)
    s.mine(1, s.pays(a, 50), s.pays(b, 50))
    s.mine(1, s.pays(TREASURY, 50, sender=a), s.pays(TREASURY, 50, sender=b))
    s.keeper.touched.add(a)
    await s.tick()
    assert {row.address for row in s.keeper.standing} == {a}


async def test_a_touched_address_is_read_to_the_end_over_many_ticks_where_ranges_are_narrow() -> None:
    s = FakeScene()
    a, b = await s.shop(2)
    for view in s.views:
        view.lies = {"capped"}
    s.mine(1, s.pays(a, 50), s.pays(b, 50))
    s.mine(600, s.pays(TREASURY, 50, sender=a), s.pays(TREASURY, 50, sender=b))
    assert (await s.tick()).rows == ()
    s.keeper.touched.add(a)
    ticks = 0
    while not (await s.tick()).read_again:
        s.memory = Memory()  # progress is in the floors: a restart costs nothing but the newest logs
        ticks += 1
    assert 2 <= ticks < 20
    assert [(row.address, row.kind) for row in s.keeper.standing] == [(a, RowKind.IN), (a, RowKind.OUT)]


async def test_a_chain_that_is_quicker_than_it_can_be_read_is_read_up_to_where_it_was() -> None:
    s = FakeScene()
    (a,) = await s.shop()
    for view in s.views:
        view.lies = {"capped"}
    s.mine(600)
    s.keeper.touched.add(a)
    for _ in range(20):
        if (await s.tick()).read_again:
            break
        s.mine(1000)
    assert (await s.tick()).read_again == {a}


async def test_the_newest_logs_of_a_touched_address_are_read_once() -> None:
    s = FakeScene()
    (a,) = await s.shop()
    for view in s.views:
        view.lies = {"capped"}
    s.mine(600)
    s.keeper.touched.add(a)
    await s.tick()
    asked: list[str] = []
    s.views[0].before_read = lambda name, what: asked.append(what)
    assert not (await s.tick()).read_again
    assert "logs" not in asked


def test_what_somebody_asked_about_waits_for_nothing() -> None:
    for log_blocks in (WIDE_RANGE_BLOCKS, 1):
        assert A in due(closable(899, doubted=frozenset({A})), 900, log_blocks, timedelta())
    assert due(closable(900, doubted=frozenset({A})), 900, 1, timedelta()) == frozenset()


async def test_a_payment_as_large_as_what_was_wiped_is_found_though_it_makes_the_balance_right() -> None:
    s = FakeScene()
    (a,) = await s.shop()
    for view in s.views:
        view.lies = {"capped"}  # no range is ever closed
    s.mine(1, s.pays(a, 4), Payment(PAYER, 100, CONTRACT, wiped=((CONTRACT, a, 3),)))
    await s.tick()
    assert s.keeper.disputes.keys() == {Pair(a, USDT)}
    s.mine(1, s.pays(a, 3))
    await s.tick()
    assert [row.units for row in s.keeper.standing] == [4, 3]
    assert s.keeper.disputes.keys() == {Pair(a, USDT)}


def test_what_is_new_is_not_closed_yet() -> None:
    assert due(closable(900), 900 + CLOSED_BLOCKS - 1, WIDE_RANGE_BLOCKS, None) == frozenset()
    assert due(closable(900), 900 + CLOSED_BLOCKS, WIDE_RANGE_BLOCKS, None) == {A, B}


def test_ranges_are_closed_once_an_hour() -> None:
    assert due(closable(0), 9_000, WIDE_RANGE_BLOCKS, timedelta(minutes=59)) == frozenset()
    assert due(closable(0), 9_000, WIDE_RANGE_BLOCKS, timedelta(hours=1)) == {A, B}


def test_an_exposed_pair_does_not_wait_for_the_clock() -> None:
    assert due(closable(0, exposed=frozenset({A})), 9_000, WIDE_RANGE_BLOCKS, timedelta()) == {A, B}
    assert due(closable(0, exposed=frozenset({A})), 9_000, WIDE_RANGE_BLOCKS - 1, timedelta()) == {A}


def test_what_is_closed_is_not_closed_again() -> None:
    assert (
        due(closable(900, ending=frozenset({A}), exposed=frozenset({A})), 900, WIDE_RANGE_BLOCKS, None) == frozenset()
    )
