"""Fresh or carousel: when an address may serve the next invoice, and whose the money on it is then.

    held by an open invoice -> resting, once that is closed -> free, once rested and swept empty -> held by the next

Nobody gives an address back: its last holder keeps it until the next one takes it, so that late money finds its
invoice. The one rule: a transfer belongs to whoever held the address in its block, and what could be meant for two is
nobody's until the merchant says so (I9).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from fractions import Fraction
from math import ceil
from typing import NamedTuple, Protocol, TypeVar

from paynode.domain.chain import Row, RowSource
from paynode.domain.invoice import Tolerance
from paynode.domain.money import Asset
from paynode.domain.quote import Price, Quote, still_due

REST_MIN = timedelta(minutes=10)  # a payer who was just too late is mined by then
REST_MAX = timedelta(days=365)
SIGHT_MAX = timedelta(minutes=15)  # an idle network is looked at every ten
CLOCK_SLACK = timedelta(seconds=30)  # a block may be dated some seconds ahead, and our clock be some behind
BLOCK_SLACK = timedelta(seconds=5)  # a block takes in what is sent seconds after the moment that it is dated


class AddressMode(StrEnum):
    """What becomes of an invoice's addresses when it is closed."""

    FRESH = "fresh"  # nobody gets them again
    REUSE = "reuse"  # they rest, and serve another invoice


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Whether an invoice takes its addresses from the carousel and leaves them to it."""

    mode: AddressMode = AddressMode.FRESH
    rest: timedelta | None = None  # past the invoice's end; None: as long as its addresses are watched


@dataclass(frozen=True, slots=True)
class Start:
    """Where one network was when an address was given to its next holder."""

    number: int  # the newest block that we knew
    at: datetime  # that block's time
    shown_at: datetime  # the network's time then, or a little before: no block of then is dated earlier


def start_now(number: int, at: datetime, looked_at: datetime, now: datetime) -> Start | None:
    """Where a network is, by its block that was the newest when we `looked_at` it; None: that cannot be told.

    It cannot if that was too long ago, or if the block seemed to be of the future: whose what comes next is would be
    unclear until then, and one provider's word is enough for such a date. Else our clock counts only what has passed
    since: however far it runs ahead, blocks are compared with blocks.
    """
    passed = now - looked_at
    if not timedelta(0) <= passed <= SIGHT_MAX or at > looked_at + CLOCK_SLACK:
        return None
    return Start(number, at, max(at, at + passed - BLOCK_SLACK))


class Span(NamedTuple):
    """Amounts from `low` to `high`, both included, in base units."""

    low: int
    high: int

    def overlaps(self, other: "Span") -> bool:
        return self.low <= other.high and other.low <= self.high


ANYTHING = Span(1, 10**100)  # what settles an invoice whose payers decide how much


def asked(
    quotes: Iterable[Quote], price: Price, tolerance: Tolerance, seen: Fraction, asset: Asset
) -> tuple[Span, ...]:
    """What exactly settles the rest of an invoice in one coin, at any price that its payer was shown.

    `seen` is what it got so far. Nothing settles what got enough.
    """
    amount = Fraction(price.amount)
    least = amount * (1 - Fraction(tolerance.under_percent) / 100) - seen
    most = amount * (1 + Fraction(tolerance.over_percent) / 100) - seen
    if least <= 0 or seen >= amount:
        return ()
    return tuple(
        Span(
            ceil(quote.units * least / amount),
            max(int(quote.units * most / amount), still_due(quote, price, seen, asset)),
        )
        for quote in quotes
    )


@dataclass(frozen=True, slots=True)
class Holding:
    """One invoice's time with an address, as a transfer to it is judged."""

    invoice_id: str
    start: Start | None  # on the transfer's network; None: the address was fresh, or nobody knows
    is_offered: bool  # the invoice takes the transfer's coin
    is_waiting: bool  # it is not paid, and its addresses are still watched for late money
    asked: tuple[Span, ...]  # what settles it exactly, in that coin

    def is_settled_by(self, units: int) -> bool:
        return any(span.low <= units <= span.high for span in self.asked)


class _Side(Enum):
    BEFORE = auto()
    AFTER = auto()
    UNCLEAR = auto()


class Started(Protocol):
    """Somebody's time with an address."""

    @property
    def start(self) -> Start | None: ...


S = TypeVar("S", bound=Started)


def holder(row: Row, holdings: Sequence[S]) -> S | None:
    """Who held the address in the transfer's block; None: that cannot be told. `holdings` are oldest first."""
    for holding in reversed(holdings[1:]):
        match _side(row, holding.start):
            case _Side.AFTER:
                return holding
            case _Side.UNCLEAR:
                return None
            case _Side.BEFORE:
                continue
    return holdings[0]


def attributed(row: Row, holdings: Sequence[Holding]) -> str | None:
    """The invoice that a transfer to their address counts for; None: nobody's, the merchant must say.

    While an earlier holder may still be paid late, an amount is all that tells two payers apart: it counts only if it
    is exactly what the holder is still owed, and not what an earlier one is.
    """
    present = holder(row, holdings)
    if present is None or not present.is_offered:
        return None
    rivals = [each for each in holdings[: holdings.index(present)] if each.is_waiting]
    units = row.credited_units
    if rivals and (not present.is_settled_by(units) or any(each.is_settled_by(units) for each in rivals)):
        return None
    return present.invoice_id


def _side(row: Row, start: Start | None) -> _Side:
    """Whether a transfer was mined before a holding began, or after. Numbers and times must agree.

    They contradict each other where a reorganisation made old heights anew, or where blocks were mined that we had not
    seen yet.
    """
    if start is None:
        return _Side.UNCLEAR
    if row.block.number <= start.number and row.block.at <= start.at:
        return _Side.BEFORE
    earliest_at = row.earliest_at if row.source is RowSource.UNPLACED else row.block.at
    if row.block.number > start.number and earliest_at is not None and earliest_at >= start.shown_at:
        return _Side.AFTER
    return _Side.UNCLEAR


def is_mistakable(asks: Mapping[str, Sequence[Span]], others: Mapping[str, Sequence[Span]]) -> bool:
    """Whether one payment could be exactly what each of two invoices asks for, by method."""
    return any(
        span.overlaps(other) for method, spans in asks.items() for span in spans for other in others.get(method, ())
    )
