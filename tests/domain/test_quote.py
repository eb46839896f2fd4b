from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from paynode.domain.money import Asset, NotAnAmount
from paynode.domain.quote import Price, Quote, amount_due, lock, quote_for, worth_at_rate, worth_in_quote

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ETH = Asset("eth", "eth", 18, None)
USDT = Asset("eth", "usdt", 6, "0xA", is_stable=True)
WHOLE = Asset("eth", "pts", 0, "0xB")
BTC = Asset("eth", "wbtc", 8, "0xC")
NEAR = Asset("eth", "near", 24, "0xD")

every_asset = st.sampled_from([ETH, USDT, WHOLE, BTC, NEAR])
prices = st.decimals("0.001", "10000000000000000000000000", places=3).filter(lambda amount: amount > 0)
rates = st.integers(1, 10**14).map(lambda parts: Decimal(parts).scaleb(-8))


@pytest.mark.parametrize(
    ("amount", "currency", "rate", "asset", "units"),
    [
        ("19.99", "USD", "1", USDT, 19_990_000),
        ("100", "USD", "3000", ETH, 33_333_340_000_000_000),  # 0.03333334: eight decimals, upwards
        ("3000", "USD", "3000", ETH, 10**18),
        ("0.01", "USD", "100000", BTC, 10),
        ("0.01", "USD", "99999", BTC, 11),
        ("1", "USD", "3", WHOLE, 1),
        ("10", "USD", "3", WHOLE, 4),
        ("1", "USD", "3", NEAR, 333_333_340_000_000_000_000_000),
        ("1000", "JPY", "450000", ETH, 2_222_230_000_000_000),
        ("0.001", "USD", "1000000000", USDT, 1),
        ("0.001", "USD", "1000000000", ETH, 10**10),  # the least that can be typed into a wallet
        ("10000000000000000000000000", "USD", "1", ETH, 10**43),
        ("1", "USD", "0.00000001", ETH, 10**26),
    ],
)
def test_the_amount_due_rounds_up_to_what_can_be_paid(
    amount: str, currency: str, rate: str, asset: Asset, units: int
) -> None:
    assert amount_due(Price(Decimal(amount), currency), Decimal(rate), asset) == units


@given(prices, rates, every_asset)
def test_the_amount_due_is_the_smallest_payable_one_worth_the_price(
    amount: Decimal, rate: Decimal, asset: Asset
) -> None:
    due = amount_due(Price(amount, "USD"), rate, asset)
    step = 10 ** (asset.decimals - asset.payable_decimals)
    assert due > 0
    assert due % step == 0
    assert worth_at_rate(due, rate, asset) >= Fraction(amount)
    assert worth_at_rate(due - step, rate, asset) < Fraction(amount)


@pytest.mark.parametrize(
    ("amount", "asset", "units"),
    [
        ("0.000000000000000001", ETH, 1),
        ("1.000000000000000001", ETH, 10**18 + 1),
        ("5.000001", USDT, 5_000_001),
        ("7", WHOLE, 7),
        ("10000000000000000000000000", NEAR, 10**49),
    ],
)
def test_a_price_in_the_asset_itself_never_rounds(amount: str, asset: Asset, units: int) -> None:
    price = Price(Decimal(amount), asset.symbol.upper())
    assert amount_due(price, Decimal("0.3"), asset) == units


@pytest.mark.parametrize(("amount", "asset"), [("0.0000001", USDT), ("0.5", WHOLE), ("1E-19", ETH)])
def test_a_price_finer_than_its_own_asset_is_refused(amount: str, asset: Asset) -> None:
    with pytest.raises(NotAnAmount):
        amount_due(Price(Decimal(amount), asset.symbol.upper()), Decimal(1), asset)


@given(prices, rates, every_asset)
def test_all_of_a_quote_is_worth_exactly_the_price_and_one_unit_less_is_not(
    amount: Decimal, rate: Decimal, asset: Asset
) -> None:
    price = Price(amount, "USD")
    quote = lock(price, rate, asset, now=NOW, valid_for=MINUTE)
    assert worth_in_quote(quote.units, quote, price) == Fraction(amount)
    assert worth_in_quote(quote.units - 1, quote, price) < Fraction(amount)
    assert worth_in_quote(quote.units + 1, quote, price) > Fraction(amount)


@given(prices, rates, every_asset, st.fractions(0, 1))
def test_two_parts_of_a_quote_are_worth_what_the_whole_is(
    amount: Decimal, rate: Decimal, asset: Asset, share: Fraction
) -> None:
    price = Price(amount, "USD")
    quote = lock(price, rate, asset, now=NOW, valid_for=MINUTE)
    part = int(quote.units * share)
    parts = worth_in_quote(part, quote, price) + worth_in_quote(quote.units - part, quote, price)
    assert parts == Fraction(amount)


def test_a_lock_keeps_its_rate_and_both_its_ends() -> None:
    quote = lock(Price(Decimal(3), "USD"), Decimal(3000), ETH, now=NOW, valid_for=15 * MINUTE)
    assert quote == Quote(10**15, Decimal(3000), NOW, NOW + 15 * MINUTE)


def test_a_quote_holds_to_its_last_instant_and_no_longer() -> None:
    quote = Quote(1, Decimal(1), NOW, NOW + MINUTE)
    assert quote.holds_at(NOW + MINUTE)
    assert not quote.holds_at(NOW + MINUTE + timedelta.resolution)


def test_a_block_stamped_before_the_first_lock_is_priced_by_it() -> None:
    quote = Quote(1, Decimal(1), NOW, NOW + MINUTE)
    assert quote_for([quote], NOW - MINUTE) is quote


def test_a_later_quote_prices_nothing_stamped_before_its_lock() -> None:
    first = Quote(1, Decimal(1), NOW, NOW + MINUTE)
    second = Quote(2, Decimal(2), NOW + 3 * MINUTE, NOW + 4 * MINUTE)
    assert quote_for([first, second], NOW + 2 * MINUTE) is None


def test_without_quotes_nothing_is_priced_by_one() -> None:
    assert quote_for([], NOW) is None


@dataclass
class Paid:
    """A payment and the quote that priced it when it came."""

    at: datetime
    quote: Quote | None


class QuoteLife(RuleBasedStateMachine):
    """Quotes are locked one after another while time passes and payments come."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.quotes: list[Quote] = []
        self.paid: list[Paid] = []

    @initialize(valid=st.integers(0, 10))
    def the_first_quote_is_locked(self, valid: int) -> None:
        self._lock(valid)

    @rule(minutes=st.integers(1, 8))
    def time_passes(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @rule(valid=st.integers(0, 10))
    def a_lapsed_quote_is_renewed(self, valid: int) -> None:
        self.now += timedelta.resolution  # whoever asks, asks after what has come
        if not self.quotes[-1].holds_at(self.now):
            self._lock(valid)

    @rule(behind=st.integers(0, 2))
    def a_payment_comes(self, behind: int) -> None:
        at = self.now - behind * MINUTE
        self.paid.append(Paid(at, quote_for(self.quotes, at)))

    def _lock(self, valid: int) -> None:
        price = Price(Decimal(10), "USD")
        self.quotes.append(lock(price, Decimal(len(self.quotes) + 1), USDT, now=self.now, valid_for=valid * MINUTE))

    @invariant()
    def nobody_gets_a_free_option(self) -> None:
        for payment in self.paid:
            assert payment.quote is None or payment.quote.holds_at(payment.at)

    @invariant()
    def a_later_quote_changes_the_worth_of_no_earlier_payment(self) -> None:
        for payment in self.paid:
            assert quote_for(self.quotes, payment.at) is payment.quote

    @invariant()
    def a_quote_that_held_is_honoured(self) -> None:
        for payment in self.paid:
            held = [q for q in self.quotes if q.locked_at <= payment.at and q.holds_at(payment.at)]
            assert payment.quote is not None or not held

    @invariant()
    def the_order_in_which_quotes_are_read_does_not_matter(self) -> None:
        for payment in self.paid:
            assert quote_for(reversed(self.quotes), payment.at) is payment.quote


TestQuoteLife = QuoteLife.TestCase
