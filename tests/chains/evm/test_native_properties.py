"""Native coins under every history: the sums are exact or nothing is stored, and nobody waits for somebody else.

Method: the whole tick over a chain in memory; the truth is read from that chain directly.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.chains.evm.fakechain import PROTOCOL, FakeBlock, Payment
from tests.chains.evm.village import DEPTH, NATIVE, OURS, View, Village

from paynode.domain.chain import BlockRef, Pair, Row, RowKind, RowSource

A, B = OURS[:2]
LIES = ["no traces", "stale state", "pruned", "empty receipts"]

payments = st.tuples(st.sampled_from([A, B]), st.integers(1, 5), st.booleans(), st.sampled_from([True, True, False]))
blocks = st.lists(st.lists(payments, max_size=3), min_size=1, max_size=30)


def mine(village: Village, history: Sequence[Sequence[tuple[str, int, bool, bool]]]) -> list[FakeBlock]:
    return [
        village.mine(*(village.paid(to, units, is_inside=inside, succeeded=good) for to, units, inside, good in paid))
        for paid in history
    ]


def brought(block: FakeBlock, address: str) -> dict[str, int]:
    """What each transaction of a block brought to an address, by hash."""
    found: dict[str, int] = {}
    for payment in block.payments:
        inside = sum(units for to, units in payment.inside if to == address)
        units = inside + (payment.value if payment.to == address else 0)
        if payment.succeeded and units:
            found[payment.hash] = units
    return found


@settings(max_examples=60, deadline=None)
@given(st.data(), blocks, st.sets(st.sampled_from(LIES), max_size=1), st.integers(0, 8))
def test_from_wrong_books_the_rows_sum_to_the_balance_or_nothing_is_stored(
    data: st.DataObject, history: list[list[tuple[str, int, bool, bool]]], lies: set[str], dust_units: int
) -> None:
    """Properties 6 and 11."""
    village = Village()
    village.watch(A, B, dust_units=dust_units)
    mined = mine(village, history)
    draws = data.draw(st.lists(st.tuples(st.integers(0, len(mined) - 1), st.integers(1, 6), st.booleans()), max_size=4))
    for at, units, is_placed in draws:
        believe(village, mined[at], units, is_placed=is_placed)
    for at in data.draw(st.sets(st.integers(0, len(mined) - 1), max_size=2)):
        village.keeper.checkpoints.insert(0, ref(mined[at]))
    village.keeper.checkpoints.sort(key=lambda block: -block.number)
    before = village.keeper.standing
    village.views[0].lies = lies
    seen = village.tick()
    for address in (A, B):
        if Pair(address, NATIVE) in seen.disputes:
            assert village.rows(address) == [row for row in before if row.address == address]
        elif seen.checkpoint is not None:
            assert village.booked(address) == village.balance(address)
        else:  # what was believed is refused at depth, and inferred anew at the next tick
            assert village.booked(address) <= village.balance(address)


def ref(block: FakeBlock) -> BlockRef:
    return BlockRef(block.number, block.hash, datetime.fromtimestamp(block.timestamp, UTC))


def believe(village: Village, block: FakeBlock, units: int, *, is_placed: bool) -> None:
    """A row in the books that nothing stands behind, not confirmed."""
    source = RowSource.INTERNAL if is_placed else RowSource.UNPLACED
    row = Row(RowKind.IN, source, A, NATIVE, units, ref(block), id=len(village.keeper.rows) + 1)
    if row.key not in {other.key for other in village.keeper.standing}:
        village.keeper.rows[row.id or 0] = row


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(blocks, st.sampled_from([None, *LIES])), min_size=1, max_size=4), st.integers(0, 6))
def test_once_the_lies_end_every_payment_is_confirmed_once_where_it_came(
    history: list[tuple[list[list[tuple[str, int, bool, bool]]], str | None]], dust_units: int
) -> None:
    village = Village()
    village.watch(A, B, dust_units=dust_units)
    mined: list[FakeBlock] = []
    for part, lie in history:
        mined += mine(village, part)
        village.views[0].lies = {lie} if lie else set()
        village.tick()
    village.views[0].lies = set()
    village.settle()
    village.settle()
    assert not village.keeper.disputes
    for address in (A, B):
        rows = village.rows(address)
        assert all(row.confirmed for row in rows)
        assert village.booked(address) == village.balance(address)
        check_intervals(village, address)
        for row in rows:
            block = village.chain.blocks[row.block.number]
            paid = brought(block, address)
            if row.tx_hash:
                assert paid[row.tx_hash] == row.units
            elif row.source is RowSource.INTERNAL:
                named = sum(other.units for other in rows if other.block == row.block and other.tx_hash)
                assert row.units == sum(paid.values()) - named


@settings(max_examples=20, deadline=None)
@given(
    st.dictionaries(st.integers(0, 250), st.tuples(st.integers(1, 5), st.booleans()), max_size=6),
    st.sampled_from([3, 30, 100, 300]),
    st.dictionaries(st.integers(0, 60), st.tuples(st.integers(1, 5), st.booleans()), max_size=3),
)
def test_what_is_unplaced_has_an_exact_sum_and_an_interval_that_contains_its_time(
    during: dict[int, tuple[int, bool]], kept: int, after: dict[int, tuple[int, bool]]
) -> None:
    """Property 14: an outage longer than the provider's memory, and payments before and after the first look."""
    village = Village()
    for view in village.views:
        view.kept = kept
    village.watch(A)
    for length, history in ((251, during), (61, after)):
        for number in range(length):
            units, inside = history.get(number, (0, False))
            village.mine(*([village.paid(A, units, is_inside=inside)] if units else []))
        village.tick()
        check_intervals(village, A)
    village.settle()
    village.settle()
    check_intervals(village, A)
    assert all(row.confirmed for row in village.rows(A))


def check_intervals(village: Village, address: str) -> None:
    """What no row names came in the intervals of the rows without a place, and is exactly their sum."""
    assert village.booked(address) == village.balance(address)
    rows = village.rows(address)
    named = {row.tx_hash for row in rows if row.tx_hash}
    placed = {row.block.number for row in rows if row.source is RowSource.INTERNAL and not row.tx_hash}
    came = [
        (block.timestamp, units)
        for block in village.chain.blocks
        for tx_hash, units in brought(block, address).items()
        if tx_hash not in named and block.number not in placed
    ]
    for row in sorted(rows, key=lambda row: row.block.number):
        if row.source is RowSource.UNPLACED:
            assert row.earliest_at is not None
            rest = row.units
            while rest > 0:
                at, units = came.pop(0)
                assert row.earliest_at.timestamp() < at <= row.block.at.timestamp()
                rest -= units
            assert rest == 0
    assert not came


@settings(max_examples=30, deadline=None)
@given(blocks, st.integers(1, DEPTH - 1), blocks, st.integers(0, 3))
def test_a_reorganisation_never_takes_back_what_is_older(
    history: list[list[tuple[str, int, bool, bool]]],
    depth: int,
    replacing: list[list[tuple[str, int, bool, bool]]],
    dust_units: int,
) -> None:
    """Property 7."""
    village = Village()
    village.watch(A, B, dust_units=dust_units)
    for part in history:
        mine(village, [part])
        village.tick()
    depth = min(depth, len(village.chain.blocks) - 2)
    village.chain.reorg(depth)
    fork = village.chain.head.number
    mine(village, [*replacing, *([[]] * depth)])
    assert all(village.keeper.rows[id_].block.number > fork for id_ in village.tick().voided)
    village.settle()
    for address in (A, B):
        assert village.booked(address) == village.balance(address)
        assert all(row.confirmed for row in village.rows(address))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=8),
    st.lists(st.integers(0, 30), max_size=8),
    st.booleans(),
    st.integers(0, 8),
)
def test_a_payment_is_found_and_confirmed_at_the_same_tick_whatever_happens_to_others(
    paid: list[tuple[int, bool]], noise: list[int], is_disputed: bool, dust_units: int
) -> None:
    """Property 8: disputes, dust and floods on one address, and the time to credit of another."""

    def run(is_noisy: bool) -> list[tuple[int, int, int]]:
        village = Village()
        village.watch(A, B, dust_units=dust_units)
        if is_noisy and is_disputed:  # more than is there, and nothing says why
            row = Row(RowKind.IN, RowSource.TX, B, NATIVE, 10**6, ref(village.chain.head), "0x1", id=1, confirmed=True)
            village.keeper.rows[1] = row
        seen: dict[str, tuple[int, int, int]] = {}
        for number, (units, inside) in enumerate([*paid, *[(0, False)] * 2 * DEPTH]):
            for _ in range(noise[number] if number < len(noise) else 0):
                village.mine(*([village.paid(B, 1)] if is_noisy else []))
            village.mine(*([village.paid(A, units, is_inside=inside)] if units else []))
            village.tick()
            for row in village.rows(A):
                at, _, confirmed = seen.get(str(row.id), (number, row.units, -1))
                seen[str(row.id)] = (at, row.units, number if row.confirmed and confirmed < 0 else confirmed)
        return sorted(seen.values())

    assert run(is_noisy=True) == run(is_noisy=False)


def test_what_is_found_beside_a_deep_row_does_not_make_it_refused() -> None:
    village = Village()
    village.watch(A)
    block = village.mine(village.paid(A, 3, is_inside=True), village.paid(A, 4), then=DEPTH)
    believe(village, block, 3, is_placed=True)
    seen = village.tick()
    assert [(row.source, row.units) for row in seen.rows] == [(RowSource.TX, 4)]
    assert (seen.dropped, dict(seen.confirmed)) == ((), {1: 3})


def test_the_rows_of_one_block_are_proven_by_one_step() -> None:
    village = Village()
    village.watch(A)
    village.mine(*(village.paid(A, units, is_inside=True) for units in (3, 4, 5)))
    assert len(village.tick().rows) == 3
    before = village.views[1].balances_read
    for _ in range(DEPTH):
        village.mine()
        village.tick()
    assert len(village.keeper.confirmed(A, NATIVE)) == 3
    assert village.views[1].balances_read - before == 2


def test_what_was_placed_wrongly_above_an_unplaced_row_is_found_again() -> None:
    """Goal: the search does not start below a row whose money came earlier than it says."""
    village = Village()
    village.watch(A)
    village.views[0].kept = 0
    village.mine(village.paid(A, 2), then=5)
    assert [row.source for row in village.tick().rows] == [RowSource.UNPLACED]
    village.views[0].kept = None
    village.views[0].lies = {"stale state"}
    block = village.mine(village.paid(A, 1), then=2)
    (row,) = village.tick().rows
    assert row.block.hash != block.hash
    village.views[0].lies = set()
    village.settle()
    assert not village.keeper.disputes
    assert {(row.units, row.confirmed) for row in village.rows(A)} == {(2, True), (1, True)}
    assert block.hash in {row.block.hash for row in village.rows(A)}


def test_no_provider_proves_what_was_inferred_from_its_own_word() -> None:
    """Method: the row is found while the stale one is asked first, and due when it is asked second."""
    village = Village()
    village.watch(A)
    village.views[0].lies = {"stale state"}
    block = village.mine(village.paid(A, 1, is_inside=True), then=2)
    (row,) = village.tick().rows
    assert row.block.hash != block.hash
    village.views.reverse()
    village.settle()
    assert not village.keeper.confirmed(A, NATIVE)
    village.views[1].lies = set()
    village.settle()
    (row,) = village.keeper.confirmed(A, NATIVE)
    assert row.block.hash == block.hash


def test_what_is_inferred_anew_without_old_state_may_have_come_before_the_newest_checkpoint() -> None:
    """Method: a stale answer places it too late, its row is refused at depth, and by then the state is pruned."""
    village = Village()
    village.watch(A)
    village.views[0].lies = {"stale state"}
    village.mine(village.paid(A, 1), then=1)
    village.tick()
    village.views[0].lies = set()
    village.mine(then=DEPTH - 2)
    assert village.tick().dropped
    village.views[0].kept = 0
    village.mine()
    assert [row.source for row in village.tick().rows] == [RowSource.UNPLACED]
    check_intervals(village, A)


def taken(village: Village, units: int) -> Payment:
    """Coins that leave A, and nothing says how."""
    village.nonce += 1
    return Payment(PROTOCOL, village.nonce, PROTOCOL, inside=((A, -units),))


def test_a_fall_before_a_larger_rise_is_adjusted_once_its_dispute_is_old_and_the_payment_is_credited() -> None:
    village = Village()
    village.watch(A)
    village.mine(village.paid(A, 10))
    village.settle()
    fall = village.mine(taken(village, 4), then=2)
    village.tick()
    paid = village.mine(village.paid(A, 7), then=1)
    assert village.tick().disputes[Pair(A, NATIVE)].observed_units == 13
    while not (seen := village.tick()).rows:
        assert seen.disputes
        village.mine()
    assert village.chain.head.number - fall.number >= DEPTH, "not while it is young"
    assert {(row.kind, row.source, row.units, row.block.hash) for row in seen.rows} == {
        (RowKind.ADJUSTMENT, RowSource.DRIFT, -4, fall.hash),
        (RowKind.IN, RowSource.TX, 7, paid.hash),
    }
    village.settle()
    assert not village.keeper.disputes
    assert all(row.confirmed for row in village.rows(A))
    assert village.booked(A) == village.balance(A) == 13


def test_a_fall_before_a_rise_that_the_other_provider_does_not_see_stays_disputed() -> None:
    village = Village()
    village.watch(A)
    village.mine(village.paid(A, 10))
    village.settle()
    honest = village.views[1]
    other = village.chain.fork()
    village.views[1] = View(other, "two")
    village.mine(taken(village, 4), then=2)
    village.tick()
    village.mine(village.paid(A, 7))
    for _ in range(5):
        other.mine()
    for _ in range(3 * DEPTH):
        village.mine()
        other.mine()
        assert not village.tick().rows
    assert village.keeper.disputes
    village.views[1] = honest
    village.settle()
    assert not village.keeper.disputes
    assert village.booked(A) == village.balance(A) == 13
