"""What a price becomes in coins, and coins in a price: markup, the merchant's own rates, the amount shown beside."""

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.lab.simnode import SimNode

from paynode.domain.errors import Conflict, RateUnavailable
from paynode.domain.quote import Rate
from paynode.operations import invoices
from paynode.operations.views.invoice import invoice as invoice_view
from paynode.store import rates

DOLLAR = 10**6
ETHER = 10**18
QUOTE_LAPSES = timedelta(minutes=16)


async def settled(node: SimNode, invoice_id: str, units: int, method: str = "alpha_usdt") -> None:
    node.pay(invoice_id, units, method)
    await node.mine(3)


@pytest.mark.parametrize(
    ("percent", "usdt", "sim"),
    [("5", 21 * DOLLAR, 10_500_000_000_000_000), ("-10", 18 * DOLLAR, 9 * 10**15), ("0", 20 * DOLLAR, 10**16)],
)
async def test_a_markup_is_added_to_what_is_due_in_every_coin(node: SimNode, percent: str, usdt: int, sim: int) -> None:
    invoice_id = node.create("20", methods=["alpha_usdt", "alpha_sim"], markup_percent=Decimal(percent))
    quotes = node.invoice(invoice_id).quotes
    assert (quotes["alpha_usdt"][0].units, quotes["alpha_sim"][0].units) == (usdt, sim)


async def test_what_is_due_with_its_markup_pays_exactly(node: SimNode) -> None:
    invoice_id = node.create("20", markup_percent=Decimal(5))
    await settled(node, invoice_id, 21 * DOLLAR)
    assert node.states(invoice_id) == ("paid", "exact")


async def test_after_the_quote_coins_are_worth_less_by_the_markup(node: SimNode) -> None:
    invoice_id = node.create("20", markup_percent=Decimal(5))
    node.clock.advance(QUOTE_LAPSES)
    await settled(node, invoice_id, 21 * DOLLAR - 1)
    assert node.states(invoice_id) == ("open", "partial")
    await settled(node, invoice_id, 1)
    assert node.states(invoice_id) == ("paid", "exact")


async def test_a_price_in_the_coin_itself_has_no_markup(node: SimNode) -> None:
    invoice_id = node.create("20", "USDT", markup_percent=Decimal(5))
    assert node.invoice(invoice_id).quotes["alpha_usdt"][0].units == 20 * DOLLAR
    node.clock.advance(QUOTE_LAPSES)
    await settled(node, invoice_id, 20 * DOLLAR)
    assert node.states(invoice_id) == ("paid", "exact")


async def test_the_merchants_own_rate_prices_a_method_until_the_invoice_ends(node: SimNode) -> None:
    invoice_id = node.create("20", methods=["alpha_sim", "alpha_usdt"], rates={"alpha_sim": Decimal(10)})
    loaded = node.invoice(invoice_id)
    [own], [market] = loaded.quotes["alpha_sim"], loaded.quotes["alpha_usdt"]
    assert (own.units, own.rate, own.valid_until) == (2 * ETHER, 10, loaded.record.expires_at)
    assert market.units == 20 * DOLLAR
    node.clock.advance(QUOTE_LAPSES)
    renewed = node.act(invoices.requote, invoice_id)
    assert [len(renewed.quotes[method]) for method in ("alpha_sim", "alpha_usdt")] == [1, 2]
    await settled(node, invoice_id, 2 * ETHER, "alpha_sim")
    assert node.states(invoice_id) == ("paid", "exact")


async def test_late_money_is_worth_the_merchants_own_rate_as_well(node: SimNode) -> None:
    invoice_id = node.create("20", methods=["alpha_sim"], rates={"alpha_sim": Decimal(10)})
    node.clock.advance(timedelta(hours=1))
    await settled(node, invoice_id, ETHER, "alpha_sim")
    assert node.deposits(invoice_id)[0].worth == 10


async def test_with_the_merchants_own_rate_nobody_is_asked_for_one(node: SimNode) -> None:
    invoice_id = node.create("20", "JPY", methods=[], rates={"beta_sim": Decimal(5)})
    assert list(node.invoice(invoice_id).quotes) == ["beta_sim"]


async def test_a_price_in_a_coin_is_shown_at_the_rate_of_when_it_was_made(node: SimNode) -> None:
    node.database.write(rates.add, Rate("sim", "EUR", Decimal("1800.5"), node.clock(), "test"))
    invoice_id = node.create("0.5", "SIM", methods=["alpha_sim"], display_currency="EUR")
    node.clock.advance(timedelta(minutes=1))
    node.database.write(rates.add, Rate("sim", "EUR", Decimal(1), node.clock(), "test"))
    view = invoice_view(node.catalogue, node.invoice(invoice_id), node.clock())
    assert (view.display_currency, view.display_amount) == ("EUR", "900.25")


async def test_a_price_that_cannot_be_shown_as_asked_is_refused(node: SimNode) -> None:
    with pytest.raises(RateUnavailable, match="EUR"):
        node.create("0.5", "SIM", methods=["alpha_sim"], display_currency="EUR")


async def test_an_order_has_one_invoice_where_it_was_asked_for(node: SimNode) -> None:
    first = node.create(order_id="1001")
    with pytest.raises(Conflict, match=first):
        node.create(order_id="1001", is_order_id_unique=True)
    assert node.create(order_id="1001") != first
    only = node.create(order_id="1002", is_order_id_unique=True)
    with pytest.raises(Conflict, match=only):
        node.create(order_id="1002", is_order_id_unique=True)
