"""Invoices that are paid more than once, or with whatever the payer likes, on a real database and a simulated chain."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from tests.lab.simnode import SimNode

from paynode.domain.errors import Conflict, RateUnavailable
from paynode.domain.invoice import Type
from paynode.domain.quote import Rate
from paynode.operations import assigning, invoices
from paynode.operations.views.invoice import invoice as invoice_view
from paynode.store import rates, watches

DOLLAR = 10**6
ETHER = 10**18


async def settled(node: SimNode, invoice_id: str, units: int, method: str = "alpha_usdt") -> None:
    node.pay(invoice_id, units, method)
    await node.mine(3)


def reusable(node: SimNode, minimum: str | None = None, method: str = "alpha_usdt", **terms: object) -> str:
    least = None if minimum is None else Decimal(minimum)
    return node.create(None, methods=[method], type=Type.REUSABLE, min_amount=least, **terms)


async def test_a_reusable_invoice_announces_payment_after_payment_and_stays_open(node: SimNode) -> None:
    invoice_id = reusable(node)
    for _ in range(2):
        await settled(node, invoice_id, 5 * DOLLAR)
        node.clock.advance(timedelta(days=400))
        await node.mine()
    assert node.states(invoice_id) == ("open", "exact")
    told = node.events(invoice_id)
    assert [told.count(f"invoice.deposit_{what}") for what in ("detected", "confirmed")] == [2, 2]
    assert not [kind for kind in told if kind in {"deposit.late", "invoice.paid", "invoice.expired"}]
    await node.turn(6)
    assert {deposit.sweep_state for deposit in node.deposits(invoice_id)} == {"swept"}


async def test_a_payment_of_a_reusable_invoice_has_the_rate_of_when_it_was_final(node: SimNode) -> None:
    invoice_id = reusable(node, method="alpha_sim")
    node.pay(invoice_id, ETHER, "alpha_sim")
    await node.mine()
    [seen] = node.deposits(invoice_id)
    assert (seen.stage, seen.worth) == ("detected", 2000)
    node.clock.advance(timedelta(seconds=1))
    node.fix_rate("sim", "1500")
    await node.mine(2)
    node.fix_rate("sim", "1000")
    await node.mine(2)
    [final] = node.deposits(invoice_id)
    assert (final.stage, final.worth) == ("settled", 1500)


async def test_what_was_assigned_to_a_reusable_invoice_is_worth_the_rate_of_when_it_was_final(node: SimNode) -> None:
    other, invoice_id = node.create(methods=["alpha_usdt"]), reusable(node, method="alpha_sim")
    await settled(node, other, ETHER, "alpha_sim")
    node.clock.advance(timedelta(hours=1))
    node.fix_rate("sim", "1")
    [stray] = node.every_deposit()
    assert stray.invoice_id is None
    node.database.write(assigning.assign, node.catalogue, stray.id, invoice_id, node.clock())
    assert node.deposits(invoice_id)[0].worth == 2000


async def test_less_than_a_reusable_invoice_takes_is_kept_and_counts_for_nothing(node: SimNode) -> None:
    invoice_id = reusable(node, "10")
    await settled(node, invoice_id, 10 * DOLLAR - 1)
    assert node.states(invoice_id) == ("open", "none")
    assert node.deposits(invoice_id)[0].stage == "settled"
    await settled(node, invoice_id, 10 * DOLLAR)
    assert node.states(invoice_id) == ("open", "exact")
    view = invoice_view(node.catalogue, node.invoice(invoice_id), node.clock())
    assert (view.amount_paid, view.amount_confirmed) == ("10.00", "10.00")
    assert [(deposit.value, deposit.below_minimum) for deposit in view.deposits] == [("9.99", True), ("10.00", False)]


async def test_an_invoice_shows_its_newest_deposits_and_says_how_many_there_are(node: SimNode) -> None:
    invoice_id = reusable(node)
    for units in range(1, 104):
        node.pay(invoice_id, units * DOLLAR)
    await node.mine(3)
    view = invoice_view(node.catalogue, node.invoice(invoice_id), node.clock())
    assert (view.deposit_count, view.amount_paid) == (103, "5356.00")
    assert [deposit.amount for deposit in view.deposits] == [str(dollars) for dollars in range(4, 104)]


async def test_a_reusable_address_is_watched_for_ever_also_once_it_is_cancelled(node: SimNode) -> None:
    invoice_id = reusable(node)
    watch = node.database.read(watches.watch, "alpha", node.address(invoice_id))
    assert watch is not None
    assert watch.watch_until is None
    node.act(invoices.cancel, invoice_id)
    node.clock.advance(timedelta(days=900))
    await node.mine(2)
    await settled(node, invoice_id, DOLLAR)
    assert node.states(invoice_id)[0] == "cancelled"
    assert node.events(invoice_id).count("deposit.late") == 1


async def test_somebody_waits_for_a_reusable_address_until_it_is_cancelled(node: SimNode) -> None:
    address = node.address(invoice_id := reusable(node))

    def looked_at() -> set[str]:
        found = node.database.read(watches.open_watches, "alpha", horizon_number=10**6, is_wide=False)
        return {watch.address for watch in found}

    assert address in looked_at()
    node.act(invoices.cancel, invoice_id)
    assert address not in looked_at()


async def test_a_reusable_invoice_is_neither_accepted_nor_requoted(node: SimNode) -> None:
    invoice_id = reusable(node)
    await settled(node, invoice_id, DOLLAR)
    with pytest.raises(Conflict, match="not_acceptable"):
        node.act(invoices.accept, invoice_id)
    with pytest.raises(Conflict, match="no_price"):
        node.act(invoices.requote, invoice_id)


async def test_a_payment_of_a_reusable_invoice_that_the_chain_takes_back_counts_no_more(node: SimNode) -> None:
    invoice_id = reusable(node)
    await settled(node, invoice_id, DOLLAR)
    node.worlds["alpha"].reorg(4, keep=False)
    await node.mine()
    assert node.states(invoice_id) == ("open", "none")
    assert "deposit.orphaned" in node.events(invoice_id)
    assert node.pauses() == [("alpha", "alpha_usdt")]


async def test_what_comes_in_must_be_worth_something(node: SimNode) -> None:
    with pytest.raises(RateUnavailable):
        node.create(None, "JPY", type=Type.REUSABLE)


async def test_any_payment_pays_a_top_up(node: SimNode) -> None:
    invoice_id = node.create(None)
    assert node.invoice(invoice_id).quotes == {}
    await settled(node, invoice_id, 3 * DOLLAR)
    assert node.states(invoice_id) == ("paid", "exact")
    assert node.deposits(invoice_id)[0].worth == 3


async def test_a_top_up_is_worth_the_rate_of_its_blocks_time(node: SimNode) -> None:
    invoice_id = node.create(None, methods=["alpha_sim"])
    node.pay(invoice_id, ETHER, "alpha_sim")
    await node.mine()
    node.database.write(rates.add, Rate("sim", "USD", Decimal(1), node.clock() + timedelta(seconds=1), "test"))
    await node.mine(2)
    assert (node.states(invoice_id)[0], node.deposits(invoice_id)[0].worth) == ("paid", 2000)


async def test_a_top_up_below_its_minimum_waits_for_the_rest(node: SimNode) -> None:
    invoice_id = node.create(None, min_amount=Decimal(10))
    await settled(node, invoice_id, 10 * DOLLAR - 1)
    assert node.states(invoice_id) == ("open", "partial")
    await settled(node, invoice_id, 1)
    assert node.states(invoice_id) == ("paid", "exact")


async def test_a_top_up_that_nobody_pays_expires(node: SimNode) -> None:
    invoice_id = node.create(None)
    node.clock.advance(timedelta(minutes=31))
    await node.mine()
    assert node.states(invoice_id) == ("expired", "none")


async def test_many_payers_fill_a_pool_over_days_each_at_the_rate_of_the_moment(node: SimNode) -> None:
    pool = node.create("3500", methods=["alpha_sim", "beta_usdt"], type=Type.POOL)
    await settled(node, pool, ETHER, "alpha_sim")
    node.clock.advance(timedelta(days=10))
    node.fix_rate("sim", "1000")
    await settled(node, pool, ETHER, "alpha_sim")
    assert node.states(pool) == ("open", "partial")
    node.pay(pool, 600 * DOLLAR, "beta_usdt")
    await node.mine(4)
    assert [deposit.worth for deposit in node.deposits(pool)] == [2000, 1000, 600]
    assert node.states(pool) == ("paid", "over")
    assert "invoice.overpaid" not in node.events(pool)
    assert not node.invoice(pool).record.is_late


async def test_a_pool_that_is_not_filled_in_time_expires_and_says_how_far_it_came(node: SimNode) -> None:
    pool = node.create("100", type=Type.POOL)
    await settled(node, pool, 40 * DOLLAR)
    node.clock.advance(timedelta(days=31))
    await node.mine()
    assert node.states(pool) == ("expired", "partial")
    assert node.events(pool)[-2:] == ["invoice.expired", "invoice.underpaid"]
    node.act(invoices.accept, pool)
    assert node.invoice(pool).record.accepted == Fraction(40)
