"""One short history for each rule of detection: right with the rule, wrong without it. Each ends settled."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from tests.chains.evm.fakechain import PROTOCOL
from tests.simulation import faults
from tests.simulation.acts import PAYER, WALLET, Bill, pay, sweep_by_stranger
from tests.simulation.checker import require
from tests.simulation.life import Life, Setting
from tests.simulation.node import CONTRACTS

from paynode.domain.addresses import AddressPolicy
from paynode.domain.invoice import Status

TWO_PROVIDERS = Setting((("slow", 12, 4, 2),))

CROWDED = Setting(TWO_PROVIDERS.networks, is_crowded=True)
CAPPED = Setting(TWO_PROVIDERS.networks, limits=frozenset({"capped"}))

Scenario = Callable[[Life], Awaitable[None]]


def bought(
    life: Life, symbol: str, *others: str, minutes: int = 30, price: int = 100, policy: AddressPolicy | None = None
) -> Bill:
    """A new invoice that asks for an asset, or others."""
    net = life.nets[0]
    method, *rest = (f"{net.name}_{each}" for each in (symbol, *others))
    loaded = life.node.create(price, [method, *rest], timedelta(minutes=minutes), policy)
    address = next(iter(loaded.addresses.values())).address
    return Bill(loaded, net, address, symbol, loaded.quotes[method][-1].units)


async def mined(life: Life, blocks: int = 1) -> None:
    """So many blocks, and no look at them: what waits is in the first."""
    net = life.nets[0]
    life.next_look[net.name] = float("inf")
    await life.until(life.seconds + blocks * net.chain.seconds_per_block)


async def looked(life: Life, **lies: set[str]) -> None:
    """One look, while the providers (`one`, `two`) lie as given."""
    net = life.nets[0]
    for view, name in zip(net.views, ("one", "two"), strict=False):
        view.lies = lies.get(name, set()) | net.limits
    await life.turn(net.name)
    faults.heal(net)


async def until_sent(life: Life) -> None:
    """Until a transaction of ours waits to be mined, which is within the hour."""
    for _ in range(3600):
        if any(payment.fee for payment in life.nets[0].mempool):
            return
        await life.until(life.seconds + 1)
    raise AssertionError("nothing is sent")


def require_paid(life: Life, bill: Bill) -> None:
    status = life.node.invoice(bill.invoice.record.id).record.status
    require(status is Status.PAID, f"{bill.method} was paid, and its invoice is {status}")


async def a_token_is_paid_below_a_cursor_that_a_stale_look_moved_past_it(life: Life) -> None:
    bill = bought(life, "usdt")
    await looked(life)
    pay(bill, bill.units)
    await mined(life)
    await looked(life, one={"stale look"})
    await life.settle()


async def a_coin_is_paid_below_a_cursor_that_a_stale_look_moved_past_it(life: Life) -> None:
    bill = bought(life, "eth")
    await looked(life)
    pay(bill, bill.units)
    await mined(life)
    await looked(life, one={"stale look"})
    await life.settle()


async def the_look_comes_from_before_a_payment_when_the_deadline_passes(life: Life) -> None:
    bill = bought(life, "usdt", minutes=1)
    await looked(life)
    await mined(life, 3)
    pay(bill, bill.units)
    await mined(life)
    await mined(life, 2)
    await looked(life, one={"elsewhere"})
    await life.settle()
    require_paid(life, bill)


async def three_blocks_are_replaced_far_above_a_payment_that_was_just_seen(life: Life) -> None:
    bill = bought(life, "usdt")
    await looked(life)
    pay(bill, bill.units)
    await mined(life, 30)
    await looked(life)
    life.nets[0].chain.reorg(3)
    await mined(life)
    await looked(life)
    await life.settle()


async def stale_state_puts_a_contracts_coins_into_a_later_block(life: Life) -> None:
    bill = bought(life, "eth")
    await looked(life)
    bill.net.send(PAYER, WALLET, inside=((bill.address, bill.units),))
    await mined(life, 3)
    await looked(life, one={"stale state"})
    pay(bill, 5)
    for _ in range(30):
        await mined(life)
        await looked(life)
    require_paid(life, bill)
    await life.settle()


async def coins_are_swept_after_a_loan_and_dust(life: Life) -> None:
    usdt, eth = bought(life, "usdt"), bought(life, "eth")
    await looked(life)
    pay(usdt, usdt.units)
    pay(eth, eth.units)
    await mined(life)
    await life.settle()
    await life.until(life.seconds + 2 * 3600)
    await life.settle()
    swept = life.node.rows("select count(*) from sweep_items where state = 'completed'")
    require(swept == [(2,)], "swept is not what was final")


async def a_loan_comes_to_an_address_that_nobody_waits_for_any_more(life: Life) -> None:
    """The second sweep of an hour begins when its payment is older than any reorganisation, and stops half way."""
    for _ in range(2):
        bill = bought(life, "usdt", "eth")
        await looked(life)
        pay(bill, bill.units)
        await life.until(life.seconds + 600)
    await until_sent(life)
    life.node.pause(bill.net.name)
    life.wide_at[bill.net.name] = life.seconds  # all addresses were looked at just now
    await life.until(life.seconds + 3600)
    await life.settle()


async def a_payment_arrives_between_a_sweeps_signature_and_its_block(life: Life) -> None:
    """The sweep moves what it was planned to move; what came since is neither missed nor swept in the books."""
    bill = bought(life, "eth")
    await looked(life)
    pay(bill, bill.units)
    await until_sent(life)
    pay(bill, 7)
    bill.net.send(PAYER, WALLET, inside=((bill.address, 11),))
    await life.settle()


async def one_transaction_pays_two_invoices_and_one_of_them_twice(life: Life) -> None:
    one, other = bought(life, "usdt"), bought(life, "usdt")
    await looked(life)
    contract = CONTRACTS["usdt"]
    moves = [(contract, PAYER, bill.address, bill.units // 2) for bill in (one, other, one)]
    one.net.send(PAYER, WALLET, tokens=tuple(moves))
    await mined(life)
    await life.settle()


async def a_payment_is_mined_again_in_another_block(life: Life) -> None:
    bill = bought(life, "usdt")
    await looked(life)
    pay(bill, bill.units)
    await mined(life, 2)
    await looked(life)
    bill.net.mempool = [payment.as_sent for payment in bill.net.chain.reorg(2)]
    await mined(life)
    await looked(life)
    await life.settle()


async def payments_come_during_an_outage_of_hours(life: Life) -> None:
    token, coin = bought(life, "usdt"), bought(life, "eth")
    await looked(life)
    net = token.net
    net.is_out = True
    for view in net.views:
        view.lies = {"no head"}
    await life.until(life.seconds + 600)
    pay(token, token.units)
    coin.net.send(PAYER, WALLET, inside=((coin.address, coin.units),))
    await life.until(life.seconds + 3 * 3600)
    faults.heal(net)
    await life.settle()
    require_paid(life, token)
    require_paid(life, coin)


async def a_failed_transaction_stands_beside_a_contracts_payment_of_the_same_value(life: Life) -> None:
    bill = bought(life, "eth")
    await looked(life)
    bill.net.send(PAYER, bill.address, value=bill.units, succeeded=False)
    bill.net.send(PAYER, WALLET, inside=((bill.address, bill.units),))
    await mined(life)
    await life.settle()


async def the_index_of_logs_serves_the_old_fork(life: Life) -> None:
    bill = bought(life, "usdt")
    await looked(life)
    pay(bill, bill.units)
    await mined(life, 2)
    bill.net.chain.reorg(2)  # the customer thinks better of it
    pay(bill, bill.units // 2)
    await mined(life, 2)
    await looked(life, one={"old fork logs"})
    await life.settle()


async def a_provider_answers_no_logs_for_a_block_it_has_not_indexed(life: Life) -> None:
    bill = bought(life, "usdt")
    await looked(life)
    pay(bill, bill.units)
    await mined(life)
    await looked(life, one={"empty logs"})
    await life.settle()


async def the_state_of_an_outage_is_pruned(life: Life) -> None:
    bill = bought(life, "eth")
    await looked(life)
    pay(bill, bill.units)
    await mined(life, 40)
    for view in bill.net.views:
        view.lies = {"pruned"}
    await life.turn(bill.net.name)
    await life.settle()


async def a_token_keeps_a_fee_and_delays_no_other(life: Life) -> None:
    fee, plain = bought(life, "fee"), bought(life, "usdt")
    await looked(life)
    pay(fee, fee.units)
    pay(plain, plain.units)
    for _ in range(6):
        await mined(life)
        await looked(life)
    require_paid(life, plain)
    await life.settle()


async def an_issuer_takes_what_was_final(life: Life) -> None:
    bill = bought(life, "iss")
    await looked(life)
    pay(bill, bill.units)
    await mined(life, 8)
    await looked(life)
    await looked(life)
    bill.net.send(PAYER, CONTRACTS["iss"], wiped=((CONTRACTS["iss"], bill.address, bill.units),))
    await mined(life)
    await life.settle()


async def a_stranger_sweeps_a_payment_that_no_look_has_shown(life: Life) -> None:
    bill = bought(life, "usdt")
    bill.net.send(PAYER, WALLET, codes=((bill.address, 23),))
    await mined(life)
    await looked(life)
    pay(bill, bill.units)
    sweep_by_stranger(bill.net, bill.address)
    await mined(life)
    await looked(life)
    await life.settle()


async def a_provider_follows_a_fork_for_longer_than_the_horizon(life: Life) -> None:
    bill, net = bought(life, "usdt"), life.nets[0]
    await looked(life)
    net.views[0].chain = net.chain.fork()
    net.chain.reorg(2)
    net.chain.mine()
    net.chain.mine()
    for _ in range(20):
        await mined(life, 4)
        await life.turn(net.name)
    require(life.node.rows("select hold from networks") != [(None,)], "nobody noticed the fork")
    net.views[0].chain = net.chain
    pay(bill, bill.units)
    await life.settle()


async def a_provider_follows_a_fork_without_a_payment_when_the_deadline_passes(life: Life) -> None:
    bill, net = bought(life, "usdt", minutes=5), life.nets[0]
    await looked(life)
    net.views[0].chain = net.chain.fork()
    net.chain.reorg(2)
    net.chain.mine()
    net.chain.mine()
    pay(bill, bill.units)
    for _ in range(9):
        await mined(life, 4)
        await life.turn(net.name)
    status = life.node.invoice(bill.invoice.record.id).record.status
    require(status is not Status.EXPIRED, "it expired on one provider's word")
    net.views[0].chain = net.chain
    await life.settle()
    require_paid(life, bill)


async def a_call_that_failed_would_have_paid_what_a_withdrawal_brought(life: Life) -> None:
    bill = bought(life, "eth")
    await looked(life)
    bill.net.send(PROTOCOL, WALLET, inside=((bill.address, bill.units),))
    bill.net.send(PAYER, WALLET, undone=((bill.address, bill.units),))
    await mined(life)
    await life.settle()


STEPS = (mined, looked, until_sent)  # of scenarios, and none themselves
