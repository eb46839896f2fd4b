"""What became of the money of a pair: which deposits a sweep moved, and which are gone without us.

By receipts and rows, whatever a sweep was planned for: a deep reorganisation may drop a deposit and the sweep that took
it; signed bytes stay out, and take what the customer pays again. So an item that ended well takes from the deposits
that lay there: its own first, then the oldest. So does a final loss.
"""

from collections import Counter, deque
from collections.abc import Iterator

from paynode.config import CustodyMode
from paynode.domain.chain import RowKind
from paynode.domain.deposit import FINAL, Stage
from paynode.domain.sweep import DepositSweep, Lying, Wait, collected_units, deposit_sweep_by_facts
from paynode.operations.catalogue import Catalogue
from paynode.store import chain_rows, deposits, outgoing, sweeps
from paynode.store.chain_rows import RowRecord
from paynode.store.database import Tx
from paynode.store.deposits import DepositRecord, PlacedDeposit
from paynode.store.records import Units
from paynode.store.sweeps import ItemRecord


def judge_deposit(tx: Tx, record: DepositRecord) -> DepositRecord:
    """Judge where the collection of a deposit stands; returns it as it is then."""
    shares = tuple(sweeps.shares_of_deposit(tx, record.id))
    state, wait = deposit_sweep_by_facts(Lying(record.units, record.lost, record.withdrawn, shares))
    if record.is_held and record.stage in FINAL and state in {DepositSweep.UNSWEPT, DepositSweep.FAILED}:
        wait = wait or Wait.HELD
    return deposits.set_sweep(tx, record, state, wait)


def is_withdrawal(catalogue: Catalogue, row: RowRecord) -> bool:
    """Whether the merchant, who alone holds the keys under watch, took it: coins never go without a key."""
    is_signed = row.kind is RowKind.OUT or row.method == catalogue.native(row.network).method
    return is_signed and catalogue.config.custody.mode is CustodyMode.WATCH


def settle_pair(tx: Tx, catalogue: Catalogue, network: str, address: str, method: str) -> list[DepositRecord]:
    """Give what was moved from a pair, or is gone, to its deposits; returns those that this changed.

    Only what is not given to anybody yet is looked at, and what has changed since: a pair may have a long history.
    """
    changed: dict[str, DepositRecord] = {}
    item_id = 0
    while item := sweeps.next_unshared_item(tx, network, address, method, item_id):  # one may make the next change
        changed |= {record.id: record for record in _settle(tx, item)}
        item_id = item.id
    changed |= {record.id: record for record in _share_losses(tx, catalogue, network, address, method)}
    return list(changed.values())


def _settle(tx: Tx, item: ItemRecord) -> list[DepositRecord]:
    """Share out what one item moved: first to the deposits that it was for, then to the oldest."""
    assert item.transfer_id is not None, "an item that ended well has moved something"
    transfer = outgoing.by_id(tx, item.transfer_id)
    assert transfer.receipt_block is not None, "and it has a receipt"
    # What a native sweep finds missing paid the fees of earlier transactions: its deposits are collected all the same.
    left = int(item.units) if transfer.empties_sender else min(item.units, item.moved or 0)
    before = sweeps.shares_of_item(tx, item.id)
    changed: list[DepositRecord] = []
    for placed in _candidates(tx, item):
        record = placed.deposit
        if not left and record.id not in before:
            break
        others = [share for share in sweeps.shares_of_deposit(tx, record.id) if share.item_id != item.id]
        was_there = placed.row.block_number <= transfer.receipt_block
        room = record.units - record.lost - record.withdrawn - collected_units(others)
        units = min(left, max(room, 0)) if was_there else 0
        left -= units
        if units != before.get(record.id, 0):
            sweeps.set_share(tx, item.id, record.id, units)
            changed.append(judge_deposit(tx, record))
    if not left and not changed:
        sweeps.mark_shared_out(tx, item.id)
    return changed


def _candidates(tx: Tx, item: ItemRecord) -> Iterator[PlacedDeposit]:
    """The deposits that an item may have moved, its own first, each kind in the order of the chain."""
    own = [each for each in deposits.placed_of_sweep_item(tx, item.id) if each.deposit.stage is not Stage.ORPHANED]
    yield from own
    ids = {each.deposit.id for each in own}
    uncollected = deposits.uncollected_of_pair(tx, item.network, item.address, item.method)
    yield from (each for each in uncollected if each.deposit.id not in ids)


def _share_losses(tx: Tx, catalogue: Catalogue, network: str, address: str, method: str) -> list[DepositRecord]:
    """Share out what is gone without us among the final deposits, the oldest first."""
    rows = chain_rows.gone_from_pair(tx, network, address, method)
    final = (deposits.final_of_pair if rows else deposits.gone_of_pair)(tx, network, address, method)
    collected = sweeps.collected_from_pair(tx, network, address, method) if rows else {}
    room = {each.deposit.id: max(each.deposit.units - collected.get(each.deposit.id, 0), 0) for each in final}
    lost, withdrawn = Counter[str](), Counter[str]()
    waiting = deque(final)
    for row in rows:
        left = -row.as_row().effect
        while waiting and left and waiting[0].row.block_number <= row.block_number:
            id_ = waiting[0].deposit.id
            units = min(left, room[id_])
            (withdrawn if is_withdrawal(catalogue, row) else lost)[id_] += units
            room[id_] -= units
            left -= units
            if not room[id_]:
                waiting.popleft()
    changed: list[DepositRecord] = []
    for each in final:
        record, gone = each.deposit, (lost[each.deposit.id], withdrawn[each.deposit.id])
        if gone != (record.lost, record.withdrawn) or not record.units:  # what brought nothing is lost from the start
            found = deposits.set_gone(tx, record, lost=Units(gone[0]), withdrawn=Units(gone[1]))
            judged = judge_deposit(tx, found)
            if judged != record:
                changed.append(judged)
    return changed
