"""The carousel's rules: when money on an address counts for its holder, and when for nobody (I9)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from paynode.domain.addresses import (
    BLOCK_SLACK,
    CLOCK_SLACK,
    SIGHT_MAX,
    Holding,
    Span,
    Start,
    asked,
    attributed,
    holder,
    is_mistakable,
    start_now,
)
from paynode.domain.chain import BlockRef, Row, RowKind, RowSource
from paynode.domain.invoice import Tolerance
from paynode.domain.money import Asset
from paynode.domain.quote import Price, Quote, lock, still_due

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BLOCK_SECONDS = 12
USDT = Asset("eth", "usdt", 6, "0xda")


def at(seconds: float) -> datetime:
    return BEGAN + seconds * SECOND


def block(number: int) -> BlockRef:
    """One of a chain that makes a block every twelve seconds."""
    return BlockRef(number, f"0x{number}", at(number * BLOCK_SECONDS))


def transfer(number: int, units: int = 100) -> Row:
    return Row(RowKind.IN, RowSource.LOG, "0xa", "eth_usdt", units, block(number), tx_hash="0x1", log_index=0)


def began(number: int) -> Start:
    """A holding's beginning, right after that block was seen."""
    return Start(number, block(number).at, block(number).at)


def held(name: str, start: Start | None = None, *spans: tuple[int, int], waits: bool = False) -> Holding:
    asks = tuple(Span(*span) for span in spans)
    return Holding(name, start, is_offered=True, is_waiting=waits, asked=asks)


def test_money_belongs_to_whoever_held_the_address_in_its_block() -> None:
    holdings = [held("a"), held("b", began(100)), held("c", began(200))]
    whose = [attributed(transfer(number), holdings) for number in (1, 100, 101, 200, 201, 999)]
    assert whose == ["a", "a", "b", "b", "c", "c"]


def test_a_coin_that_the_holder_does_not_offer_counts_for_nobody() -> None:
    holdings = [held("a"), replace(held("b", began(100)), is_offered=False)]
    assert (attributed(transfer(50), holdings), attributed(transfer(150), holdings)) == ("a", None)


def test_where_number_and_time_contradict_each_other_nobody_is_guessed() -> None:
    start = Start(100, block(100).at, block(105).at)
    holdings = [held("a"), held("b", start)]
    unseen_before = transfer(103)  # mined before the address was passed on, and not seen by then
    mined_anew = replace(transfer(100), block=BlockRef(100, "0xother", block(110).at))
    assert [attributed(each, holdings) for each in (unseen_before, mined_anew)] == [None, None]
    assert attributed(transfer(105), holdings) == "b"


def test_a_holding_that_a_network_did_not_see_begin_is_unclear_there() -> None:
    assert attributed(transfer(1), [held("a"), held("b", None)]) is None


def test_an_unplaced_rise_counts_only_where_its_whole_time_is_one_holders() -> None:
    holdings = [held("a"), held("b", began(100))]
    rise = replace(transfer(150), source=RowSource.UNPLACED, earliest_at=block(120).at)
    assert attributed(rise, holdings) == "b"
    assert attributed(replace(rise, earliest_at=block(90).at), holdings) is None
    assert attributed(replace(rise, earliest_at=None), holdings) is None
    assert attributed(replace(rise, block=block(99), earliest_at=None), holdings) == "a"


def test_while_an_earlier_holder_waits_only_the_exact_rest_counts() -> None:
    holdings = [held("a", None, (70, 70), waits=True), held("b", began(100), (99, 101))]
    whose = {units: attributed(transfer(101, units), holdings) for units in (1, 70, 98, 99, 101, 102)}
    assert whose == {1: None, 70: None, 98: None, 99: "b", 101: "b", 102: None}
    assert attributed(transfer(100, 55), holdings) == "a"  # its own late money, whatever it is


def test_an_amount_that_two_are_asked_for_counts_for_neither() -> None:
    holdings = [held("a", None, (95, 99), waits=True), held("b", began(100), (99, 101))]
    assert [attributed(transfer(101, units), holdings) for units in (99, 100)] == [None, "b"]


def test_an_earlier_holder_that_is_paid_disputes_nothing() -> None:
    holdings = [held("a", None, (100, 100)), held("b", began(100), (100, 100))]
    assert attributed(transfer(101, 3), holdings) == "b"


@st.composite
def carousels(draw: st.DrawFn) -> list[Holding]:
    """Holdings of one address, one after another; each begins where the chain is then, known late or at once."""
    count = draw(st.integers(1, 5))
    heights = sorted(draw(st.sets(st.integers(10, 300), min_size=count - 1, max_size=count - 1)))
    holdings = []
    for position in range(count):
        start = None
        if position:
            known, behind = block(heights[position - 1]), draw(st.integers(0, 9 * BLOCK_SECONDS))
            start = Start(known.number, known.at, known.at + behind * SECOND)
        low = draw(st.integers(1, 30))
        spans = (low, low + draw(st.integers(0, 5)))
        holdings.append(held(f"inv{position}", start, spans, waits=draw(st.booleans())))
    return holdings


TRANSFERS = st.builds(transfer, st.integers(1, 400), st.integers(1, 40))


@given(carousels(), TRANSFERS)
def test_money_counts_for_its_holder_or_for_nobody(holdings: list[Holding], row: Row) -> None:
    whose, present = attributed(row, holdings), holder(row, holdings)
    assert whose is None or (present is not None and whose == present.invoice_id)


@given(carousels(), TRANSFERS)
def test_no_money_mined_before_a_holding_ever_counts_for_it(holdings: list[Holding], row: Row) -> None:
    whose = attributed(row, holdings)
    for holding in holdings[1:]:
        assert holding.start is not None
        if row.block.at < holding.start.shown_at:
            assert whose != holding.invoice_id


@given(carousels(), TRANSFERS)
def test_what_an_earlier_payer_still_owes_never_counts_for_a_later_one(holdings: list[Holding], row: Row) -> None:
    whose = attributed(row, holdings)
    for position, holding in enumerate(holdings):
        if holding.is_waiting and holding.is_settled_by(row.units):
            assert whose not in {later.invoice_id for later in holdings[position + 1 :]}


@given(carousels(), TRANSFERS)
def test_the_exact_rest_counts_where_nothing_speaks_against_it(holdings: list[Holding], row: Row) -> None:
    present = holder(row, holdings)
    if present is None or not present.is_settled_by(row.units):
        return
    before = holdings[: holdings.index(present)]
    if not any(each.is_waiting and each.is_settled_by(row.units) for each in before):
        assert attributed(row, holdings) == present.invoice_id


@given(carousels(), TRANSFERS, st.data())
def test_those_who_wait_no_more_and_are_not_the_holder_change_nothing(
    holdings: list[Holding], row: Row, data: st.DataObject
) -> None:
    """What the books leave out when they ask: every other holding may be dropped."""
    present = holder(row, holdings)
    if present is None:
        return
    position = holdings.index(present)
    kept: Sequence[Holding] = [each for each in holdings[:position] if each.is_waiting or data.draw(st.booleans())]
    assert attributed(row, [*kept, present]) == attributed(row, holdings)


def test_a_beginning_is_told_by_the_chains_clock_and_ours_only_counts_what_passed() -> None:
    wrong = BEGAN + timedelta(days=400)
    start = start_now(7, at(84), looked_at=wrong, now=wrong + 60 * SECOND)
    assert start == Start(7, at(84), at(144) - BLOCK_SLACK)
    assert start_now(7, at(84), looked_at=wrong, now=wrong) == Start(7, at(84), at(84))


def test_a_chain_out_of_sight_tells_no_beginning() -> None:
    seen = at(100)
    assert start_now(7, at(84), looked_at=seen, now=seen + SIGHT_MAX + SECOND) is None
    assert start_now(7, at(84), looked_at=seen, now=seen - SECOND) is None  # our clock was set back


def test_a_block_of_the_future_tells_no_beginning() -> None:
    """Whatever comes until then would be nobody's; and one provider's word is enough for such a date."""
    seen = at(100)
    assert start_now(7, seen + CLOCK_SLACK, looked_at=seen, now=seen) is not None
    assert start_now(7, seen + CLOCK_SLACK + SECOND, looked_at=seen, now=seen) is None


PRICE = Price(Decimal(100), "USD")


def quote(rate: str = "1") -> Quote:
    return lock(PRICE, Decimal(rate), USDT, now=BEGAN, valid_for=timedelta(minutes=15))


def test_what_is_asked_is_the_rest_within_tolerance_at_every_price_that_was_shown() -> None:
    tolerance = Tolerance(Decimal(1), Decimal(2))
    assert asked([quote()], PRICE, tolerance, Fraction(0), USDT) == (Span(99_000_000, 102_000_000),)
    assert asked([quote(), quote("2")], PRICE, tolerance, Fraction(60), USDT) == (
        Span(39_000_000, 42_000_000),
        Span(19_500_000, 21_000_000),
    )
    assert asked([quote()], PRICE, tolerance, Fraction(99), USDT) == ()


@given(st.decimals("0.000001", 10_000, places=6), st.integers(0, 10**8))
def test_what_a_payer_is_shown_is_always_within_what_is_asked(rate: Decimal, paid: int) -> None:
    locked = quote(str(rate))
    seen = Fraction(paid, 10**6)
    for span in asked([locked], PRICE, Tolerance(), seen, USDT):
        assert span.low <= still_due(locked, PRICE, seen, USDT) <= span.high


def test_two_invoices_are_mistakable_if_one_payment_could_settle_either() -> None:
    ten, eleven, wide = {"usdt": [Span(10, 10)]}, {"usdt": [Span(11, 11)]}, {"usdt": [Span(1, 2), Span(9, 12)]}
    assert is_mistakable(ten, ten)
    assert is_mistakable(ten, wide)
    assert not is_mistakable(ten, eleven)
    assert not is_mistakable(ten, {"usdc": [Span(10, 10)]})
