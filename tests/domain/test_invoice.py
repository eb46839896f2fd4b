from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from paynode.domain.deposit import FINAL, Stage
from paynode.domain.deposit import NEXT as NEXT_STAGE
from paynode.domain.events import EventType
from paynode.domain.invoice import (
    NEXT,
    ONCE_PAID,
    TOLD_ONCE,
    Invoice,
    Payment,
    PaymentState,
    Status,
    Tolerance,
    Type,
    UnlawfulStep,
    advance,
    counting,
    final_worth,
    is_too_small,
    judge,
    least_accepted,
    payment_state,
    seen_worth,
)

ON_TIME = False
LATE = True
PRICE = Decimal(100)
ACCEPTABLE = {Status.OPEN, Status.EXPIRED, Status.CANCELLED, Status.REVERSED}
NO_TOLERANCE = Tolerance()
FIVE_PERCENT = Tolerance(Decimal(5), Decimal(5))


def opened(tolerance: Tolerance = NO_TOLERANCE, amount: Decimal = PRICE, *, is_late_accepted: bool = False) -> Invoice:
    return Invoice(Type.ONE_TIME, Status.OPEN, PaymentState.NONE, amount, tolerance, is_late_accepted)


def without_amount(type_: Type, minimum: int | None = None) -> Invoice:
    smallest = None if minimum is None else Decimal(minimum)
    return replace(opened(), type=type_, amount=None, min_amount=smallest)


def paying(worth: int | Fraction, stage: Stage = Stage.SETTLED, *, late: bool = ON_TIME) -> Payment:
    return Payment(Fraction(worth), stage, late)


def weighed(invoice: Invoice, payments: Iterable[Payment]) -> list[Payment]:
    """The payments, each alone held against the least that the invoice takes."""
    return [replace(each, is_too_small=is_too_small(invoice, each.worth)) for each in payments]


def taken_together(payments: Iterable[Payment]) -> list[Payment]:
    """One payment of each kind, worth what all of that kind are."""
    totals: dict[Payment, Fraction] = {}
    for each in payments:
        kind = replace(each, worth=Fraction(0))
        totals[kind] = totals.get(kind, Fraction(0)) + each.worth
    return [replace(kind, worth=worth) for kind, worth in totals.items()]


def walk(invoice: Invoice, *views: Iterable[Payment]) -> tuple[Invoice, list[EventType]]:
    """The invoice after it was judged on each view of its payments in turn, and all that was announced."""
    announced: list[EventType] = []
    for payments in views:
        invoice, events = advance(invoice, payments)
        announced += events
    return invoice, announced


positions = st.integers(0, 7)
standing = st.sampled_from([stage for stage in Stage if stage is not Stage.ORPHANED])


FIFTY = Decimal(50)
KINDS = [
    (Type.ONE_TIME, PRICE, None),
    (Type.ONE_TIME, PRICE, None),  # twice: most invoices are
    (Type.POOL, PRICE, None),
    (Type.ONE_TIME, None, None),
    (Type.ONE_TIME, None, FIFTY),
    (Type.REUSABLE, None, None),
    (Type.REUSABLE, None, FIFTY),
]


class InvoiceLife(RuleBasedStateMachine):
    """The chain moves on its own; the node sees it in observations, and merchant and clock act in between.

    Rules about payments change the chain only, so that one observation may bring several changes at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.deposits_before_deadline = 0
        self.deposits_before_cancelling = 0
        self.chain: list[Payment] = []
        self.seen: tuple[Payment, ...] = ()
        self.invoice = opened()
        self.history = [Status.OPEN]
        self.announced: list[EventType] = []
        self.counted_when_first_paid: Fraction | None = None

    @initialize(
        under=st.sampled_from([0, 1, 50]),
        over=st.sampled_from([0, 1]),
        is_late_accepted=st.booleans(),
        deposits_before_deadline=st.integers(0, 6),
        deposits_before_cancelling=st.integers(0, 6),
        kind=st.sampled_from(KINDS),
    )
    def an_invoice_is_created(
        self,
        kind: tuple[Type, Decimal | None, Decimal | None],
        under: int,
        over: int,
        is_late_accepted: bool,
        deposits_before_deadline: int,
        deposits_before_cancelling: int,
    ) -> None:
        self.deposits_before_deadline = deposits_before_deadline
        self.deposits_before_cancelling = deposits_before_cancelling
        tolerance = Tolerance(Decimal(under), Decimal(over))
        type_, amount, min_amount = kind
        plain = opened(tolerance, is_late_accepted=is_late_accepted)
        self.invoice = replace(plain, type=type_, amount=amount, min_amount=min_amount)

    @rule(worth=st.sampled_from([1, 40, 50, 60, 99, 100, 101, 102, 300]), stage=standing, late=st.booleans())
    def a_deposit_is_mined(self, worth: int, stage: Stage, late: bool) -> None:
        self.chain.append(paying(worth, stage, late=late))

    @precondition(lambda self: self.chain)
    @rule(which=positions, stage=standing)
    def a_deposit_changes_depth(self, which: int, stage: Stage) -> None:
        if stage in NEXT_STAGE[self._at(which).stage]:
            self._put(which, replace(self._at(which), stage=stage))

    @precondition(lambda self: self.chain)
    @rule(which=positions)
    def a_deposit_turns_out_to_have_brought_half(self, which: int) -> None:
        if self._at(which).stage not in FINAL:
            self._put(which, replace(self._at(which), worth=self._at(which).worth / 2))

    @precondition(lambda self: self.chain)
    @rule()
    def every_deposit_becomes_final(self) -> None:
        self.chain = [p if p.stage is Stage.ORPHANED else replace(p, stage=Stage.SETTLED) for p in self.chain]
        self.the_node_observes()

    @precondition(lambda self: self.chain)
    @rule(which=positions)
    def a_reorg_orphans_a_deposit(self, which: int) -> None:
        self._put(which, replace(self._at(which), stage=Stage.ORPHANED))

    @precondition(lambda self: self.chain)
    @rule(is_mined_anew=st.booleans(), late=st.booleans())
    def a_reorg_orphans_every_deposit(self, is_mined_anew: bool, late: bool) -> None:
        standing = [p for p in self.chain if p.stage is not Stage.ORPHANED]
        self.chain = [replace(p, stage=Stage.ORPHANED) for p in self.chain]
        if is_mined_anew:  # in a later block: what was on time may now be late
            self.chain += [replace(p, stage=Stage.DETECTED, is_late=p.is_late or late) for p in standing]

    @rule()
    def the_node_observes(self) -> None:
        self.seen = tuple(weighed(self.invoice, self.chain))
        self._judge(self.invoice)

    @precondition(
        lambda self: self.invoice.type is not Type.REUSABLE and len(self.chain) >= self.deposits_before_deadline
    )
    @rule(brings_more=st.booleans())
    def the_node_observes_that_the_deadline_has_passed(self, brings_more: bool) -> None:
        if brings_more:
            self.seen = tuple(weighed(self.invoice, self.chain))
        self._judge(replace(self.invoice, is_deadline_passed=True))

    @precondition(
        lambda self: self.invoice.status is Status.OPEN and len(self.chain) >= self.deposits_before_cancelling
    )
    @rule()
    def the_merchant_cancels(self) -> None:
        self._judge(replace(self.invoice, is_cancelled=True))
        assert self.invoice.status is Status.CANCELLED

    @precondition(
        lambda self: (
            self.invoice.type is not Type.REUSABLE and final_worth(self.seen) > 0 and self.invoice.status in ACCEPTABLE
        )
    )
    @rule()
    def the_merchant_accepts_what_has_come(self) -> None:
        self._judge(replace(self.invoice, accepted=final_worth(self.seen)))
        assert self.invoice.status is Status.PAID

    def _at(self, which: int) -> Payment:
        return self.chain[which % len(self.chain)]

    def _put(self, which: int, payment: Payment) -> None:
        self.chain[which % len(self.chain)] = payment

    def _judge(self, invoice: Invoice) -> None:
        self.invoice, events = advance(invoice, self.seen)
        self.announced += events
        if self.invoice.status is not self.history[-1]:
            assert events, "no change of status goes untold"
            self.history.append(self.invoice.status)
            event(f"{self.history[-2]} -> {self.history[-1]}")
        if self.invoice.status is Status.PAID and self.counted_when_first_paid is None:
            counts_late = self.invoice.accepted is not None
            self.counted_when_first_paid = final_worth(p for p in self.seen if counts_late or not p.is_late)

    @invariant()
    def judging_twice_changes_nothing(self) -> None:
        assert advance(self.invoice, self.seen) == (self.invoice, ())

    @invariant()
    def payments_of_one_kind_are_judged_together_as_they_are_one_by_one(self) -> None:
        together = taken_together(self.seen)
        for facts in ({}, {"is_deadline_passed": True}, {"accepted": final_worth(self.seen)}):
            asked = replace(self.invoice, **facts)  # type: ignore[arg-type]
            assert judge(asked, together) is judge(asked, self.seen)
        assert advance(self.invoice, together) == advance(self.invoice, self.seen)
        assert seen_worth(counting(together)) == seen_worth(counting(self.seen))
        assert final_worth(counting(together)) == final_worth(counting(self.seen))

    @invariant()
    def the_order_of_payments_does_not_matter(self) -> None:
        assert judge(self.invoice, reversed(self.seen)) is self.invoice.status

    @invariant()
    def paid_means_final_funds(self) -> None:
        if self.invoice.status is Status.PAID:
            assert 0 < final_worth(self.seen) >= least_accepted(self.invoice)

    @invariant()
    def enough_final_funds_in_time_mean_paid_unless_cancelled(self) -> None:
        on_time = [p for p in self.seen if not p.is_late]
        is_reusable = self.invoice.type is Type.REUSABLE
        if 0 < final_worth(on_time) >= least_accepted(self.invoice) and not is_reusable:
            assert self.invoice.status in {Status.PAID, Status.CANCELLED}

    @invariant()
    def once_paid_never_open_again(self) -> None:
        if Status.PAID in self.history:
            first = self.history.index(Status.PAID)
            assert ONCE_PAID.issuperset(self.history[first:])

    @invariant()
    def every_step_is_in_the_table(self) -> None:
        for before, after in zip(self.history, self.history[1:], strict=False):
            assert after in NEXT[before]

    @invariant()
    def nothing_expires_with_enough_in_sight(self) -> None:
        on_time = [p for p in self.seen if not p.is_late]
        if self.invoice.status is Status.EXPIRED:
            seen = seen_worth(on_time)
            assert seen == 0 or seen < least_accepted(self.invoice)

    @invariant()
    def open_and_confirming_are_the_only_ones_that_wait(self) -> None:
        if self.invoice.is_deadline_passed:
            assert self.invoice.status is not Status.OPEN

    @invariant()
    def late_money_counts_only_by_policy_or_by_word_until_it_was_paid(self) -> None:
        if not self.invoice.is_late_accepted:
            if self.counted_when_first_paid is not None:
                assert self.counted_when_first_paid >= least_accepted(self.invoice)
            if self.invoice.status is Status.CONFIRMING:
                assert seen_worth(p for p in self.seen if not p.is_late) >= least_accepted(self.invoice)

    @invariant()
    def the_payment_state_is_that_of_the_canonical_deposits(self) -> None:
        seen = seen_worth(counting(self.seen))
        assert self.invoice.payment_state is payment_state(self.invoice, seen)

    @invariant()
    def a_reusable_invoice_is_open_until_it_is_cancelled(self) -> None:
        if self.invoice.type is Type.REUSABLE:
            assert set(self.history) <= {Status.OPEN, Status.CANCELLED}
            assert self.invoice.payment_state in {PaymentState.NONE, PaymentState.EXACT}
            assert not TOLD_ONCE & set(self.announced)

    @invariant()
    def without_an_amount_nothing_is_over(self) -> None:
        if self.invoice.amount is None:
            assert self.invoice.payment_state is not PaymentState.OVER

    @invariant()
    def more_than_a_pool_asks_for_is_nobodys_mistake(self) -> None:
        if self.invoice.type is Type.POOL:
            assert EventType.INVOICE_OVERPAID not in self.announced

    @invariant()
    def late_says_that_money_came_late(self) -> None:
        assert self.invoice.is_late == any(p.is_late and p.stage is not Stage.ORPHANED for p in self.seen)

    @invariant()
    def announced_once(self) -> None:
        for told_once in TOLD_ONCE:
            assert self.announced.count(told_once) == (told_once in self.invoice.announced)

    @invariant()
    def a_status_is_told_as_often_as_it_was_reached(self) -> None:
        assert self.announced.count(EventType.INVOICE_PAID) == self.history.count(Status.PAID)
        assert self.announced.count(EventType.INVOICE_REVERSED) == self.history.count(Status.REVERSED)
        assert self.announced.count(EventType.INVOICE_EXPIRED) == self.history.count(Status.EXPIRED)
        assert self.announced.count(EventType.INVOICE_CANCELLED) == self.history.count(Status.CANCELLED)
        assert self.announced.count(EventType.INVOICE_CONFIRMING) == self.history.count(Status.CONFIRMING)

    @invariant()
    def a_closed_invoice_that_is_covered_was_told_to_the_merchant(self) -> None:
        covered = payment_state(self.invoice, final_worth(self.seen)) in {PaymentState.EXACT, PaymentState.OVER}
        is_closed = self.invoice.status in {Status.EXPIRED, Status.CANCELLED}
        if is_closed and covered and self.invoice.type is not Type.REUSABLE:
            assert EventType.INVOICE_PAID_LATE in self.announced

    @invariant()
    def an_overpaid_invoice_was_told_to_the_merchant(self) -> None:
        is_one_price = self.invoice.type is Type.ONE_TIME and self.invoice.amount is not None
        is_over = final_worth(self.seen) > Fraction(PRICE) * Fraction(101, 100)
        if self.invoice.status is Status.PAID and is_one_price and is_over:
            assert EventType.INVOICE_OVERPAID in self.announced


InvoiceLife.TestCase.settings = settings(max_examples=300, stateful_step_count=40)
TestInvoiceLife = InvoiceLife.TestCase


@pytest.mark.parametrize(
    ("worth", "stage", "status", "state"),
    [
        (Fraction(10**20 - 1, 10**18), Stage.SETTLED, Status.OPEN, PaymentState.PARTIAL),  # one wei short of 100
        (Fraction(100), Stage.SETTLED, Status.PAID, PaymentState.EXACT),
        (Fraction(100), Stage.CONFIRMED, Status.CONFIRMING, PaymentState.EXACT),
        (Fraction(100), Stage.CONFIRMING, Status.CONFIRMING, PaymentState.EXACT),
        (Fraction(100), Stage.DETECTED, Status.CONFIRMING, PaymentState.EXACT),
        (Fraction(100), Stage.ORPHANED, Status.OPEN, PaymentState.NONE),
        (Fraction(10**20 + 1, 10**18), Stage.SETTLED, Status.PAID, PaymentState.OVER),  # one wei over
        (Fraction(10**25), Stage.SETTLED, Status.PAID, PaymentState.OVER),
    ],
)
def test_one_deposit_is_judged_by_worth_and_depth(
    worth: Fraction, stage: Stage, status: Status, state: PaymentState
) -> None:
    invoice, _ = advance(opened(), [paying(worth, stage)])
    assert (invoice.status, invoice.payment_state) == (status, state)


WEI = Fraction(1, 10**18)


@pytest.mark.parametrize(
    ("worth", "status", "state"),
    [
        (95 - WEI, Status.OPEN, PaymentState.PARTIAL),
        (Fraction(95), Status.PAID, PaymentState.EXACT),
        (95 + WEI, Status.PAID, PaymentState.EXACT),
        (Fraction(105), Status.PAID, PaymentState.EXACT),
        (105 + WEI, Status.PAID, PaymentState.OVER),
    ],
)
def test_both_edges_of_the_tolerance_are_within_it(worth: Fraction, status: Status, state: PaymentState) -> None:
    invoice, _ = advance(opened(FIVE_PERCENT), [paying(worth)])
    assert (invoice.status, invoice.payment_state) == (status, state)


def test_a_price_of_ten_to_the_twenty_five_is_compared_exactly() -> None:
    invoice = opened(amount=Decimal(10) ** 25)
    assert advance(invoice, [paying(10**25 - WEI)])[0].status is Status.OPEN
    assert advance(invoice, [paying(10**25 - WEI), paying(WEI)])[0].status is Status.PAID


def test_a_tolerance_finer_than_a_cent_is_exact() -> None:
    invoice = opened(Tolerance(under_percent=Decimal("0.001")), Decimal("0.03"))
    assert least_accepted(invoice) == Fraction(3, 100) * Fraction(99_999, 100_000)


@given(st.lists(st.fractions(0, 200), max_size=8))
def test_payments_in_many_methods_add_up_without_rounding(worths: list[Fraction]) -> None:
    payments = [paying(worth) for worth in worths]
    is_enough = sum(worths) >= 100
    assert judge(opened(), payments) is (Status.PAID if is_enough else Status.OPEN)


def test_a_payment_is_announced_as_it_deepens() -> None:
    invoice, events = walk(opened(), [paying(100, Stage.DETECTED)], [paying(100, Stage.CONFIRMING)], [paying(100)])
    assert invoice.status is Status.PAID
    assert events == [EventType.INVOICE_CONFIRMING, EventType.INVOICE_PAID]


def test_an_orphaned_payment_leaves_the_invoice_open_again() -> None:
    invoice, events = walk(opened(), [paying(100, Stage.DETECTED)], [paying(100, Stage.ORPHANED)])
    assert (invoice.status, invoice.payment_state) == (Status.OPEN, PaymentState.NONE)
    assert events == [EventType.INVOICE_CONFIRMING, EventType.INVOICE_UPDATED]


def test_a_payment_orphaned_after_the_deadline_leaves_the_invoice_expired() -> None:
    confirming, _ = advance(opened(), [paying(100, Stage.DETECTED)])
    waiting, told = advance(replace(confirming, is_deadline_passed=True), [paying(100, Stage.DETECTED)])
    assert (waiting.status, told) == (Status.CONFIRMING, ())
    expired, told = advance(waiting, [paying(100, Stage.ORPHANED)])
    assert (expired.status, told) == (Status.EXPIRED, (EventType.INVOICE_EXPIRED,))
    repaid, told = advance(expired, [paying(100, Stage.ORPHANED), paying(100)])
    assert (repaid.status, told) == (Status.PAID, (EventType.INVOICE_PAID,))


def test_a_payment_mined_in_time_but_seen_after_expiry_pays() -> None:
    invoice, events = walk(replace(opened(), is_deadline_passed=True), [], [paying(100, Stage.DETECTED)], [paying(100)])
    assert invoice.status is Status.PAID
    assert events == [EventType.INVOICE_EXPIRED, EventType.INVOICE_CONFIRMING, EventType.INVOICE_PAID]


def test_a_payment_replaced_by_an_equal_one_in_one_reorg_changes_nothing() -> None:
    paid, _ = advance(opened(), [paying(100)])
    assert advance(paid, [paying(100, Stage.ORPHANED), paying(100)]) == (paid, ())


def test_a_reversed_invoice_is_paid_again_even_by_late_money() -> None:
    invoice, events = walk(
        opened(),
        [paying(100)],
        [paying(100, Stage.ORPHANED)],
        [paying(100, Stage.ORPHANED), paying(100, Stage.DETECTED, late=LATE)],
        [paying(100, Stage.ORPHANED), paying(100, late=LATE)],
    )
    assert (invoice.status, invoice.is_late) == (Status.PAID, True)
    paid, taken_back, late = EventType.INVOICE_PAID, EventType.INVOICE_REVERSED, EventType.INVOICE_UPDATED
    assert events == [paid, taken_back, late, paid]


def test_late_money_waits_for_the_merchant_by_default() -> None:
    expired, _ = advance(replace(opened(), is_deadline_passed=True), [])
    late, events = walk(expired, [paying(100, Stage.DETECTED, late=LATE)], [paying(100, late=LATE)])
    assert (late.status, late.payment_state, late.is_late) == (Status.EXPIRED, PaymentState.EXACT, True)
    assert events == [EventType.INVOICE_UPDATED, EventType.INVOICE_PAID_LATE]
    accepted, told = advance(replace(late, accepted=Fraction(100)), [paying(100, late=LATE)])
    assert (accepted.status, told) == (Status.PAID, (EventType.INVOICE_PAID,))


def test_late_money_counts_where_the_store_says_so() -> None:
    expired, _ = advance(replace(opened(is_late_accepted=True), is_deadline_passed=True), [])
    invoice, events = walk(expired, [paying(100, Stage.DETECTED, late=LATE)], [paying(100, late=LATE)])
    assert (invoice.status, invoice.is_late) == (Status.PAID, True)
    assert events == [EventType.INVOICE_CONFIRMING, EventType.INVOICE_PAID]


def test_late_money_that_covers_only_a_part_is_not_called_enough() -> None:
    expired, _ = advance(replace(opened(), is_deadline_passed=True), [])
    invoice, events = walk(expired, [paying(99, late=LATE)])
    assert (invoice.status, invoice.payment_state) == (Status.EXPIRED, PaymentState.PARTIAL)
    assert events == [EventType.INVOICE_UPDATED]


def test_expiry_with_a_partial_payment_is_told_once() -> None:
    expiring = replace(opened(), is_deadline_passed=True)
    part = paying(40)
    invoice, events = walk(expiring, [part], [replace(part, stage=Stage.ORPHANED)], [part])
    assert events == [EventType.INVOICE_EXPIRED, EventType.INVOICE_UNDERPAID]
    assert invoice.payment_state is PaymentState.PARTIAL


def test_expiry_with_a_partial_payment_is_told_although_more_came_late() -> None:
    _, events = walk(replace(opened(), is_deadline_passed=True), [paying(40), paying(10, late=LATE)])
    assert events == [EventType.INVOICE_EXPIRED, EventType.INVOICE_UNDERPAID]


def test_the_rest_of_a_partial_payment_coming_late_is_told_as_paid_late() -> None:
    expiring = replace(opened(), is_deadline_passed=True)
    invoice, events = walk(expiring, [paying(40)], [paying(40), paying(60, late=LATE)])
    assert (invoice.status, invoice.payment_state) == (Status.EXPIRED, PaymentState.EXACT)
    assert events == [EventType.INVOICE_EXPIRED, EventType.INVOICE_UNDERPAID, EventType.INVOICE_PAID_LATE]


def test_too_much_coming_late_is_over_and_stays_expired() -> None:
    expiring = replace(opened(), is_deadline_passed=True)
    invoice, events = walk(expiring, [], [paying(300, late=LATE)])
    assert (invoice.status, invoice.payment_state) == (Status.EXPIRED, PaymentState.OVER)
    assert events == [EventType.INVOICE_EXPIRED, EventType.INVOICE_PAID_LATE]
    accepted, told = advance(replace(invoice, accepted=Fraction(300)), [paying(300, late=LATE)])
    assert accepted.status is Status.PAID
    assert told == (EventType.INVOICE_PAID, EventType.INVOICE_OVERPAID)


@pytest.mark.parametrize("late", [ON_TIME, LATE])
def test_an_invoice_cancelled_while_its_money_was_under_way_stays_cancelled_and_says_so(late: bool) -> None:
    cancelled, told = advance(replace(opened(), is_cancelled=True), [])
    assert told == (EventType.INVOICE_CANCELLED,)
    funded, told = advance(cancelled, [paying(100, late=late)])
    assert (funded.status, told) == (Status.CANCELLED, (EventType.INVOICE_PAID_LATE,))
    paid, told = advance(replace(funded, accepted=Fraction(100)), [paying(100, late=late)])
    assert (paid.status, told) == (Status.PAID, (EventType.INVOICE_PAID,))


def test_cancelling_keeps_its_word_where_late_money_counts() -> None:
    cancelled, _ = advance(replace(opened(is_late_accepted=True), is_cancelled=True), [])
    assert advance(cancelled, [paying(100, late=LATE)])[0].status is Status.CANCELLED


def test_a_deadline_does_not_expire_what_was_cancelled() -> None:
    cancelled, _ = advance(replace(opened(), is_cancelled=True), [])
    passed = replace(cancelled, is_deadline_passed=True)
    assert advance(passed, []) == (passed, ())


def test_an_accepted_part_reversed_and_repaid_is_paid_again() -> None:
    part, again = paying(40), paying(40, late=LATE)
    opening, _ = advance(opened(), [part])
    gone = replace(part, stage=Stage.ORPHANED)
    accepted = replace(opening, accepted=Fraction(40))
    invoice, events = walk(accepted, [part], [gone], [gone, replace(again, stage=Stage.CONFIRMING)], [gone, again])
    assert invoice.status is Status.PAID
    paid, taken_back, late = EventType.INVOICE_PAID, EventType.INVOICE_REVERSED, EventType.INVOICE_UPDATED
    assert events == [paid, taken_back, late, paid]


def test_what_is_left_of_a_reversed_invoice_can_be_accepted() -> None:
    reversed_, _ = walk(opened(), [paying(60), paying(40)], [paying(60), paying(40, Stage.ORPHANED)])
    accepted, told = advance(replace(reversed_, accepted=Fraction(60)), [paying(60), paying(40, Stage.ORPHANED)])
    assert (accepted.status, told) == (Status.PAID, (EventType.INVOICE_PAID,))


def test_accepting_more_than_is_due_does_not_raise_what_is_due() -> None:
    invoice = replace(opened(), accepted=Fraction(300))
    assert least_accepted(invoice) == 100
    invoice, _ = walk(invoice, [paying(300)], [paying(300, Stage.ORPHANED), paying(100)])
    assert invoice.status is Status.PAID


def test_a_cancelled_and_accepted_invoice_is_reversed_and_not_cancelled_again() -> None:
    accepted = replace(opened(), status=Status.CANCELLED, is_cancelled=True, accepted=Fraction(40))
    invoice, events = walk(accepted, [paying(40)], [paying(40, Stage.ORPHANED)])
    assert invoice.status is Status.REVERSED
    assert events == [EventType.INVOICE_PAID, EventType.INVOICE_REVERSED]


def test_an_overpayment_is_told_once_and_when_it_is_final() -> None:
    paid = paying(100)
    more = paying(50, late=LATE)
    invoice, events = walk(
        opened(), [paid], [paid, replace(more, stage=Stage.DETECTED)], [paid, more], [paid], [paid, more]
    )
    assert invoice.payment_state is PaymentState.OVER
    assert events.count(EventType.INVOICE_OVERPAID) == 1
    assert events.index(EventType.INVOICE_OVERPAID) == 2  # after paid, and after the news that money came late


def test_any_payment_pays_an_invoice_that_asks_for_no_sum() -> None:
    invoice, events = walk(without_amount(Type.ONE_TIME), [], [paying(WEI, Stage.DETECTED)], [paying(WEI)])
    assert (invoice.status, invoice.payment_state) == (Status.PAID, PaymentState.EXACT)
    assert events == [EventType.INVOICE_CONFIRMING, EventType.INVOICE_PAID]


def test_an_invoice_that_asks_for_no_sum_and_got_nothing_expires() -> None:
    invoice, events = advance(replace(without_amount(Type.ONE_TIME), is_deadline_passed=True), [])
    assert (invoice.status, events) == (Status.EXPIRED, (EventType.INVOICE_EXPIRED,))


def test_payments_add_up_to_the_least_that_a_top_up_takes() -> None:
    asked = without_amount(Type.ONE_TIME, 10)
    short, _ = advance(asked, [paying(10 - WEI)])
    assert (short.status, short.payment_state) == (Status.OPEN, PaymentState.PARTIAL)
    enough, _ = advance(short, [paying(10 - WEI), paying(WEI)])
    assert (enough.status, enough.payment_state) == (Status.PAID, PaymentState.EXACT)


def test_a_reusable_invoice_takes_payment_after_payment() -> None:
    invoice, events = walk(without_amount(Type.REUSABLE), [], [paying(5)], [paying(5), paying(10**9)])
    assert (invoice.status, invoice.payment_state, events) == (Status.OPEN, PaymentState.EXACT, [])


def test_each_payment_of_a_reusable_invoice_is_weighed_alone() -> None:
    asked = without_amount(Type.REUSABLE, 10)
    small = weighed(asked, [paying(10 - WEI), paying(10 - WEI)])
    assert all(payment.is_too_small for payment in small)
    assert advance(asked, small)[0].payment_state is PaymentState.NONE
    invoice, _ = advance(asked, [*small, paying(10)])
    assert invoice.payment_state is PaymentState.EXACT
    assert seen_worth(counting([*small, paying(10)])) == 10


def test_a_reusable_invoice_ends_when_it_is_cancelled_and_what_comes_then_is_late() -> None:
    used, _ = advance(without_amount(Type.REUSABLE), [paying(5)])
    ended, told = advance(replace(used, is_cancelled=True), [paying(5)])
    assert (ended.status, told) == (Status.CANCELLED, (EventType.INVOICE_CANCELLED,))
    after, told = advance(ended, [paying(5), paying(5, late=LATE)])
    assert (after.status, after.is_late, told) == (Status.CANCELLED, True, (EventType.INVOICE_UPDATED,))


def test_many_payers_fill_a_pool_and_more_is_no_news() -> None:
    pool = replace(opened(), type=Type.POOL)
    invoice, events = walk(pool, [paying(60)], [paying(60), paying(60)], [paying(60), paying(60), paying(1)])
    assert (invoice.status, invoice.payment_state) == (Status.PAID, PaymentState.OVER)
    assert events == [EventType.INVOICE_PAID]


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage not in {Stage.SETTLED, Stage.ORPHANED}])
def test_money_that_screening_flagged_is_shown_and_covers_nothing(stage: Stage) -> None:
    held = replace(paying(100, stage), is_held=True)
    invoice, _ = walk(opened(), [held])
    assert (invoice.status, invoice.payment_state) == (Status.OPEN, PaymentState.EXACT)
    invoice, events = walk(replace(invoice, is_deadline_passed=True), [held], [paying(100)])
    assert events == [EventType.INVOICE_EXPIRED, EventType.INVOICE_PAID]


def test_what_was_settled_before_it_was_flagged_still_counts() -> None:
    invoice, events = walk(opened(), [paying(100)], [replace(paying(100), is_held=True)])
    assert (invoice.status, events) == (Status.PAID, [EventType.INVOICE_PAID])


def test_facts_that_contradict_the_table_are_a_bug() -> None:
    expired = replace(opened(), status=Status.EXPIRED)  # although the deadline has not passed
    with pytest.raises(UnlawfulStep, match="expired -> open"):
        advance(expired, [])


def test_the_table_knows_every_status_and_leaves_none_unreachable() -> None:
    assert set(NEXT) == set(Status)
    assert {after for afters in NEXT.values() for after in afters} == set(Status)
    assert all(before not in afters for before, afters in NEXT.items())


def test_only_what_is_settled_counts_towards_paid() -> None:
    for stage in Stage:
        assert final_worth([paying(1, stage)]) == (1 if stage is Stage.SETTLED else 0)
        assert seen_worth([paying(1, stage)]) == (0 if stage is Stage.ORPHANED else 1)
