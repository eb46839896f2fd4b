"""The deciding part without any chain: bisect, windows, forks, logs."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from web3 import Web3

from paynode.chains.evm.codec import TRANSFER_TOPIC, address_topic, call_balance_of, call_transfer, decode_transfer
from paynode.chains.evm.explain import differing, nonce_spent_twice, unbooked
from paynode.chains.evm.fork import (
    Fork,
    PastGone,
    all_heights,
    deep_heights,
    find_fork,
    is_deep,
    is_doubtful,
    lowered_floors,
    young_heights,
)
from paynode.chains.evm.log_range import CAP_SECONDS, GROW_AFTER, LOG_BLOCKS_MAX, LogRange
from paynode.chains.evm.search import Climb, start_heights, windows
from paynode.chains.evm.watchlist import Watchlist
from paynode.chains.evm.wire import Block, Log, Tx
from paynode.chains.jsonrpc import RangeTooWide, TooMuch
from paynode.domain.chain import BlockRef, Books, Pair, Row, RowKind, RowSource, Watch
from paynode.domain.money import Asset

START = datetime(2026, 1, 1, tzinfo=UTC)
ADDRESS = "0x" + "aa" * 20


def block(number: int, fork: str = "a") -> BlockRef:
    return BlockRef(number, f"{fork}{number}", START + timedelta(seconds=number))


def row(number: int, fork: str = "a", *, units: int = 1, id_: int = 1) -> Row:
    return Row(RowKind.IN, RowSource.LOG, ADDRESS, "lab_usdt", units, block(number, fork), "0x1", 0, id=id_)


def books(checkpoints: list[BlockRef], rows: list[Row] | None = None, horizon: int = 10) -> Books:
    return Books(checkpoints=checkpoints, watches=(), rows=rows or [], horizon=horizon)


def chain(head: int, fork_at: int) -> dict[int, str]:
    """The hashes of a chain that left fork a after `fork_at`."""
    return {number: block(number, "a" if number <= fork_at else "b").hash for number in range(head + 1)}


@given(st.dictionaries(st.integers(1, 300), st.integers(1, 9), max_size=8), st.integers(300, 400))
def test_a_bisect_finds_every_step_of_a_balance_that_only_rises(steps: dict[int, int], head: int) -> None:
    def residual(height: int) -> int:
        return sum(units for number, units in steps.items() if number <= height)

    climb = Climb({0: 0, head: residual(head)})
    reads = 0
    while wanted := climb.wanted():
        reads += len(wanted)
        climb.residual_by_height |= {height: residual(height) for height in wanted}
    assert climb.steps() == [(number - 1, number, units) for number, units in sorted(steps.items())]
    assert reads <= 9 * max(len(steps), 1)


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=40))
def test_steps_sum_to_the_rise_and_are_where_the_balance_moves(balances: list[int]) -> None:
    head = len(balances) - 1
    climb = Climb({0: balances[0], head: balances[head]})
    while wanted := climb.wanted():
        climb.residual_by_height |= {height: balances[height] for height in wanted}
    steps = climb.steps()
    assert sum(step.units for step in steps) == balances[head] - balances[0]
    assert all(step.units == balances[step.high] - balances[step.low] != 0 for step in steps)
    assert all(step.is_placed for step in steps)


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 5000))
def test_windows_cover_every_block_above_the_floor_once_and_widen(high: int, first_low: int, floor: int) -> None:
    found = list(windows(high, first_low, floor))
    if high <= floor:
        assert found == []
        return
    assert found[0][1] == high
    assert found[-1][0] == floor
    assert all(newer[0] == older[1] for newer, older in itertools.pairwise(found))
    assert all(low < top for low, top in found)
    assert len(found) <= 8


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_bisect_starts_newest_first_and_at_the_floor_last(first: int, head: int, floor: int) -> None:
    head = max(head, first, floor)
    heights = start_heights(first, head, floor)
    assert heights[0] == max(first, floor)
    assert heights[-1] == floor
    assert heights == sorted(set(heights), reverse=True)
    assert len(heights) <= 13


def many_answers(log_range: LogRange, now: float, count: int = GROW_AFTER) -> None:
    for _ in range(count):
        log_range.answered(log_range.blocks, now)


def test_what_is_too_much_narrows_a_log_range_until_patience_widens_it() -> None:
    log_range = LogRange()
    log_range.refused(1000, TooMuch("node", "more than 10000 results"), 0)
    log_range.refused(500, TooMuch("node", "more than 10000 results"), 0)
    assert log_range.blocks == 250
    many_answers(log_range, 0, GROW_AFTER - 1)
    log_range.answered(10, 0)  # says nothing about the provider
    assert log_range.blocks == 250
    log_range.answered(250, 0)
    assert log_range.blocks == 500
    log_range.refused(1, TooMuch("node", "more than 10000 results"), 0)
    assert log_range.blocks == 1
    assert LogRange().blocks == LOG_BLOCKS_MAX


@given(cap=st.integers(1, 100_000), is_told=st.booleans())
def test_a_cap_of_log_ranges_costs_its_refusals_once_a_day(cap: int, is_told: bool) -> None:
    log_range = LogRange()

    def ask(times: int, now: float) -> int:
        """How many of so many questions were refused."""
        refusals = 0
        for _ in range(times):
            if log_range.blocks > cap:
                log_range.refused(log_range.blocks, RangeTooWide("node", "no", cap if is_told else None), now)
                refusals += 1
            else:
                log_range.answered(log_range.blocks, now)
        return refusals

    assert ask(1000, 0) <= (1 if is_told else 2 * LOG_BLOCKS_MAX.bit_length())
    assert log_range.blocks == cap
    assert ask(1000, CAP_SECONDS - 1) == 0
    assert ask(1000, CAP_SECONDS) <= (1 if is_told else cap.bit_length() + 1)
    assert log_range.blocks == cap
    cap = max(cap // 3, 1)  # another plan
    ask(1000, CAP_SECONDS)
    assert log_range.blocks == cap


def test_a_chain_that_only_grew_leaves_everything_in_place() -> None:
    known = books([block(20), block(10)], [row(15)])
    assert not is_doubtful(known, block(25), chain(25, 25))
    fork = find_fork(known, block(25), chain(25, 25))
    assert fork is not None
    assert (fork.fork_number, fork.orphaned) == (None, ())


@given(st.integers(1, 9), st.integers(0, 12))
def test_a_reorg_voids_the_rows_above_the_fork_and_no_other(depth: int, more: int) -> None:
    rows = [row(number, id_=number) for number in range(1, 31)]
    known = books([block(number) for number in range(30, 0, -3)], rows)
    fork_at = 30 - depth
    head = block(30 + more, "b")
    hashes = {n: h for n, h in chain(30 + more, fork_at).items() if n in all_heights(known)} | {head.number: head.hash}
    assert is_doubtful(known, head, hashes)
    fork = find_fork(known, head, hashes)
    assert fork is not None
    assert fork.fork_number == max(number for number in range(30, 0, -3) if number <= fork_at)
    assert {each.id for each in fork.orphaned} == set(range(fork_at + 1, 31))


def test_sparse_checkpoints_are_no_deep_reorg() -> None:
    known = books([block(100), block(25), block(1)], [row(98)])
    fork = find_fork(known, block(101, "b"), chain(101, 97))
    assert fork is not None
    assert fork.fork_number == 25
    assert [each.block.number for each in fork.orphaned] == [98]


def test_a_first_checkpoint_that_is_gone_is_simply_forgotten() -> None:
    fork = find_fork(books([block(5)]), block(6, "b"), chain(6, 3))
    assert fork is not None
    assert fork.fork_number == 4


@given(final_number=st.integers(0, 19), fork_at=st.integers(2, 17), step=st.sampled_from([1, 2, 4]))
def test_below_the_horizon_nothing_is_followed_that_takes_back_what_is_final(
    final_number: int, fork_at: int, step: int
) -> None:
    rows = [row(number, id_=number) for number in range(final_number + 1, 31)]
    checkpoints = [block(number) for number in range(30, 0, -step)]
    known = replace(books(checkpoints, rows), newest_final=block(final_number))
    head = block(31, "b")
    hashes = {n: h for n, h in chain(31, fork_at).items() if n in all_heights(known)}
    assert is_deep(known, hashes)
    hashes = {n: h for n, h in chain(31, fork_at).items() if n in all_heights(known) | deep_heights(known)}
    if fork_at < final_number:
        with pytest.raises(PastGone):
            find_fork(known, head, hashes)
        return
    fork = find_fork(known, head, hashes)
    assert fork is not None
    assert fork.fork_number == max(each.number for each in checkpoints if each.number <= fork_at)
    assert {each.id for each in fork.orphaned} == set(range(fork_at + 1, 31))


def test_a_chain_that_has_none_of_our_blocks_is_not_followed() -> None:
    known = books([block(number) for number in range(30, 0, -1)])
    with pytest.raises(PastGone):
        find_fork(known, block(31, "b"), chain(31, 0))


@pytest.mark.parametrize(
    ("fork_number", "gone", "floors"),
    [
        (None, [], {}),
        (None, [80], {"lab_usdt": 79}),  # its block alone is gone: below the horizon nobody asks for checkpoints
        (None, [95], {}),  # it was searched from lower down in any case
        (85, [], {"lab_usdt": 85, "lab_dai": 85}),
        (85, [88, 80], {"lab_usdt": 79, "lab_dai": 85}),
        (95, [], {}),
    ],
)
def test_what_a_fork_may_have_moved_is_searched_from_below_it(
    fork_number: int | None, gone: list[int], floors: dict[str, int]
) -> None:
    watch = Watch(ADDRESS, 90, 3, ("lab_usdt", "lab_dai"))
    known = replace(books([block(100)]), watches=(watch,))
    assets = [Asset("lab", symbol, 6, f"0x{symbol}") for symbol in ("usdt", "dai")]
    fork = Fork(fork_number, tuple(row(number) for number in gone))
    assert lowered_floors(known, Watchlist.of(known, assets), fork) == {
        Pair(ADDRESS, method): floor for method, floor in floors.items()
    }


def test_a_head_below_the_cursor_on_the_same_chain_is_stale_and_on_another_a_fork() -> None:
    known = books([block(20), block(17), block(14)], [row(16), row(19)])
    assert find_fork(known, block(18), chain(18, 18)) is None
    fork = find_fork(known, block(18, "b"), chain(18, 15))
    assert fork is not None
    assert fork.fork_number == 14
    assert [each.block.number for each in fork.orphaned] == [16, 19]


def test_young_heights_are_the_cursor_and_the_rows_that_a_reorg_can_reach() -> None:
    assert young_heights(books([block(50)], [row(39), row(40), row(41)])) == {41, 50}


def transfer_log(**how: object) -> Log:
    topics = [TRANSFER_TOPIC, address_topic("0x" + "11" * 20), address_topic(ADDRESS)]
    fields = {
        "address": "0x" + "77" * 20,
        "topics": topics,
        "data": f"0x{5:064x}",
        "block_number": "0x1",
        "block_hash": "0x" + "22" * 32,
        "transaction_hash": "0x" + "33" * 32,
        "log_index": "0x0",
    }
    return Log(**{**fields, **how})  # type: ignore[arg-type]


def test_a_plain_transfer_is_read() -> None:
    found = decode_transfer(transfer_log())
    assert found is not None
    assert (found.sender, found.recipient, found.units) == ("0x" + "11" * 20, ADDRESS, 5)


@pytest.mark.parametrize(
    "how",
    [
        {"data": f"0x{0:064x}"},  # moves nothing: address poisoning
        {"data": "0x"},
        {"data": f"0x{5:064x}{0:064x}"},
        {"topics": [TRANSFER_TOPIC, address_topic(ADDRESS)]},
        {"topics": [TRANSFER_TOPIC, *[address_topic(ADDRESS)] * 3]},  # an NFT's id is no amount
        {"topics": ["0x" + "dd" * 32, *[address_topic(ADDRESS)] * 2]},
        {"topics": [TRANSFER_TOPIC, "0x" + "11" * 32, address_topic(ADDRESS)]},  # not an address
        {"removed": True},
    ],
)
def test_what_is_no_transfer_is_not_read_as_one(how: dict[str, object]) -> None:
    assert decode_transfer(transfer_log(**how)) is None


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=6))
def test_a_pair_is_settled_only_while_its_balance_is_exactly_its_rows(moves: list[tuple[int, int]]) -> None:
    rows = [row(number, units=units, id_=number) for number, units in moves]
    rows += [replace(each, kind=RowKind.OUT) for each in rows[:1]]
    pair = Pair(ADDRESS, "lab_usdt")
    total = sum(each.units if each.kind is RowKind.IN else -each.units for each in rows)
    assert differing([pair], {pair: total}, rows) == frozenset()
    assert differing([pair], {pair: total + 1}, rows) == {pair}
    other = Pair("0x" + "bb" * 20, pair.method)
    assert differing([pair], {pair: None, other: 0}, rows) == {pair}
    assert differing([pair], {pair: None, other: None}, rows) == ({pair} if rows else frozenset())


def test_b7_of_two_transactions_with_one_nonce_of_one_sender_one_is_confirmed() -> None:
    first = replace(row(5), tx_sender="0xA", tx_nonce=7, tx_hash="0x01", confirmed=True)
    again = replace(first, log_index=1, confirmed=False)  # two logs of one transaction
    other = replace(again, tx_hash="0x02")
    assert nonce_spent_twice([again], [first]) is None
    assert nonce_spent_twice([replace(other, tx_nonce=8)], [first]) is None
    assert nonce_spent_twice([replace(other, tx_sender="0xB")], [first]) is None
    assert nonce_spent_twice([replace(other, tx_nonce=None)], [replace(first, tx_nonce=None)]) is None
    assert nonce_spent_twice([other], [again]) is None  # what is not confirmed says nothing yet
    assert "0x01 and 0x02 have one nonce" in (nonce_spent_twice([other], [first]) or "")
    assert nonce_spent_twice([again, other], []) is not None


def test_the_same_row_is_booked_once_whatever_evidence_it_comes_from() -> None:
    known = row(5)
    again = replace(known, source=RowSource.RECEIPT, id=None)
    other = replace(again, log_index=1)
    assert unbooked([again, other, other], [known]) == [other]


ERC20 = Web3().eth.contract(
    abi=[
        {
            "type": "event",
            "name": "Transfer",
            "anonymous": False,
            "inputs": [
                {"name": "sender", "type": "address", "indexed": True},
                {"name": "recipient", "type": "address", "indexed": True},
                {"name": "units", "type": "uint256", "indexed": False},
            ],
        },
        {
            "type": "function",
            "name": "transfer",
            "stateMutability": "nonpayable",
            "inputs": [{"name": "recipient", "type": "address"}, {"name": "units", "type": "uint256"}],
            "outputs": [{"name": "", "type": "bool"}],
        },
        {
            "type": "function",
            "name": "balanceOf",
            "stateMutability": "view",
            "inputs": [{"name": "owner", "type": "address"}],
            "outputs": [{"name": "", "type": "uint256"}],
        },
    ]
)
any_address = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())


@given(any_address, any_address, any_address, st.integers(1, 2**256 - 1))
def test_a_transfer_is_read_as_web3_reads_it(contract: str, sender: str, recipient: str, units: int) -> None:
    topics = [TRANSFER_TOPIC, address_topic(sender), address_topic(recipient)]
    data, hash_ = f"0x{units:064x}", "0x" + "ab" * 32
    written = {"address": contract, "topics": topics, "data": data, "transactionHash": hash_, "blockHash": hash_}
    log = Log(contract, topics, data, "0x1", hash_, hash_, "0x0")
    theirs = ERC20.events.Transfer().process_log({**written, "blockNumber": 1, "transactionIndex": 0, "logIndex": 0})
    ours = decode_transfer(log)
    assert ours is not None
    assert (ours.contract, ours.sender, ours.recipient, ours.units) == (
        theirs["address"],
        theirs["args"]["sender"].lower(),
        theirs["args"]["recipient"].lower(),
        theirs["args"]["units"],
    )


@given(any_address, st.integers(0, 2**256 - 1))
def test_calls_are_written_as_web3_writes_them(address: str, units: int) -> None:
    checksummed = Web3.to_checksum_address(address)
    assert call_transfer(checksummed, units) == ERC20.encode_abi("transfer", [checksummed, units])
    assert call_balance_of(checksummed) == ERC20.encode_abi("balanceOf", [checksummed])


@pytest.mark.parametrize(("type_", "field"), [(Block, "number"), (Log, "logIndex")])
def test_a_number_that_the_store_cannot_hold_is_no_answer(type_: type, field: str) -> None:
    hash_ = "0x" + "11" * 32
    said = {"number": "0x1", "hash": hash_, "parentHash": hash_, "timestamp": "0x1"} | {
        "address": ADDRESS, "topics": [], "data": "0x", "blockNumber": "0x1", "blockHash": hash_,
        "transactionHash": hash_, "logIndex": "0x1",
    }  # fmt: skip
    padded = "0x" + "0" * 60 + "1234"
    msgspec.convert(said | {field: padded}, type_)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(said | {field: hex(1 << 63)}, type_)


def test_a_nonce_that_the_store_cannot_hold_is_none_of_an_account() -> None:
    said = {"hash": "0x" + "11" * 32, "from": ADDRESS, "value": "0x1", "nonce": "0x7", "type": "0x2"}
    assert msgspec.convert(said, Tx).account_nonce == 7
    assert msgspec.convert(said | {"nonce": "0x" + "f" * 64}, Tx).account_nonce is None
