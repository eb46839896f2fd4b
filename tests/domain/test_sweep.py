from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from paynode.domain.sweep import (
    ATTEMPTS_MAX,
    FEE_SHARE_MAX,
    ITEM_NEXT,
    Candidate,
    Conditions,
    DepositSweep,
    InvoiceSweep,
    ItemState,
    Policy,
    State,
    Wait,
    deposit_sweep,
    invoice_sweep,
    judge,
    reason_to_wait,
)

UNDER_WAY = {ItemState.QUEUED, ItemState.FUNDING, ItemState.BROADCASTING, ItemState.CONFIRMING}
SIGNED = set(ItemState) - {ItemState.QUEUED, ItemState.FUNDING}

positions = st.integers(0, 3)


class SweepLife(RuleBasedStateMachine):
    """A sweep of a few addresses: each gets gas, sends, is mined, and may be thrown back by a reorganisation."""

    def __init__(self) -> None:
        super().__init__()
        self.items = [ItemState.QUEUED]
        self.past = [[ItemState.QUEUED]]

    @initialize(count=st.integers(1, 4))
    def it_is_queued(self, count: int) -> None:
        self.items = [ItemState.QUEUED] * count
        self.past = [[ItemState.QUEUED] for _ in range(count)]

    @rule(which=positions)
    def the_gas_station_lends(self, which: int) -> None:
        self._step(which, {ItemState.QUEUED}, ItemState.FUNDING)

    @rule(which=positions)
    def the_loan_fails(self, which: int) -> None:
        self._step(which, {ItemState.FUNDING}, ItemState.QUEUED)

    @rule(which=positions)
    def its_transfer_is_signed(self, which: int) -> None:
        self._step(which, {ItemState.QUEUED, ItemState.FUNDING}, ItemState.BROADCASTING)

    @rule(which=positions)
    def it_is_given_up_unsigned(self, which: int) -> None:
        self._step(which, {ItemState.QUEUED, ItemState.FUNDING}, ItemState.FAILED)

    @rule(which=positions)
    def its_transfer_is_mined(self, which: int) -> None:
        self._step(which, {ItemState.BROADCASTING}, ItemState.CONFIRMING)

    @rule(which=positions, ending=st.sampled_from([ItemState.COMPLETED, ItemState.FAILED]))
    def its_receipt_is_final(self, which: int, ending: ItemState) -> None:
        """Perhaps the first receipt that we see: the node was away while the block grew old."""
        self._step(which, {ItemState.BROADCASTING, ItemState.CONFIRMING}, ending)

    @rule()
    def a_reorg_takes_every_block_back(self) -> None:
        for which, past in enumerate(self.past):
            if ItemState.BROADCASTING in past:
                self._step(which, SIGNED - {ItemState.BROADCASTING}, ItemState.BROADCASTING)

    def _step(self, which: int, before: set[ItemState], after: ItemState) -> None:
        which %= len(self.items)
        if self.items[which] in before:
            assert after in ITEM_NEXT[self.items[which]]
            self.items[which] = after
            self.past[which].append(after)

    @invariant()
    def completed_means_every_item_is(self) -> None:
        assert (judge(self.items) is State.COMPLETED) == (set(self.items) == {ItemState.COMPLETED})

    @invariant()
    def it_has_ended_only_when_nothing_is_under_way(self) -> None:
        ended = judge(self.items) in {State.COMPLETED, State.PARTIALLY_COMPLETED, State.FAILED}
        assert ended == UNDER_WAY.isdisjoint(self.items)

    @invariant()
    def failed_means_that_nothing_arrived(self) -> None:
        if judge(self.items) is State.FAILED:
            assert ItemState.COMPLETED not in self.items

    @invariant()
    def what_was_signed_never_waits_to_be_signed_again(self) -> None:
        for past in self.past:
            if ItemState.BROADCASTING in past:
                assert SIGNED.issuperset(past[past.index(ItemState.BROADCASTING) :])

    @invariant()
    def the_order_of_items_does_not_matter(self) -> None:
        assert judge(reversed(self.items)) is judge(self.items)


TestSweepLife = SweepLife.TestCase


@pytest.mark.parametrize(
    ("items", "state"),
    [
        ({ItemState.QUEUED}, State.QUEUED),
        ({ItemState.QUEUED, ItemState.CONFIRMING}, State.QUEUED),
        ({ItemState.FUNDING, ItemState.CONFIRMING}, State.FUNDING),
        ({ItemState.BROADCASTING, ItemState.COMPLETED}, State.BROADCASTING),
        ({ItemState.CONFIRMING, ItemState.FAILED}, State.CONFIRMING),
        ({ItemState.COMPLETED}, State.COMPLETED),
        ({ItemState.COMPLETED, ItemState.FAILED}, State.PARTIALLY_COMPLETED),
        ({ItemState.FAILED}, State.FAILED),
    ],
)
def test_a_sweep_is_as_far_as_its_last_item(items: set[ItemState], state: State) -> None:
    assert judge(items) is state


@pytest.mark.parametrize(
    ("item", "deposit"),
    [
        (None, DepositSweep.UNSWEPT),
        (ItemState.QUEUED, DepositSweep.SCHEDULED),
        (ItemState.FUNDING, DepositSweep.SWEEPING),
        (ItemState.BROADCASTING, DepositSweep.SWEEPING),
        (ItemState.CONFIRMING, DepositSweep.SWEEPING),
        (ItemState.COMPLETED, DepositSweep.SWEPT),
        (ItemState.FAILED, DepositSweep.FAILED),
    ],
)
def test_a_deposit_is_as_far_as_its_item(item: ItemState | None, deposit: DepositSweep) -> None:
    assert deposit_sweep(item) is deposit


@pytest.mark.parametrize(
    ("deposits", "state"),
    [
        ([], InvoiceSweep.NOT_APPLICABLE),
        (["unswept", "unswept"], InvoiceSweep.UNSWEPT),
        (["swept", "swept"], InvoiceSweep.SWEPT),
        (["failed"], InvoiceSweep.FAILED),
        (["swept", "unswept"], InvoiceSweep.PARTIALLY_SWEPT),
        (["swept", "failed"], InvoiceSweep.PARTIALLY_SWEPT),
        (["swept", "scheduled", "failed"], InvoiceSweep.PARTIALLY_SWEPT),
        (["swept", "sweeping"], InvoiceSweep.SWEEPING),
        (["scheduled", "unswept"], InvoiceSweep.SCHEDULED),
        (["failed", "scheduled"], InvoiceSweep.SCHEDULED),
        (["failed", "unswept"], InvoiceSweep.FAILED),
    ],
)
def test_an_invoice_sums_up_its_deposits(deposits: list[str], state: InvoiceSweep) -> None:
    assert invoice_sweep(DepositSweep(deposit) for deposit in deposits) is state


@given(st.lists(st.sampled_from(DepositSweep), min_size=1, max_size=6))
def test_an_invoice_is_swept_only_when_every_deposit_is(deposits: list[DepositSweep]) -> None:
    assert (invoice_sweep(deposits) is InvoiceSweep.SWEPT) == (set(deposits) == {DepositSweep.SWEPT})


HOUR = timedelta(hours=1)
POLICY = Policy(min_value=Fraction(10), fee_price_max=50, every=HOUR, gas_budget_units=1_000)
TOKENS = Candidate(
    value=Fraction(10),
    fee_value=Fraction(5, 2),
    fee_units=100,
    loan_units=100,
    is_native=False,
    units=10_000_000,
    failed_count=0,
)
COINS = replace(TOKENS, is_native=True, loan_units=0, units=400)
CALM = Conditions(fee_price=50, gas_station_units=100, gas_spent_today_units=900, since_last_round=HOUR)


@pytest.mark.parametrize(
    ("candidate", "policy", "conditions"),
    [
        (TOKENS, POLICY, CALM),  # every limit met exactly
        (COINS, POLICY, CALM),
        (COINS, POLICY, replace(CALM, gas_station_units=0)),  # a coin pays its own way
        (TOKENS, POLICY, replace(CALM, since_last_round=None)),
        (replace(TOKENS, fee_value=None), POLICY, CALM),
        (replace(TOKENS, value=None, fee_value=None), replace(POLICY, min_value=None), CALM),
        (replace(TOKENS, failed_count=ATTEMPTS_MAX - 1), POLICY, CALM),
        (TOKENS, replace(POLICY, fee_price_max=None), replace(CALM, fee_price=10**12)),
        (TOKENS, replace(POLICY, gas_budget_units=None), replace(CALM, gas_spent_today_units=10**25)),
    ],
)
def test_what_meets_every_condition_is_collected(candidate: Candidate, policy: Policy, conditions: Conditions) -> None:
    assert reason_to_wait(candidate, policy, conditions) is None


@pytest.mark.parametrize(
    ("candidate", "policy", "conditions", "wait"),
    [
        (replace(TOKENS, failed_count=ATTEMPTS_MAX), POLICY, CALM, Wait.FAILED_BEFORE),
        (TOKENS, POLICY, replace(CALM, fee_price=51), Wait.FEE_TOO_HIGH),
        (replace(COINS, units=399), POLICY, CALM, Wait.NOT_WORTH_FEE),
        (replace(COINS, units=399, value=None, fee_value=None), POLICY, CALM, Wait.NOT_WORTH_FEE),
        (replace(TOKENS, fee_value=Fraction(5, 2) + Fraction(1, 10**18)), POLICY, CALM, Wait.NOT_WORTH_FEE),
        (replace(TOKENS, value=None), POLICY, CALM, Wait.NO_RATE),
        (replace(TOKENS, value=10 - Fraction(1, 10**18)), POLICY, CALM, Wait.BELOW_MIN_VALUE),
        (TOKENS, POLICY, replace(CALM, since_last_round=HOUR - timedelta.resolution), Wait.NEXT_ROUND),
        (TOKENS, POLICY, replace(CALM, gas_spent_today_units=901), Wait.GAS_BUDGET_SPENT),
        (TOKENS, POLICY, replace(CALM, gas_station_units=99), Wait.NO_GAS),
    ],
)
def test_what_misses_a_condition_says_which(
    candidate: Candidate, policy: Policy, conditions: Conditions, wait: Wait
) -> None:
    assert reason_to_wait(candidate, policy, conditions) is wait


amounts = st.integers(0, 10**25)
values = st.none() | st.fractions(0, 1_000)
candidates = st.builds(
    Candidate,
    value=values,
    fee_value=values,
    fee_units=amounts,
    loan_units=amounts,
    is_native=st.booleans(),
    units=amounts,
    failed_count=st.integers(0, 5),
)
policies = st.builds(
    Policy,
    min_value=values,
    fee_price_max=st.none() | amounts,
    every=st.timedeltas(timedelta(0), timedelta(days=2)),
    gas_budget_units=st.none() | amounts,
)
conditions_of_a_round = st.builds(
    Conditions,
    fee_price=amounts,
    gas_station_units=amounts,
    gas_spent_today_units=amounts,
    since_last_round=st.none() | st.timedeltas(timedelta(0), timedelta(days=2)),
)


@given(candidates, policies, conditions_of_a_round)
def test_nothing_is_collected_at_a_loss_or_beyond_the_budget(
    candidate: Candidate, policy: Policy, conditions: Conditions
) -> None:
    if reason_to_wait(candidate, policy, conditions) is not None:
        return
    if candidate.value is not None and candidate.fee_value is not None:
        assert candidate.fee_value <= candidate.value * FEE_SHARE_MAX
    if candidate.is_native:
        assert candidate.fee_units <= candidate.units * FEE_SHARE_MAX
    else:
        assert candidate.loan_units <= conditions.gas_station_units
    if policy.gas_budget_units is not None:
        assert conditions.gas_spent_today_units + candidate.fee_units <= policy.gas_budget_units


@given(candidates, policies, conditions_of_a_round)
def test_more_money_at_the_same_fee_is_never_a_reason_to_wait(
    candidate: Candidate, policy: Policy, conditions: Conditions
) -> None:
    more = replace(candidate, units=candidate.units * 2, value=None if candidate.value is None else candidate.value * 2)
    if reason_to_wait(candidate, policy, conditions) is None:
        assert reason_to_wait(more, policy, conditions) is None
