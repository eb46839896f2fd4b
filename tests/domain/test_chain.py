from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from paynode.domain.chain import BlockRef, Books, Pair, Row, RowKind, RowSource, Watch, confirmations, time_judged

AT = datetime(2026, 1, 1, tzinfo=UTC)
BLOCK = BlockRef(100, "0x64", AT)
ROW = Row(RowKind.IN, RowSource.LOG, "0xA", "eth_usdt", 50, BLOCK, "0xT", 3)
WATCH = Watch("0xA", floor=90, depth=12, methods=("eth_eth", "eth_usdt"))

heights = st.integers(0, 10**9)


@pytest.mark.parametrize(
    ("block", "head", "count"), [(100, 100, 1), (100, 101, 2), (100, 99, 0), (100, 0, 0), (0, 0, 1), (1, 64, 64)]
)
def test_a_block_confirms_itself_and_nothing_confirms_it_from_below(block: int, head: int, count: int) -> None:
    assert confirmations(block, head) == count


@given(heights, heights)
def test_each_new_head_adds_one_confirmation(block: int, head: int) -> None:
    gained = confirmations(block, head + 1) - confirmations(block, head)
    assert gained == (1 if head + 1 >= block else 0)


@pytest.mark.parametrize(
    ("row", "credited", "effect"),
    [
        (ROW, 50, 50),
        (replace(ROW, credit=0), 0, 0),  # nothing of it arrived: not the same as None
        (replace(ROW, credit=49), 49, 49),
        (replace(ROW, kind=RowKind.OUT), 50, -50),
        (replace(ROW, kind=RowKind.ADJUSTMENT, source=RowSource.DRIFT, units=-7), -7, -7),
        (replace(ROW, kind=RowKind.ADJUSTMENT, source=RowSource.DRIFT, units=7), 7, 7),
        (replace(ROW, units=10**25), 10**25, 10**25),
    ],
)
def test_a_row_moves_its_pair_by_what_was_credited(row: Row, credited: int, effect: int) -> None:
    assert row.credited_units == credited
    assert row.effect == effect


def test_one_transfer_seen_twice_is_one_row() -> None:
    seen_again = replace(ROW, id=7, confirmed=True, credit=49, sender="0xS", tx_nonce=1)
    assert seen_again.key == ROW.key


@pytest.mark.parametrize(
    "other",
    [
        replace(ROW, kind=RowKind.OUT),
        replace(ROW, address="0xB"),
        replace(ROW, method="eth_eth"),
        replace(ROW, block=replace(BLOCK, hash="0x65")),
        replace(ROW, tx_hash="0xU"),
        replace(ROW, log_index=4),
        replace(ROW, log_index=-1),
    ],
)
def test_rows_of_different_origin_are_different_rows(other: Row) -> None:
    assert other.key != ROW.key


def test_the_source_of_a_row_is_no_part_of_its_name() -> None:
    assert replace(ROW, source=RowSource.TX).key == ROW.key


def test_a_row_belongs_to_one_pair() -> None:
    assert ROW.pair == Pair("0xA", "eth_usdt")


def test_the_payer_gets_the_benefit_of_an_interval() -> None:
    unplaced = replace(ROW, source=RowSource.UNPLACED, earliest_at=AT - timedelta(minutes=5))
    assert time_judged(ROW) == AT
    assert time_judged(unplaced) == AT - timedelta(minutes=5)


def test_books_that_were_never_looked_at_have_no_cursor() -> None:
    assert Books(checkpoints=(), watches=(), rows=()).cursor is None


def test_the_newest_checkpoint_is_the_cursor() -> None:
    older = BlockRef(99, "0x63", AT - timedelta(seconds=12))
    assert Books(checkpoints=(BLOCK, older), watches=(), rows=()).cursor is BLOCK


def test_a_pair_has_its_watchs_floor_until_it_has_its_own() -> None:
    books = Books((), (WATCH,), (), floors={Pair("0xA", "eth_usdt"): 0})
    assert books.floor(WATCH, "eth_usdt") == 0
    assert books.floor(WATCH, "eth_eth") == 90


class PairOnChain(RuleBasedStateMachine):
    """A pair's balance moves block by block and jumps back with a reorganisation; its rows follow."""

    def __init__(self) -> None:
        super().__init__()
        self.balances = [0]  # by height
        self.rows: list[Row] = []
        self.forks = 0

    @rule(units=st.integers(1, 10**25), tax=st.integers(0, 3))
    def money_comes_in(self, units: int, tax: int) -> None:
        credit = max(0, units - tax)
        self._mine(replace(ROW, units=units, credit=credit if tax else None), credit)

    @precondition(lambda self: self.balances[-1] > 0)
    @rule(data=st.data())
    def money_goes_out(self, data: st.DataObject) -> None:
        units = data.draw(st.integers(1, self.balances[-1]))
        self._mine(replace(ROW, kind=RowKind.OUT, units=units), -units)

    @rule(data=st.data())
    def a_token_changes_a_balance_by_itself(self, data: st.DataObject) -> None:
        drift = data.draw(st.integers(-self.balances[-1], 100))
        self._mine(replace(ROW, kind=RowKind.ADJUSTMENT, source=RowSource.DRIFT, units=drift), drift)

    @rule(depth=st.integers(1, 4))
    def a_reorg_takes_blocks_back(self, depth: int) -> None:
        self.forks += 1
        height = max(0, len(self.balances) - 1 - depth)
        self.rows = [row for row in self.rows if row.block.number <= height]
        self.balances = self.balances[: height + 1]

    def _mine(self, row: Row, change: int) -> None:
        number = len(self.balances)
        block = BlockRef(number, f"{number}-{self.forks}", AT + number * timedelta(seconds=12))
        self.rows.append(replace(row, block=block))
        self.balances.append(self.balances[-1] + change)

    @invariant()
    def the_rows_up_to_a_height_sum_to_the_balance_there(self) -> None:
        for height, balance in enumerate(self.balances):
            assert sum(row.effect for row in self.rows if row.block.number <= height) == balance

    @invariant()
    def no_two_rows_share_a_name(self) -> None:
        assert len({row.key for row in self.rows}) == len(self.rows)


TestPairOnChain = PairOnChain.TestCase
