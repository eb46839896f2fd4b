"""Properties of detection, each at every place where it could break: crashes, lies, orders of events, schedules."""

from itertools import permutations
from pathlib import Path

import pytest
from tests.simulation import faults
from tests.simulation.acts import PAYER, WALLET, Bill, pay, sweep_by_stranger
from tests.simulation.checker import require
from tests.simulation.life import Life, live
from tests.simulation.node import Crash
from tests.simulation.scenarios import CAPPED, TWO_PROVIDERS, bought, looked, mined, require_paid, until_sent

READS_OF_A_LOOK = 24  # more than the looks here ever make


async def paid_in_three_ways(life: Life) -> list[Bill]:
    """Three invoices, and in the next block a token, a coin and a contract's coin for them."""
    token, coin, inner = bought(life, "usdt"), bought(life, "eth"), bought(life, "eth")
    await looked(life)
    pay(token, token.units)
    pay(coin, coin.units)
    inner.net.send(PAYER, WALLET, inside=((inner.address, inner.units),))
    await mined(life)
    return [token, coin, inner]


@pytest.mark.parametrize("look", [0, 4], ids=["that finds", "that proves"])
def test_a_crash_at_any_read_of_a_look_leads_to_the_same_end(tmp_path: Path, look: int) -> None:
    crashes = 0
    for number in range(1, READS_OF_A_LOOK):

        def before_read(provider: str, what: str) -> None:
            nonlocal left, crashes
            left -= 1
            if left == 0:
                crashes += 1
                raise Crash

        async def play(life: Life) -> None:
            bills = await paid_in_three_ways(life)
            for each in range(8):
                for view in life.nets[0].views:
                    view.before_read = before_read if each == look else None
                await looked(life)
                await mined(life)
            await life.settle()
            for bill in bills:
                require_paid(life, bill)

        left = number
        live(tmp_path, TWO_PROVIDERS, play)
        if left > 0:
            break  # the look makes no more reads
    assert crashes > 4


@pytest.mark.parametrize("point", ["before commit", "after commit"])
@pytest.mark.parametrize("number", range(1, 7))
def test_a_crash_around_any_commit_leads_to_the_same_end(tmp_path: Path, point: str, number: int) -> None:
    async def play(life: Life) -> None:
        bills = await paid_in_three_ways(life)
        left = number

        def crash_at(passed: str) -> bool:
            nonlocal left
            left -= passed == point
            return left == 0

        life.node.crash_at = crash_at
        for _ in range(8):
            await looked(life)
            await mined(life)
        require(left <= 0, "no crash")
        await life.settle()
        for bill in bills:
            require_paid(life, bill)

    live(tmp_path, TWO_PROVIDERS, play)


@pytest.mark.parametrize("liar", ["one", "two"])
@pytest.mark.parametrize("lie", [*faults.SILENCE, *faults.LIMITS, *faults.LIES])
def test_whoever_lies_all_is_right_once_the_lie_ends(tmp_path: Path, lie: str, liar: str) -> None:
    async def play(life: Life) -> None:
        bills = await paid_in_three_ways(life)
        for _ in range(6):
            await looked(life, **{liar: {lie}})
            await mined(life)
        await life.settle()
        for bill in bills:
            require_paid(life, bill)

    live(tmp_path, TWO_PROVIDERS, play)


EVENTS = ("a payment", "a stranger's sweep", "a look", "a reorganisation")


@pytest.mark.parametrize("is_sweeping", [False, True], ids=["", "while we sweep"])
@pytest.mark.parametrize("order", list(permutations(EVENTS)), ids=", ".join)
def test_a_stranger_may_sweep_at_any_moment(tmp_path: Path, order: tuple[str, ...], is_sweeping: bool) -> None:
    async def play(life: Life) -> None:
        bill = bought(life, "usdt")
        net = bill.net
        await looked(life)
        if is_sweeping:
            pay(bill, bill.units)
            await until_sent(life)
        net.send(PAYER, WALLET, codes=((bill.address, 23),))
        await mined(life)
        for event in order:
            match event:
                case "a payment":
                    pay(bill, bill.units)
                    await mined(life)
                case "a stranger's sweep":
                    sweep_by_stranger(net, bill.address)
                    await mined(life)
                case "a look":
                    await looked(life)
                case "a reorganisation":
                    net.mempool = [payment.as_sent for payment in net.chain.reorg(2)] + net.mempool
                    await mined(life)
        await life.settle()
        require_paid(life, bill)

    live(tmp_path, CAPPED, play)


def test_a_dispute_changes_no_other_pairs_time_to_credit(tmp_path: Path) -> None:
    def paid_at(is_disputed: bool) -> list[tuple[object, ...]]:
        found = []

        async def play(life: Life) -> None:
            plain, disputed = bought(life, "usdt"), bought(life, "fee")
            await looked(life)
            pay(plain, plain.units)
            if is_disputed:
                pay(disputed, disputed.units)
            for _ in range(6):
                await mined(life)
                await looked(life)
                found.append(life.node.rows("select count(*) from disputes"))
            require_paid(life, plain)
            found.append(
                life.node.rows("select paid_at from invoices where paid_at is not null order by paid_at limit 1")
            )

        live(tmp_path, TWO_PROVIDERS, play)
        assert any(each == [(1,)] for each in found[:-1]) is is_disputed
        return found[-1]

    assert paid_at(is_disputed=True) == paid_at(is_disputed=False)


def test_a_look_from_another_block_is_refused_whole(tmp_path: Path) -> None:
    async def play(life: Life) -> None:
        def seen() -> list[tuple[object, ...]]:
            heads = life.node.rows("select head_number, looked_at from networks")
            return (
                heads + life.node.rows("select id from chain_rows") + life.node.rows("select number from checkpoints")
            )

        await paid_in_three_ways(life)
        await mined(life, 4)
        before = seen()
        await looked(life, one={"elsewhere"}, two={"elsewhere"})
        assert seen() == before

    live(tmp_path, TWO_PROVIDERS, play)


@pytest.mark.parametrize("pauses", [(1,), (3,), (1, 9), (20, 1, 1)], ids=str)
def test_any_schedule_of_looks_ends_with_the_same_sums(tmp_path: Path, pauses: tuple[int, ...]) -> None:
    async def play(life: Life) -> None:
        bills = await paid_in_three_ways(life)
        for number in range(12):
            for _ in range(pauses[number % len(pauses)]):
                await mined(life)
            await looked(life)
            pay(bills[number % 2], 1000 + number)
        await life.settle()
        units = life.node.rows("select units from deposits where stage = 'settled'")
        assert sum(int(each) for (each,) in units) == sum(bill.units for bill in bills) + sum(range(1000, 1012))

    live(tmp_path, TWO_PROVIDERS, play)
