from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from paynode.domain.outgoing import ENDED, IN_FLIGHT, NEXT, BumpPolicy, ForeignNonce, State, is_stuck, next_nonce

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = BumpPolicy()
SENDER = "0xA"


@dataclass(eq=False)
class Tx:
    """One transaction as the store and the chain see it."""

    state: State = State.PLANNED
    nonce: int | None = None
    versions: int = 0
    version_at: datetime = NOW
    mined: State | None = None  # how its receipt reads now, final or not


class Lane(RuleBasedStateMachine):
    """All transactions of one account, from plan to end, on a chain that may take its blocks back."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.txs: list[Tx] = []
        self.past: list[list[State]] = []
        self.used_before = 0

    @initialize(used_before=st.integers(0, 3))
    def the_account_may_have_been_used_before(self, used_before: int) -> None:
        self.used_before = used_before

    @rule()
    def one_is_planned(self) -> None:
        self.txs.append(Tx())
        self.past.append([State.PLANNED])

    @precondition(lambda self: self._any(State.PLANNED))
    @rule()
    def the_next_is_signed(self) -> None:
        tx = self._first(State.PLANNED)
        own_next = max((tx.nonce + 1 for tx in self.txs if tx.nonce is not None), default=None)
        tx.nonce = next_nonce(SENDER, own_next=own_next, chain_pending=self._chain_pending())
        tx.versions, tx.version_at = 1, self.now
        self._go(tx, State.SIGNED)

    @precondition(lambda self: self._any(State.PLANNED))
    @rule()
    def one_is_given_up_unsigned(self) -> None:
        self._go(self._first(State.PLANNED), State.FAILED)

    @precondition(lambda self: self._any(State.SIGNED))
    @rule()
    def a_provider_takes_it(self) -> None:
        self._go(self._first(State.SIGNED), State.BROADCAST)

    @rule(minutes=st.integers(1, 5))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @precondition(lambda self: self._any(State.BROADCAST))
    @rule()
    def what_is_stuck_is_bumped(self) -> None:
        for tx in self.txs:
            if tx.state is State.BROADCAST and is_stuck(
                POLICY,
                last_version_at=tx.version_at,
                version_count=tx.versions,
                is_mined=tx.mined is not None,
                now=self.now,
            ):
                tx.versions, tx.version_at = tx.versions + 1, self.now

    @precondition(lambda self: self._next_to_mine() is not None)
    @rule(ending=st.sampled_from([State.CONFIRMED, State.REVERTED]))
    def a_version_is_mined(self, ending: State) -> None:
        """Perhaps although no provider was seen to take it: we crashed after the send."""
        tx = self._next_to_mine()
        assert tx is not None
        tx.mined = ending

    @precondition(lambda self: self._next_to_mine() is not None)
    @rule()
    def somebody_else_with_the_key_takes_its_nonce(self) -> None:
        tx = self._next_to_mine()
        assert tx is not None
        tx.mined = State.REPLACED

    @rule()
    def the_mined_become_final(self) -> None:
        for tx in self.txs:
            if tx.state in IN_FLIGHT and tx.mined is not None:
                self._go(tx, tx.mined)

    @rule(blocks=st.integers(1, 3))
    def a_reorg_takes_the_newest_back(self, blocks: int) -> None:
        mined = sorted((tx for tx in self._signed() if tx.mined is not None), key=lambda tx: tx.nonce or 0)
        for tx in mined[-blocks:]:
            if tx.state is State.REPLACED:
                break  # final: what was below it is out of reach too
            tx.mined = None
            if tx.state in ENDED:
                self._go(tx, State.BROADCAST)

    def _any(self, state: State) -> bool:
        return any(tx.state is state for tx in self.txs)

    def _first(self, state: State) -> Tx:
        return next(tx for tx in self.txs if tx.state is state)

    def _signed(self) -> list[Tx]:
        return [tx for tx in self.txs if tx.nonce is not None]

    def _next_to_mine(self) -> Tx | None:
        """An account's transactions are mined in the order of their nonces."""
        waiting = (tx for tx in self._signed() if tx.mined is None)
        return min(waiting, key=lambda tx: tx.nonce or 0, default=None)

    def _chain_pending(self) -> int:
        return self.used_before + sum(tx.mined is not None or tx.state is State.BROADCAST for tx in self.txs)

    def _go(self, tx: Tx, state: State) -> None:
        assert state in NEXT[tx.state], f"{tx.state} -> {state}"
        tx.state = state
        self.past[self.txs.index(tx)].append(state)

    @invariant()
    def what_was_signed_never_simply_fails(self) -> None:
        for past in self.past:
            assert not {State.SIGNED, State.FAILED} <= set(past)

    @invariant()
    def nothing_is_sent_unsigned(self) -> None:
        for past in self.past:
            if past[1:] and past[1] is not State.FAILED:
                assert past[1] is State.SIGNED

    @invariant()
    def nonces_have_no_gap_and_no_twin(self) -> None:
        nonces = [tx.nonce for tx in self.txs if tx.nonce is not None]
        assert sorted(nonces) == list(range(self.used_before, self.used_before + len(nonces)))

    @invariant()
    def an_end_rests_on_what_was_mined(self) -> None:
        for tx in self._signed():
            assert tx.state in IN_FLIGHT or tx.state is tx.mined

    @invariant()
    def everything_is_planned_or_in_flight_or_ended(self) -> None:
        for tx in self.txs:
            assert (tx.state is State.PLANNED) + (tx.state in IN_FLIGHT) + (tx.state in ENDED) == 1

    @invariant()
    def the_fee_is_not_raised_for_ever(self) -> None:
        assert all(tx.versions <= POLICY.versions_max for tx in self.txs)


TestLane = Lane.TestCase


def test_only_a_plan_may_fail() -> None:
    assert [state for state in State if State.FAILED in NEXT[state]] == [State.PLANNED]


def test_what_was_broadcast_is_never_signed_anew() -> None:
    assert [state for state in State if State.SIGNED in NEXT[state]] == [State.PLANNED]


@pytest.mark.parametrize("ending", [State.CONFIRMED, State.REVERTED])
def test_a_reorg_puts_a_receipt_that_was_final_back_in_flight(ending: State) -> None:
    assert NEXT[ending] == {State.BROADCAST}


def test_the_table_knows_every_state_and_no_step_to_itself() -> None:
    assert set(NEXT) == set(State)
    assert all(before not in afters for before, afters in NEXT.items())


@pytest.mark.parametrize(
    ("waited", "versions", "is_mined", "stuck"),
    [
        (timedelta(minutes=3), 1, False, True),
        (timedelta(minutes=3) - timedelta.resolution, 1, False, False),
        (timedelta(hours=1), 7, False, True),
        (timedelta(hours=1), 8, False, False),
        (timedelta(hours=1), 1, True, False),
        (timedelta(minutes=-5), 1, False, False),  # the clock went back
    ],
)
def test_a_transaction_is_bumped_after_patience_and_within_the_limit(
    waited: timedelta, versions: int, is_mined: bool, stuck: bool
) -> None:
    assert is_stuck(POLICY, last_version_at=NOW - waited, version_count=versions, is_mined=is_mined, now=NOW) is stuck


@pytest.mark.parametrize(("pending", "nonce"), [(0, 0), (7, 7)])
def test_the_first_nonce_is_where_the_chain_stands(pending: int, nonce: int) -> None:
    assert next_nonce(SENDER, own_next=None, chain_pending=pending) == nonce


@pytest.mark.parametrize(("own_next", "pending"), [(1, 0), (5, 5), (5, 3), (5, 0)])
def test_a_nonce_follows_our_last_one_even_where_the_chain_has_not_seen_it(own_next: int, pending: int) -> None:
    assert next_nonce(SENDER, own_next=own_next, chain_pending=pending) == own_next


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_chain_ahead_of_us_means_that_somebody_else_signs(own_next: int, ahead: int) -> None:
    with pytest.raises(ForeignNonce) as caught:
        next_nonce(SENDER, own_next=own_next, chain_pending=own_next + ahead)
    assert caught.value.sender == SENDER
