from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from paynode.domain.delivery import (
    NEXT,
    RETRY_AFTER_MAX,
    STANDARD,
    Answered,
    Delivery,
    DeliveryId,
    Forbidden,
    Outcome,
    Schedule,
    Status,
    Unreachable,
    Verdict,
    abandon,
    after_attempt,
    judge,
    replay,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NO_JITTER = Decimal(0)

jitters = st.decimals(0, 1, places=6).filter(lambda jitter: jitter < 1)
refusals = st.integers(100, 599).filter(lambda status: not 200 <= status < 300 and status != 410)
wishes = st.none() | st.timedeltas(timedelta(0), timedelta(days=4000))
troubles = st.sampled_from([Unreachable(), Forbidden()]) | st.builds(Answered, refusals, wishes)
outcomes: st.SearchStrategy[Outcome] = troubles | st.builds(Answered, st.integers(100, 599), wishes)


def due(attempts_count: int = 0) -> Delivery:
    return Delivery(DeliveryId("dlv_1"), Status.DUE, attempts_count, NOW)


class DeliveryLife(RuleBasedStateMachine):
    """A delivery under every outcome, with replays and endpoints disabled in between."""

    @initialize()
    def an_event_is_written(self) -> None:
        self.now = NOW
        self.started_at = NOW
        self.delivery = due()
        self.exhausted = False

    def attempt(self, outcome: Outcome, jitter: Decimal) -> Verdict:
        before = self.delivery
        self.delivery, verdict = after_attempt(before, outcome, now=self.now, jitter=jitter)
        assert self.delivery.status in NEXT[before.status] | {before.status}
        assert self.delivery.attempts_count == before.attempts_count + 1
        if before.status is Status.DUE and self.delivery.status is Status.ABANDONED:
            self.exhausted = verdict is Verdict.NOT_YET
        return verdict

    @precondition(lambda self: self.delivery.status is Status.DUE)
    @rule(late=st.timedeltas(timedelta(0), timedelta(hours=3)), outcome=troubles, jitter=jitters)
    def its_time_comes_and_it_fails(self, late: timedelta, outcome: Outcome, jitter: Decimal) -> None:
        assert self.delivery.next_attempt_at is not None
        self.now = max(self.now, self.delivery.next_attempt_at) + late
        self.attempt(outcome, jitter)

    @rule(status=st.integers(200, 299), jitter=jitters)
    def the_receiver_accepts(self, status: int, jitter: Decimal) -> None:
        assert self.attempt(Answered(status), jitter) is Verdict.ACCEPTED
        assert self.delivery.status is Status.DELIVERED

    @precondition(lambda self: self.delivery.status is not Status.DUE)
    @rule(outcome=outcomes, jitter=jitters)
    def a_straggling_attempt_ends(self, outcome: Outcome, jitter: Decimal) -> None:
        before = self.delivery.status
        verdict = self.attempt(outcome, jitter)
        assert self.delivery.status is (Status.DELIVERED if verdict is Verdict.ACCEPTED else before)

    @precondition(lambda self: self.delivery.status is Status.DUE)
    @rule(jitter=jitters)
    def the_receiver_is_gone(self, jitter: Decimal) -> None:
        assert self.attempt(Answered(410), jitter) is Verdict.GONE
        assert self.delivery.status is Status.ABANDONED

    @rule()
    def the_endpoint_is_disabled(self) -> None:
        before = self.delivery
        self.delivery = abandon(before)
        if before.status is Status.DUE:
            self.exhausted = False
        assert abandon(self.delivery) == self.delivery

    @rule()
    def someone_replays_it(self) -> None:
        assert self.delivery.status is Status.DUE or Status.DUE in NEXT[self.delivery.status]
        self.delivery = replay(self.delivery, now=self.now)
        self.started_at, self.exhausted = self.now, False
        assert self.delivery.next_attempt_at == self.now

    @invariant()
    def due_means_a_next_attempt_is_set(self) -> None:
        assert (self.delivery.status is Status.DUE) == (self.delivery.next_attempt_at is not None)

    @invariant()
    def a_due_delivery_has_tries_left(self) -> None:
        if self.delivery.status is Status.DUE:
            assert self.delivery.attempts_count < len(STANDARD.waits)

    @invariant()
    def giving_up_for_want_of_answers_takes_three_days(self) -> None:
        if self.exhausted and self.delivery.status is Status.ABANDONED:
            assert self.now - self.started_at >= timedelta(days=3)


TestDeliveryLife = DeliveryLife.TestCase


def test_a_receiver_that_never_answers_is_tried_on_the_published_schedule() -> None:
    delivery, now, attempted_after = due(), NOW, []
    while delivery.status is Status.DUE:
        assert delivery.next_attempt_at is not None
        attempted_after.append((delivery.next_attempt_at - now).total_seconds())
        now = delivery.next_attempt_at
        delivery, _ = after_attempt(delivery, Unreachable(), now=now, jitter=NO_JITTER)
    minute, hour = 60, 3600
    assert attempted_after == [
        *(0, 5, minute, 5 * minute, 30 * minute),
        *(2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour),
    ]
    assert delivery.status is Status.ABANDONED


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (100, Verdict.NOT_YET),
        (199, Verdict.NOT_YET),
        (200, Verdict.ACCEPTED),
        (204, Verdict.ACCEPTED),
        (299, Verdict.ACCEPTED),
        (301, Verdict.NOT_YET),
        (404, Verdict.NOT_YET),
        (410, Verdict.GONE),
        (429, Verdict.NOT_YET),
        (500, Verdict.NOT_YET),
        (999, Verdict.NOT_YET),
    ],
)
def test_only_2xx_is_success_and_only_410_is_gone(status: int, verdict: Verdict) -> None:
    assert judge(Answered(status)) is verdict


@pytest.mark.parametrize("outcome", [Unreachable(), Forbidden()])
def test_what_was_not_answered_is_tried_again_even_if_our_own_policy_forbade_it(outcome: Outcome) -> None:
    assert judge(outcome) is Verdict.NOT_YET


@given(attempts_count=st.integers(0, len(STANDARD.waits) - 2), outcome=troubles, jitter=jitters)
def test_jitter_and_the_receivers_wish_only_lengthen_the_wait(
    attempts_count: int, outcome: Outcome, jitter: Decimal
) -> None:
    delivery, _ = after_attempt(due(attempts_count), outcome, now=NOW, jitter=jitter)
    assert delivery.next_attempt_at is not None
    wait = delivery.next_attempt_at - NOW
    assert wait >= STANDARD.waits[attempts_count + 1]
    if isinstance(outcome, Answered) and outcome.retry_after is not None:
        assert wait >= min(outcome.retry_after, RETRY_AFTER_MAX)
    assert wait <= RETRY_AFTER_MAX * 11 / 10


def test_two_deliveries_that_failed_together_are_retried_apart() -> None:
    waits = {after_attempt(due(), Unreachable(), now=NOW, jitter=Decimal(n) / 10)[0].next_attempt_at for n in range(10)}
    assert len(waits) == 10


def test_another_schedule_can_be_handed_in() -> None:
    once = Schedule((timedelta(0),))
    delivery, verdict = after_attempt(due(), Unreachable(), now=NOW, jitter=NO_JITTER, schedule=once)
    assert (delivery.status, verdict) == (Status.ABANDONED, Verdict.NOT_YET)
