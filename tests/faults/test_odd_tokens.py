"""Tokens that keep no promise (A10): what arrived is credited, no more, and no token delays another.

Each case has tokens of its own on one whole node, all of them side by side.
"""

from functools import partial

from tests.faults.test_spine import address
from tests.faults.together import Together
from tests.faults.town import USDT, Json, Town, town
from tests.lab.books import assert_audited, units_on_chain
from tests.lab.node import TREASURY

ODD = {
    "usdt": ("TetherLike", 6),  # no return values
    "fee": ("FeeToken", 6),
    "gross": ("GrossFeeToken", 6),
    "growing": ("Issued", 6),
    "wiped": ("Issued", 6),
    "mute": ("Awkward", 6),
    "wide": ("FalseTopUp", 6),  # in truth 18
}
LEAST_SWEPT_USD = 10
cases = Together(partial(town, listed=ODD, sweep=f'every = "1s", min_value = "{LEAST_SWEPT_USD} USD"'))


@cases.case
async def test_a10_a_token_without_return_values_is_credited_and_swept(town: Town) -> None:
    invoice = await town.shop.invoice("20", "eth_usdt")
    await town.lab.transfer(town.usdt, address(invoice), 20 * USDT)
    await town.until_paid(invoice)
    await town.shop.until_invoice(invoice, sweep_state="swept")


@cases.case
async def test_a10_of_a_token_that_takes_a_fee_the_payer_bears_it(town: Town) -> None:
    """Whether its log tells what arrived or what was sent."""
    for symbol in ("fee", "gross"):
        token, invoice = town.tokens[symbol], await town.shop.invoice("100", f"eth_{symbol}")
        await town.lab.transfer(token, address(invoice), 100 * USDT)
        assert await units_on_chain(town.lab, token, address(invoice)) == 99 * USDT
        seen = await town.shop.until_invoice(invoice, payment_state="partial", amount_confirmed="99.00")
        assert (seen["status"], seen["amount_due"]) == ("open", "1.00")
        await town.lab.transfer(token, address(invoice), 2 * USDT)
        seen = await town.shop.until_invoice(invoice, status="paid", amount_confirmed="100.98")
        assert seen["amount_overpaid"] == "0.98"


@cases.case
async def test_a10_a_balance_that_grows_by_itself_is_credited_to_nobody_and_delays_nobody(town: Town) -> None:
    token = town.tokens["growing"]
    rebased, other = [await town.shop.invoice("20", "eth_growing") for _ in range(2)]
    await town.lab.invoke(token, "rebase", address(rebased), 20 * USDT)
    await town.lab.transfer(token, address(other), 20 * USDT)
    await town.until_paid(other)
    await town.passed()
    await town.assert_unpaid(rebased)
    await town.lab.transfer(token, address(rebased), 5 * USDT)
    await until_deposit(town, rebased)
    await town.passed()
    seen = await town.shop.seen(rebased)
    assert (seen["status"], seen["amount_paid"]) == ("open", "5.00")
    await town.lab.invoke(token, "rebase", address(rebased), -20 * USDT)
    await town.shop.until_invoice(rebased, amount_confirmed="5.00")


@cases.case
async def test_a10_what_an_issuer_takes_back_without_a_log_pauses_that_token_and_no_other(town: Town) -> None:
    token = town.tokens["wiped"]
    wiped, other = [await town.shop.invoice("20", "eth_wiped") for _ in range(2)]
    unlike = await town.shop.invoice("20", "eth_usdt")
    await town.lab.transfer(token, address(wiped), LEAST_SWEPT_USD * USDT // 2)  # so it lies there when it is taken
    await until_deposit(town, wiped)
    await town.lab.invoke(token, "wipe", address(wiped))
    told = await town.shop.until_told("outflows.paused")
    assert {(event["data"]["object"]["network"], event["data"]["object"]["method"]) for event in told} == {
        ("eth", "eth_wiped")
    }
    for invoice, contract in ((other, token), (unlike, town.usdt)):
        await town.lab.transfer(contract, address(invoice), 20 * USDT)
        await town.until_paid(invoice)
    await town.shop.until_invoice(unlike, sweep_state="swept")
    assert (await town.shop.seen(other))["sweep_state"] == "unswept"


@cases.case
async def test_a10_a_balance_that_is_not_told_is_not_zero(town: Town) -> None:
    token, invoice = town.tokens["mute"], await town.shop.invoice("20", "eth_mute")
    await town.lab.invoke(token, "setWay", address(invoice), 1)
    await town.lab.transfer(token, address(invoice), 20 * USDT)
    await town.passed()
    assert (await town.shop.seen(invoice))["amount_confirmed"] == "0.00"
    await town.lab.invoke(token, "setWay", address(invoice), 0)
    await town.until_paid(invoice)


@cases.in_the_end
async def test_a10_a_token_that_counts_in_other_decimals_than_the_config_is_not_offered(town: Town) -> None:
    """A price of 20 in the config's decimals would be next to nothing in the token's."""
    (listed,) = [each for each in (await town.shop.get("/v1/payment_methods"))["data"] if each["method"] == "eth_wide"]
    assert (listed["ready"], listed["reason"]) == (
        False,
        "its contract counts in 18 decimals, the config in 6",
    )


@cases.in_the_end
async def test_in_the_end_the_books_balance_and_the_treasury_holds_what_was_swept(town: Town) -> None:
    async def all_is_booked() -> bool:
        sweeps = [sweep for sweep in await town.shop.all_of("sweeps") if sweep["method"] == "eth_usdt"]
        moved = sum(int(sweep["net_units"]) for sweep in sweeps if sweep["state"] == "completed")
        return moved == await units_on_chain(town.lab, town.usdt, TREASURY) > 0

    await town.shop.until(all_is_booked, "the treasury holds what the completed sweeps moved")
    assert_audited(town.shop)


async def until_deposit(town: Town, invoice: Json) -> None:
    async def is_there() -> bool:
        return bool((await town.shop.seen(invoice))["deposits"])

    await town.shop.until(is_there, "a deposit is seen")
