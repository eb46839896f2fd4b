"""The invoice machine.

An invoice's status is never set by hand: it is judged from facts (what is due, what was seen and how deep, whether
the deadline has passed on every chain concerned, whether the merchant cancelled or accepted) and `NEXT` says which
changes of mind are lawful. Judging afresh is what makes reorganisations harmless: when a deposit is orphaned, the
same facts simply give an earlier status.

    open -> confirming -> paid <-> reversed
      |         |
      +---------+-> expired -> paid (accepted, or paid in time and seen late)
      +-> cancelled -> paid (accepted)

A reusable invoice is never paid, since no sum is: it is open until it is cancelled, and its payments count one by one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from paynode.domain import deposit
from paynode.domain.events import EventType


class Type(StrEnum):
    ONE_TIME = "one_time"  # one customer, one sum: over is told, since somebody may want the rest back
    REUSABLE = "reusable"  # any number of payments for ever, each for itself
    POOL = "pool"  # many payers towards one sum; more than it is nobody's mistake


class Status(StrEnum):
    OPEN = "open"  # less than is due has been seen
    CONFIRMING = "confirming"  # enough seen, not enough deep enough
    PAID = "paid"  # enough deep enough, or accepted
    EXPIRED = "expired"  # the deadline passed before enough was seen
    CANCELLED = "cancelled"  # withdrawn
    REVERSED = "reversed"  # was paid; the chain took it back. Once paid: PAID or REVERSED, nothing else


class PaymentState(StrEnum):
    NONE = "none"
    PARTIAL = "partial"
    EXACT = "exact"  # within tolerance
    OVER = "over"


NEXT: Mapping[Status, frozenset[Status]] = {
    Status.OPEN: frozenset({Status.CONFIRMING, Status.PAID, Status.EXPIRED, Status.CANCELLED}),
    Status.CONFIRMING: frozenset({Status.OPEN, Status.PAID, Status.EXPIRED}),
    Status.PAID: frozenset({Status.REVERSED}),
    Status.EXPIRED: frozenset({Status.CONFIRMING, Status.PAID}),
    Status.CANCELLED: frozenset({Status.PAID}),
    Status.REVERSED: frozenset({Status.PAID}),
}

ONCE_PAID = frozenset({Status.PAID, Status.REVERSED})
CLOSED = frozenset({Status.PAID, Status.EXPIRED, Status.CANCELLED, Status.REVERSED})


class UnlawfulStep(Exception):
    """The facts ask for a step that `NEXT` forbids: a bug. The operation sets the invoice aside and goes on."""

    def __init__(self, before: Status, after: Status) -> None:
        super().__init__(f"{before} -> {after}")


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far from the price still counts as exact, in percent of it."""

    under_percent: Decimal = Decimal(0)
    over_percent: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Payment:
    """One deposit as its invoice sees it, or several that differ in nothing but their worth, taken together."""

    worth: Fraction  # in the invoice's currency
    stage: deposit.Stage
    is_late: bool
    is_held: bool = False  # something is known against its senders: it counts only if it was settled before
    is_too_small: bool = False  # less than a reusable invoice takes: it is kept and shown, and counts for nothing


@dataclass(frozen=True, slots=True)
class Invoice:
    """The part of an invoice that the machine judges and changes."""

    type: Type
    status: Status
    payment_state: PaymentState
    amount: Decimal | None  # None: the payer decides how much
    tolerance: Tolerance
    is_late_accepted: bool  # store policy: late money counts
    min_amount: Decimal | None = None  # only without an amount; of a reusable invoice, of each payment
    is_cancelled: bool = False
    is_deadline_passed: bool = False  # on every network with an issued address
    accepted: Fraction | None = None  # the merchant declared this much enough
    is_late: bool = False  # money came late
    announced: frozenset[EventType] = frozenset()  # of those told once only


def least_exact(invoice: Invoice) -> Fraction:
    """The worth from which nothing is missing; without an amount, the least that may be paid."""
    if invoice.amount is None:
        return Fraction(invoice.min_amount or 0)
    return Fraction(invoice.amount) * (1 - Fraction(invoice.tolerance.under_percent) / 100)


def least_accepted(invoice: Invoice) -> Fraction:
    """The worth from which the invoice counts as paid; nothing at all never does."""
    due = least_exact(invoice)
    return due if invoice.accepted is None else min(due, invoice.accepted)


def payment_state(invoice: Invoice, seen: Fraction) -> PaymentState:
    """How `seen` compares with the price."""
    if seen == 0:
        return PaymentState.NONE
    if seen < least_exact(invoice):
        return PaymentState.PARTIAL
    if invoice.amount is None:
        return PaymentState.EXACT
    if seen > Fraction(invoice.amount) * (1 + Fraction(invoice.tolerance.over_percent) / 100):
        return PaymentState.OVER
    return PaymentState.EXACT


def is_too_small(invoice: Invoice, worth: Fraction) -> bool:
    """Whether a single payment is less than a reusable invoice takes."""
    return invoice.type is Type.REUSABLE and worth < least_exact(invoice)


def counting(payments: Iterable[Payment]) -> tuple[Payment, ...]:
    """The payments that count for their invoice."""
    return tuple(payment for payment in payments if not payment.is_too_small)


def seen_worth(payments: Iterable[Payment]) -> Fraction:
    """What all canonical payments are worth, late ones included."""
    return sum((p.worth for p in payments if p.stage is not deposit.Stage.ORPHANED), Fraction(0))


def final_worth(payments: Iterable[Payment]) -> Fraction:
    """What the payments that are settled are worth, late ones included."""
    return sum((p.worth for p in payments if p.stage is deposit.Stage.SETTLED), Fraction(0))


def judge(invoice: Invoice, payments: Iterable[Payment]) -> Status:
    """The status that the facts give."""
    if invoice.type is Type.REUSABLE:
        return Status.CANCELLED if invoice.is_cancelled else Status.OPEN
    counts_late = invoice.is_late_accepted or invoice.accepted is not None or invoice.status in ONCE_PAID
    counted = [p for p in payments if counts_late or not p.is_late]
    least = least_accepted(invoice)
    is_covered = _covers(final_worth(counted), least)
    if invoice.status in ONCE_PAID:
        return Status.PAID if is_covered else Status.REVERSED
    if invoice.is_cancelled:
        return Status.PAID if is_covered and invoice.accepted is not None else Status.CANCELLED
    if is_covered:
        return Status.PAID
    if _covers(seen_worth(p for p in counted if p.stage is deposit.Stage.SETTLED or not p.is_held), least):
        return Status.CONFIRMING
    return Status.EXPIRED if invoice.is_deadline_passed else Status.OPEN


def _covers(worth: Fraction, least: Fraction) -> bool:
    return worth > 0 and worth >= least


_ANNOUNCED_AS: Mapping[Status, EventType] = {
    Status.OPEN: EventType.INVOICE_UPDATED,
    Status.CONFIRMING: EventType.INVOICE_CONFIRMING,
    Status.PAID: EventType.INVOICE_PAID,
    Status.EXPIRED: EventType.INVOICE_EXPIRED,
    Status.CANCELLED: EventType.INVOICE_CANCELLED,
    Status.REVERSED: EventType.INVOICE_REVERSED,
}


def advance(invoice: Invoice, payments: Iterable[Payment]) -> tuple[Invoice, tuple[EventType, ...]]:
    """Judge the invoice again; return it with what to announce, in order.

    Raises:
        UnlawfulStep: the facts contradict the table.
    """
    payments = tuple(payments)
    after = judge(invoice, payments)
    if after is not invoice.status and after not in NEXT[invoice.status]:
        raise UnlawfulStep(invoice.status, after)
    seen = seen_worth(counting(payments))
    changed = replace(
        invoice,
        status=after,
        payment_state=payment_state(invoice, seen),
        is_late=any(p.is_late and p.stage is not deposit.Stage.ORPHANED for p in payments),
    )
    events = [] if after is invoice.status else [_ANNOUNCED_AS[after]]
    events += [event for event in _told_once(changed, payments) if event not in invoice.announced]
    if not events and changed.is_late != invoice.is_late:
        events.append(EventType.INVOICE_UPDATED)
    return replace(changed, announced=invoice.announced | (set(events) & TOLD_ONCE)), tuple(events)


TOLD_ONCE = frozenset({EventType.INVOICE_OVERPAID, EventType.INVOICE_UNDERPAID, EventType.INVOICE_PAID_LATE})


def _told_once(invoice: Invoice, payments: tuple[Payment, ...]) -> Iterable[EventType]:
    if invoice.type is Type.REUSABLE:
        return
    final = payment_state(invoice, final_worth(payments))
    is_some_on_time = any(not p.is_late and p.stage is not deposit.Stage.ORPHANED for p in payments)
    if invoice.type is Type.ONE_TIME and invoice.status is Status.PAID and final is PaymentState.OVER:
        yield EventType.INVOICE_OVERPAID
    if invoice.status is Status.EXPIRED and invoice.payment_state is PaymentState.PARTIAL and is_some_on_time:
        yield EventType.INVOICE_UNDERPAID
    # A closed invoice can also be covered by money sent in time: it was cancelled while that was on its way.
    if invoice.status in {Status.EXPIRED, Status.CANCELLED} and final in {PaymentState.EXACT, PaymentState.OVER}:
        yield EventType.INVOICE_PAID_LATE
