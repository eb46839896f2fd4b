"""Which deposits the money was that a sweep moved: what its receipt says, whatever it was planned for.

A deep reorganisation may drop a deposit and the sweep that took it; signed bytes stay out, and take what the customer
pays again. So an item that ended well takes from the deposits that lay there: its own first, then the oldest.
"""

from paynode.domain.deposit import Stage
from paynode.domain.sweep import collected_units, deposit_sweep_by_shares
from paynode.store import deposits, outgoing, sweeps
from paynode.store.database import Tx
from paynode.store.deposits import DepositRecord, PlacedDeposit
from paynode.store.sweeps import ItemRecord


def judge_deposit(tx: Tx, record: DepositRecord) -> DepositRecord:
    """Judge where the collection of a deposit stands by its shares; returns it as it is then."""
    shares = sweeps.shares_of_deposit(tx, record.id)
    return deposits.set_sweep(tx, record, deposit_sweep_by_shares(record.units, shares), None)


def settle_pair(tx: Tx, network: str, address: str, method: str) -> list[DepositRecord]:
    """Give what was moved from a pair to its deposits; returns those that this changed."""
    changed: dict[str, DepositRecord] = {}
    for item in sweeps.completed_items(tx, network, address, method):
        changed |= {record.id: record for record in _settle(tx, item)}
    return list(changed.values())


def _settle(tx: Tx, item: ItemRecord) -> list[DepositRecord]:
    """Share out what one item moved."""
    assert item.transfer_id is not None, "an item that ended well has moved something"
    transfer = outgoing.by_id(tx, item.transfer_id)
    assert transfer.receipt_block is not None, "and it has a receipt"
    # What a native sweep finds missing paid the fees of earlier transactions: its deposits are collected all the same.
    left = int(item.units) if transfer.empties_sender else min(item.units, item.moved or 0)
    before = sweeps.shares_of_item(tx, item.id)
    changed: list[DepositRecord] = []
    for placed in _candidates(tx, item):
        record = placed.deposit
        others = [share for share in sweeps.shares_of_deposit(tx, record.id) if share.item_id != item.id]
        was_there = placed.row.block_number <= transfer.receipt_block
        units = min(left, max(record.units - collected_units(others), 0)) if was_there else 0
        left -= units
        if units != before.get(record.id, 0):
            sweeps.set_share(tx, item.id, record.id, units)
            changed.append(judge_deposit(tx, record))
    return changed


def _candidates(tx: Tx, item: ItemRecord) -> list[PlacedDeposit]:
    """The deposits that an item may have moved, its own first, each kind in the order of the chain."""
    own = [each for each in deposits.placed_of_sweep_item(tx, item.id) if each.deposit.stage is not Stage.ORPHANED]
    ids = {each.deposit.id for each in own}
    final = deposits.final_of_pair(tx, item.network, item.address, item.method)
    return [*own, *(each for each in final if each.deposit.id not in ids)]
