"""One short history for each rule of the carousel: an address serves one invoice after another, and each is paid."""

from datetime import timedelta

from tests.simulation.acts import WALLET, Bill, pay
from tests.simulation.checker import require
from tests.simulation.life import Life
from tests.simulation.scenarios import bought, looked, mined, require_paid

from paynode.domain.addresses import AddressMode, AddressPolicy

SHORT = AddressPolicy(AddressMode.REUSE, timedelta(minutes=10))
REST_OVER = 16 * 60  # of an invoice of five minutes
UNTIL_SWEPT = 2 * 3600


async def unpaid(life: Life, symbol: str, price: int) -> Bill:
    """An invoice that nobody paid, and whose address may serve again."""
    bill = bought(life, symbol, minutes=5, price=price, policy=SHORT)
    await life.until(life.seconds + REST_OVER)
    await looked(life)
    return bill


def next_of(life: Life, before: Bill, price: int) -> Bill:
    """The invoice that has its address from now on."""
    bill = bought(life, before.symbol, price=price, policy=SHORT)
    require(bill.address == before.address, "the address was not passed on")
    return bill


async def swept(life: Life) -> None:
    """All is collected, also what is nobody's."""
    await life.settle()
    await life.until(life.seconds + UNTIL_SWEPT)
    await life.settle()
    left = life.node.rows("select id, sweep_wait from deposits where stage <> 'orphaned' and sweep_state <> 'swept'")
    require(not left, f"not swept: {left}")


def require_nobodys(life: Life, units: int) -> None:
    found = life.node.rows("select invoice_id from deposits where units = ? and stage <> 'orphaned'", (str(units),))
    require(found == [(None,)], f"{units} can be meant for two, and count for {found}")


async def the_one_before_is_paid_late_when_another_has_its_address(life: Life) -> None:
    before = await unpaid(life, "usdt", 101)
    bill = next_of(life, before, 103)
    pay(before, before.units)
    await mined(life)
    await looked(life)
    pay(bill, bill.units)
    await swept(life)
    require_nobodys(life, before.units)
    require_paid(life, bill)


async def the_one_before_is_paid_in_a_block_that_nobody_has_seen_when_its_address_is_passed_on(life: Life) -> None:
    before = await unpaid(life, "usdt", 101)
    pay(before, before.units)
    await mined(life)
    bill = next_of(life, before, 103)
    await looked(life)
    pay(bill, bill.units)
    await swept(life)
    require_nobodys(life, before.units)
    require_paid(life, bill)


async def the_one_before_pays_again_when_it_owes_nothing_and_another_has_its_address(life: Life) -> None:
    before = bought(life, "usdt", minutes=5, price=101, policy=SHORT)
    await looked(life)
    pay(before, before.units)
    await swept(life)
    bill = next_of(life, before, 103)
    pay(before, before.units)
    await mined(life)
    await looked(life)
    pay(bill, bill.units - before.units)
    await swept(life)
    require_paid(life, bill)


async def contracts_pay_two_holders_of_an_address_while_states_are_pruned(life: Life) -> None:
    """What came is one sum without a block, and some of it was meant for each of them."""
    before = await unpaid(life, "eth", 101)
    before.send(WALLET, inside=((before.address, before.units),))
    await mined(life)
    bill = next_of(life, before, 103)
    bill.send(WALLET, inside=((bill.address, bill.units),))
    await mined(life, 40)
    await looked(life, one={"pruned"}, two={"pruned"})
    await life.settle()
    require_nobodys(life, before.units + bill.units)


async def the_blocks_in_which_an_address_was_passed_on_and_paid_are_replaced(life: Life) -> None:
    before = await unpaid(life, "usdt", 101)
    bill = next_of(life, before, 103)
    pay(bill, bill.units)
    await mined(life)
    await looked(life)
    bill.net.mempool = [payment.as_sent for payment in bill.net.chain.reorg(3)]
    await mined(life, 4)
    await looked(life)
    await swept(life)
    require_paid(life, bill)


async def a_provider_dates_the_newest_block_in_the_future_before_an_invoice_is_made(life: Life) -> None:
    await unpaid(life, "usdt", 101)
    await looked(life, one={"future head"})
    bill = bought(life, "usdt", price=103, policy=SHORT)
    pay(bill, bill.units)
    await mined(life)
    await looked(life)
    await swept(life)
    require_paid(life, bill)


STEPS = (unpaid, swept)  # of histories, and none themselves
