from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from paynode.domain.deposit import FINAL, NEXT, Facts, Stage, judge


class DepositLife(RuleBasedStateMachine):
    """One transfer in a block: the chain grows over it, is read again, and may leave it behind."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = Facts(is_void=False, is_verified=False, confirmations=1)
        self.history = [judge(self.facts)]

    @initialize(confirmations=st.integers(1, 100), is_held=st.booleans())
    def it_is_first_seen(self, confirmations: int, is_held: bool) -> None:
        self.facts = replace(self.facts, confirmations=confirmations, is_held=is_held)
        self.history = [judge(self.facts)]

    @rule(blocks=st.integers(1, 5))
    def the_chain_grows(self, blocks: int) -> None:
        self._learn(replace(self.facts, confirmations=self.facts.confirmations + blocks))

    @rule(blocks=st.integers(1, 5))
    def a_provider_falls_behind(self, blocks: int) -> None:
        self._learn(replace(self.facts, confirmations=max(0, self.facts.confirmations - blocks)))

    @precondition(lambda self: not self.facts.is_void)
    @rule()
    def it_is_read_again_at_depth(self) -> None:
        self._learn(replace(self.facts, is_verified=True))

    @precondition(lambda self: self.history[-1] not in FINAL)
    @rule()
    def screening_holds_it(self) -> None:
        self._learn(replace(self.facts, is_held=True))

    @rule()
    def screening_releases_it(self) -> None:
        self._learn(replace(self.facts, is_held=False))

    @rule()
    def its_block_leaves_the_chain(self) -> None:
        self._learn(replace(self.facts, is_void=True))

    def _learn(self, facts: Facts) -> None:
        self.facts = facts
        if judge(facts) is not self.history[-1]:
            self.history.append(judge(facts))

    @invariant()
    def every_step_is_in_the_table(self) -> None:
        for before, after in zip(self.history, self.history[1:], strict=False):
            assert after in NEXT[before]

    @invariant()
    def final_means_verified_on_the_chain(self) -> None:
        assert (self.history[-1] in FINAL) == (self.facts.is_verified and not self.facts.is_void)

    @invariant()
    def what_is_held_is_never_free_to_be_swept(self) -> None:
        if self.facts.is_held:
            assert self.history[-1] is not Stage.SETTLED

    @invariant()
    def orphaned_stays_orphaned(self) -> None:
        assert Stage.ORPHANED not in self.history[:-1]

    @invariant()
    def once_final_only_a_reorg_takes_it_back(self) -> None:
        if FINAL.intersection(self.history):
            assert self.history[-1] in FINAL or self.facts.is_void


TestDepositLife = DepositLife.TestCase


@pytest.mark.parametrize(
    ("facts", "stage"),
    [
        (Facts(is_void=False, is_verified=False, confirmations=0), Stage.DETECTED),
        (Facts(is_void=False, is_verified=False, confirmations=1), Stage.DETECTED),
        (Facts(is_void=False, is_verified=False, confirmations=2), Stage.CONFIRMING),
        (Facts(is_void=False, is_verified=False, confirmations=10_000), Stage.CONFIRMING),  # depth alone is no proof
        (Facts(is_void=False, is_verified=False, confirmations=2, is_held=True), Stage.CONFIRMING),
        (Facts(is_void=False, is_verified=True, confirmations=64), Stage.SETTLED),
        (Facts(is_void=False, is_verified=True, confirmations=64, is_held=True), Stage.CONFIRMED),
        (Facts(is_void=False, is_verified=True, confirmations=0), Stage.SETTLED),  # one required; a provider is behind
        (Facts(is_void=True, is_verified=False, confirmations=1), Stage.ORPHANED),
        (Facts(is_void=True, is_verified=True, confirmations=64, is_held=True), Stage.ORPHANED),
    ],
)
def test_a_stage_follows_from_the_facts(facts: Facts, stage: Stage) -> None:
    assert judge(facts) is stage


@given(st.builds(Facts))
def test_judging_twice_changes_nothing(facts: Facts) -> None:
    assert judge(facts) is judge(facts)


def test_nothing_follows_an_orphaned_deposit_and_everything_may_be_orphaned() -> None:
    assert set(NEXT) == set(Stage)
    for stage in Stage:
        assert (Stage.ORPHANED in NEXT[stage]) == (stage is not Stage.ORPHANED)
    assert not NEXT[Stage.ORPHANED]
