from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from paynode.domain.ledger import (
    ON_CHAIN,
    Account,
    Entry,
    Posting,
    deposit_confirmed,
    deposit_reversed,
    is_balanced,
    owner_funded,
    owner_funding_reversed,
    sweep_confirmed,
    sweep_released,
    sweep_reverted,
    sweep_signed,
    top_up_final,
    undone,
)

COIN = "eth_eth"
TOKEN = "eth_usdt"

units = st.integers(0, 10**25)
methods = st.sampled_from([COIN, TOKEN])
postings: st.SearchStrategy[Posting] = st.one_of(
    st.builds(deposit_confirmed, methods, units),
    st.builds(deposit_reversed, methods, units),
    st.builds(owner_funded, st.just(COIN), units),
    st.builds(owner_funding_reversed, st.just(COIN), units),
    st.builds(sweep_signed, methods, units),
    st.builds(sweep_confirmed, methods, st.just(COIN), units=units, moved_units=units, fee_units=units),
    st.builds(sweep_reverted, methods, st.just(COIN), units=units, fee_units=units),
    st.builds(sweep_released, methods, units),
    st.builds(top_up_final, st.just(COIN), units),
)


def balances(*posted: Posting) -> dict[tuple[Account, str], int]:
    """What the accounts hold after `posted`, those with nothing left out."""
    sums: Counter[tuple[Account, str]] = Counter()
    for posting in posted:
        for entry in posting:
            sums[entry.account, entry.method] += entry.units
    return {account: sum_ for account, sum_ in sums.items() if sum_}


@given(postings)
def test_every_posting_sums_to_zero(posting: Posting) -> None:
    assert is_balanced(posting)


@given(postings)
def test_no_posting_has_an_empty_entry(posting: Posting) -> None:
    assert all(entry.units for entry in posting)


@given(postings)
def test_a_posting_undone_leaves_nothing(posting: Posting) -> None:
    assert balances(posting, undone(posting)) == {}
    assert is_balanced(undone(posting))
    assert undone(undone(posting)) == posting


@given(postings.filter(bool))
def test_a_posting_that_lost_an_entry_is_not_balanced(posting: Posting) -> None:
    assert not is_balanced(posting[1:])


def test_assets_are_balanced_each_for_itself() -> None:
    assert is_balanced(())
    assert not is_balanced((Entry(Account.DEPOSITS, COIN, 1), Entry(Account.DEPOSITS, TOKEN, -1)))


@given(methods, units)
def test_what_was_signed_and_released_lies_where_it_lay(method: str, amount: int) -> None:
    assert balances(sweep_signed(method, amount), sweep_released(method, amount)) == {}


@given(units)
def test_funding_and_its_reversal_leave_nothing(amount: int) -> None:
    assert balances(owner_funded(COIN, amount), owner_funding_reversed(COIN, amount)) == {}


def test_a_reversed_deposit_stays_on_the_record() -> None:
    assert balances(deposit_confirmed(TOKEN, 7), deposit_reversed(TOKEN, 7)) == {
        (Account.CUSTOMERS, TOKEN): -7,
        (Account.REVERSED, TOKEN): 7,
    }


def test_a_coin_that_paid_for_a_failed_sweep_leaves_nothing_behind_when_it_is_swept() -> None:
    failed = (sweep_signed(COIN, 100), sweep_reverted(COIN, COIN, units=100, fee_units=3))
    again = (sweep_signed(COIN, 100), sweep_confirmed(COIN, COIN, units=100, moved_units=95, fee_units=2))
    held = balances(deposit_confirmed(COIN, 100), *failed, *again)
    assert held == {(Account.CUSTOMERS, COIN): -100, (Account.TREASURY, COIN): 95, (Account.FEES, COIN): 5}


@pytest.mark.parametrize(
    ("posting", "held"),
    [
        (
            sweep_confirmed(TOKEN, COIN, units=100, moved_units=100, fee_units=3),
            {("in_transit", TOKEN): -100, ("treasury", TOKEN): 100, ("gas", COIN): -3, ("fees", COIN): 3},
        ),
        (  # a token that moved less than its books said
            sweep_confirmed(TOKEN, COIN, units=100, moved_units=90, fee_units=3),
            {
                ("in_transit", TOKEN): -100,
                ("treasury", TOKEN): 90,
                ("deposits", TOKEN): 10,
                ("gas", COIN): -3,
                ("fees", COIN): 3,
            },
        ),
        (
            sweep_confirmed(COIN, COIN, units=100, moved_units=97, fee_units=3),
            {("in_transit", COIN): -100, ("treasury", COIN): 97, ("fees", COIN): 3},
        ),
        (  # what the gas station had lent travels along
            sweep_confirmed(COIN, COIN, units=100, moved_units=102, fee_units=3),
            {("in_transit", COIN): -100, ("treasury", COIN): 102, ("fees", COIN): 3, ("gas", COIN): -5},
        ),
        (
            sweep_reverted(TOKEN, COIN, units=100, fee_units=3),
            {("in_transit", TOKEN): -100, ("deposits", TOKEN): 100, ("gas", COIN): -3, ("fees", COIN): 3},
        ),
        (
            sweep_reverted(COIN, COIN, units=100, fee_units=3),
            {("in_transit", COIN): -100, ("deposits", COIN): 100, ("gas", COIN): -3, ("fees", COIN): 3},
        ),
    ],
)
def test_the_end_of_a_sweep_is_booked_to_who_bore_it(posting: Posting, held: dict[tuple[str, str], int]) -> None:
    assert balances(posting) == {(Account(account), method): sum_ for (account, method), sum_ in held.items()}


@dataclass(frozen=True)
class Sweep:
    """One signed sweep: what it takes, and, once it ended, how."""

    method: str
    units: int
    ended: Posting | None = None
    moved: int = 0
    fee: int = 0


class BooksAndChain(RuleBasedStateMachine):
    """Money moves on the chain and each move is posted; both must tell the same, whatever the order."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: list[Posting] = []
        self.on_address: Counter[str] = Counter()  # one deposit address, by method
        self.on_gas_account = 0
        self.in_treasury: Counter[str] = Counter()
        self.sweep: Sweep | None = None  # an address has one sweep at a time

    @rule(method=methods, units=st.integers(1, 10**25))
    def a_deposit_is_final(self, method: str, units: int) -> None:
        self.on_address[method] += units
        self.posted.append(deposit_confirmed(method, units))

    @precondition(lambda self: not self._in_flight())
    @rule(method=methods, share=st.fractions(0, 1))
    def a_final_deposit_is_taken_back(self, method: str, share: Fraction) -> None:
        units = int(max(0, min(self._held(Account.DEPOSITS, method), self.on_address[method])) * share)
        self.on_address[method] -= units
        self.posted.append(deposit_reversed(method, units))

    @rule(units=st.integers(1, 10**20))
    def the_merchant_fills_the_gas_account(self, units: int) -> None:
        self.on_gas_account += units
        self.posted.append(owner_funded(COIN, units))

    @precondition(lambda self: self.on_gas_account >= 2)
    @rule(data=st.data(), succeeds=st.booleans())
    def the_gas_station_lends(self, data: st.DataObject, succeeds: bool) -> None:
        lent = data.draw(st.integers(1, self.on_gas_account - 1))
        fee = data.draw(st.integers(1, self.on_gas_account - lent))
        self.on_gas_account -= fee
        if succeeds:
            self.on_gas_account -= lent
            self.on_address[COIN] += lent
        self.posted.append(top_up_final(COIN, fee))

    @precondition(lambda self: not self._in_flight())
    @rule(method=methods)
    def a_sweep_is_signed(self, method: str) -> None:
        units = self._held(Account.DEPOSITS, method)
        if units > 0 and self.on_address[method] >= units:
            self.sweep = Sweep(method, units)
            self.posted.append(sweep_signed(method, units))

    @precondition(lambda self: self._in_flight() and self.on_address[COIN] > 0)
    @rule(data=st.data())
    def the_sweep_is_final(self, data: st.DataObject) -> None:
        sweep = self._signed()
        most = self.on_address[COIN] - (1 if sweep.method == COIN else 0)
        fee = data.draw(st.integers(0, most))
        moved = self.on_address[COIN] - fee if sweep.method == COIN else sweep.units
        self._end(
            sweep, sweep_confirmed(sweep.method, COIN, units=sweep.units, moved_units=moved, fee_units=fee), moved, fee
        )

    @precondition(lambda self: self._in_flight() and self.on_address[COIN] > 0)
    @rule(data=st.data())
    def the_sweep_is_mined_and_fails(self, data: st.DataObject) -> None:
        sweep = self._signed()
        fee = data.draw(st.integers(0, self.on_address[COIN]))
        self._end(sweep, sweep_reverted(sweep.method, COIN, units=sweep.units, fee_units=fee), 0, fee)

    @precondition(lambda self: self._in_flight())
    @rule()
    def the_nonce_of_the_sweep_is_taken(self) -> None:
        sweep = self._signed()
        self.posted.append(sweep_released(sweep.method, sweep.units))
        self.sweep = None

    @precondition(lambda self: self.sweep is not None and self.sweep.ended is not None)
    @rule()
    def a_deep_reorg_takes_the_end_of_the_sweep_back(self) -> None:
        sweep = self.sweep
        assert sweep is not None
        assert sweep.ended is not None
        self._move(sweep, -sweep.moved, -sweep.fee)
        self.posted.append(undone(sweep.ended))
        self.sweep = replace(sweep, ended=None, moved=0, fee=0)

    def _in_flight(self) -> bool:
        return self.sweep is not None and self.sweep.ended is None

    def _signed(self) -> Sweep:
        assert self.sweep is not None
        return self.sweep

    def _end(self, sweep: Sweep, posting: Posting, moved: int, fee: int) -> None:
        self._move(sweep, moved, fee)
        self.posted.append(posting)
        self.sweep = replace(sweep, ended=posting, moved=moved, fee=fee)

    def _move(self, sweep: Sweep, moved: int, fee: int) -> None:
        self.on_address[sweep.method] -= moved
        self.in_treasury[sweep.method] += moved
        self.on_address[COIN] -= fee

    def _held(self, account: Account, method: str) -> int:
        return balances(*self.posted).get((account, method), 0)

    @invariant()
    def the_books_sum_to_zero(self) -> None:
        for method in (COIN, TOKEN):
            assert sum(self._held(account, method) for account in Account) == 0

    @invariant()
    def what_our_addresses_hold_is_what_the_books_say(self) -> None:
        for method, on_gas_account in ((COIN, self.on_gas_account), (TOKEN, 0)):
            booked = sum(self._held(account, method) for account in ON_CHAIN)
            assert booked == self.on_address[method] + on_gas_account

    @invariant()
    def the_treasury_got_what_the_books_say(self) -> None:
        for method in (COIN, TOKEN):
            assert self._held(Account.TREASURY, method) == self.in_treasury[method]

    @invariant()
    def in_transit_is_what_was_signed_and_has_not_ended(self) -> None:
        for method in (COIN, TOKEN):
            sweep = self.sweep
            is_its = sweep is not None and sweep.ended is None and sweep.method == method
            assert self._held(Account.IN_TRANSIT, method) == (sweep.units if sweep is not None and is_its else 0)


TestBooksAndChain = BooksAndChain.TestCase
