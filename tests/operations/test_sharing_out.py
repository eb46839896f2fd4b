"""What was shared out before is not looked at again, and nobody notices.

Method: random histories of one pair, written straight to the store: deposits, sweeps that end well or are taken back,
losses that come and go, deposits that leave the chain or turn out to be less. After each step what is open is shared
out, and then, in a transaction that is undone, all that was ever moved or taken: every deposit gets the same.
"""

import tempfile
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.lab.simnode import TREASURY, SimNode

from paynode.domain.chain import BlockRef, Row, RowKind, RowSource
from paynode.domain.deposit import Stage
from paynode.domain.invoice import Type
from paynode.domain.outgoing import Purpose
from paynode.domain.outgoing import State as Sent
from paynode.domain.sweep import DepositSweep, ItemState
from paynode.domain.sweep import State as SweepState
from paynode.operations.collecting import judge_deposit, settle_pair
from paynode.store import chain_rows, deposits, outgoing, sweeps
from paynode.store.database import Tx
from paynode.store.deposits import DepositRecord
from paynode.store.outgoing import OutgoingRecord
from paynode.store.records import Units
from paynode.store.sweeps import ItemRecord, SweepRecord

USDT = "alpha_usdt"
PAIR_STEPS = ("deposit", "late deposit", "sweep", "take back", "mine again", "orphan", "be less", "lose", "find again")
OFTEN = ("deposit", "sweep")
STEP = st.tuples(st.sampled_from([*PAIR_STEPS, *OFTEN]), st.integers(0, 5), st.integers(1, 9))
STEPS = st.lists(STEP, min_size=24, max_size=24)


class Undone(Exception):
    """The end of a reckoning that must leave no trace."""


class History:
    """What happens to one address in one token; a block each step."""

    def __init__(self, node: SimNode, invoice_id: str) -> None:
        self.node, self.invoice_id, self.address = node, invoice_id, node.address(invoice_id)
        self.block = 10

    def step(self, tx: Tx, what: str, which: int, units: int) -> None:
        self.block += 1
        mine = [record for record in self.records(tx) if record.stage is Stage.SETTLED]
        items = [item for item in self.items(tx) if item.transfer_id is not None]
        match what:
            case "deposit":
                self.deposit(tx, units, self.block)
            case "late deposit":
                self.deposit(tx, units, self.block - 5)
            case "sweep":
                waiting = deposits.waiting_of_pair(tx, "alpha", self.address, USDT)[which % 2 :][:2]
                if waiting:
                    self.sweep(tx, {each.deposit.id: each.units for each in waiting}, moved=units)
            case "take back" | "mine again" if items:
                item = items[which % len(items)]
                state = ItemState.BROADCASTING if what == "take back" else ItemState.COMPLETED
                sweeps.save_item(tx, replace(item, state=state, moved=Units(units) if units < 4 else item.moved))
                for record in deposits.of_sweep_item(tx, item.id):
                    judge_deposit(tx, record)
            case "orphan" if mine:
                record = mine[which % len(mine)]
                chain_rows.void_row(tx, record.row_id, self.node.clock())
                deposits.save(tx, replace(record, stage=Stage.ORPHANED, sweep_wait=None))
            case "be less" if mine:
                record = mine[which % len(mine)]
                deposits.save(tx, replace(record, units=Units(min(record.units, units))))
                judge_deposit(tx, deposits.placed(tx, record.id).deposit)
            case "lose":
                row = self.row(RowKind.ADJUSTMENT, RowSource.DRIFT, -units, self.block - which)
                chain_rows.confirm_row(tx, self.added(tx, row), -units, self.node.clock())
            case "find again":
                for gone in chain_rows.gone_from_pair(tx, "alpha", self.address, USDT)[which:][:1]:
                    chain_rows.void_row(tx, gone.id, self.node.clock())

    def records(self, tx: Tx) -> list[DepositRecord]:
        return [placed.deposit for placed in deposits.of_invoice(tx, self.invoice_id)]

    def items(self, tx: Tx) -> list[ItemRecord]:
        return [item for (id_,) in tx.rows("select id from sweeps order by id") for item in sweeps.items(tx, id_)]

    def row(self, kind: RowKind, source: RowSource, units: int, number: int) -> Row:
        block = BlockRef(number, f"0x{number:064x}", self.node.clock())
        return Row(kind, source, self.address, USDT, units, block, tx_hash=f"0x{self.block:064x}", log_index=0)

    def added(self, tx: Tx, row: Row) -> int:
        row_id = chain_rows.add_row(tx, "alpha", row, self.node.clock())
        assert row_id is not None, "each is another"
        return row_id

    def deposit(self, tx: Tx, units: int, number: int) -> None:
        now = self.node.clock()
        row_id = self.added(tx, self.row(RowKind.IN, RowSource.LOG, units, number))
        chain_rows.confirm_row(tx, row_id, units, now)
        record = DepositRecord(
            id=deposits.new_deposit_id(tx, now),
            row_id=row_id,
            store_id=self.node.store_id,
            invoice_id=self.invoice_id,
            address_invoice_id=self.invoice_id,
            network="alpha",
            address=self.address,
            method=USDT,
            units=Units(units),
            stage=Stage.SETTLED,
            worth=None,
            seen_at=now,
            is_late=False,
            replaces=None,
            sweep_state=DepositSweep.UNSWEPT,
            sweep_wait=None,
            detected_at=now,
            confirmed_at=now,
            lost=Units(0),
            withdrawn=Units(0),
        )
        deposits.add(tx, record)

    def sweep(self, tx: Tx, units_by_deposit: dict[str, int], *, moved: int) -> None:
        """One that ended well, though it may have moved less than was planned."""
        now, number = self.node.clock(), self.block
        planned = Units(sum(units_by_deposit.values()))
        sweep = SweepRecord(f"swp_{number}", self.node.store_id, "alpha", USDT, TREASURY, SweepState.COMPLETED, now)
        transfer = OutgoingRecord(
            id=f"txn_{number}",
            network="alpha",
            store_id=self.node.store_id,
            purpose=Purpose.SWEEP,
            state=Sent.CONFIRMED,
            sender=self.address,
            key_path="m",
            recipient=TREASURY,
            method=USDT,
            units=planned,
            empties_sender=False,
            created_at=now,
            updated_at=now,
            nonce=number,
            receipt_block=number,
        )
        outgoing.add(tx, transfer)
        sweeps.add(tx, sweep)
        item = ItemRecord(0, sweep.id, "alpha", self.address, USDT, planned, ItemState.QUEUED)
        sweeps.add_item(tx, item, units_by_deposit)
        (item,) = sweeps.items(tx, sweep.id)
        ended = replace(item, state=ItemState.COMPLETED, transfer_id=transfer.id, moved=Units(max(moved, planned - 3)))
        sweeps.save_item(tx, ended)
        for record in deposits.of_sweep_item(tx, item.id):
            judge_deposit(tx, record)

    def shared_out(self, tx: Tx, *, is_anew: bool) -> list[tuple[object, ...]]:
        """What every item and every loss takes of every deposit, once all of it is shared out."""
        if is_anew:
            tx.run("update sweep_items set is_shared_out = 0")
        settle_pair(tx, self.node.catalogue, "alpha", self.address, USDT)
        shares = tx.rows("select item_id, deposit_id, units from sweep_deposits order by 1, 2")
        return shares + tx.rows("select id, sweep_state, sweep_wait, lost, withdrawn from deposits order by id")


def reckoned(history: History, *, is_anew: bool) -> list[tuple[object, ...]]:
    """The same, in a transaction that is undone."""

    def reckon(tx: Tx) -> None:
        found.append(history.shared_out(tx, is_anew=is_anew))
        raise Undone

    found: list[list[tuple[object, ...]]] = []
    with suppress(Undone):
        history.node.database.write(reckon)
    return found[0]


async def lived(steps: list[tuple[str, int, int]], folder: Path) -> None:
    node = SimNode(folder)
    await node.mine(3)
    history = History(node, node.create(None, methods=[USDT], type=Type.REUSABLE))
    for step in steps:
        node.database.write(history.step, *step)
        assert reckoned(history, is_anew=False) == reckoned(history, is_anew=True)
        node.database.write(history.shared_out, is_anew=False)
    node.database.close()


@settings(max_examples=50)
@given(STEPS)
def test_sharing_out_all_of_it_anew_changes_nothing(steps: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        trio.run(partial(lived, steps, Path(folder)))


async def test_sweeps_whose_money_is_all_accounted_for_are_not_gone_through_again(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    node.fund_gas()
    await node.look()
    invoice = node.create(None, methods=[USDT], type=Type.REUSABLE)
    for _ in range(2):
        node.pay(invoice, 100 * 10**6)
        await node.turn(12)
    assert [each.sweep_state for each in node.deposits(invoice)] == ["swept", "swept"]
    pair = ("alpha", node.address(invoice), USDT)
    assert node.database.read(sweeps.next_unshared_item, *pair, 0) is None
