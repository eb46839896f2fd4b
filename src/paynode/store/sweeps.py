"""Sweeps, their items, and the treasuries they may pay."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from paynode.domain.sweep import ItemState, Share, State
from paynode.store.database import Tx
from paynode.store.records import Columns, Units
from paynode.store.times import to_ms


@dataclass(frozen=True, slots=True)
class SweepRecord:
    id: str
    store_id: str
    network: str
    method: str
    treasury: str
    state: State
    created_at: datetime
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """One address of a sweep."""

    id: int
    sweep_id: str
    network: str
    address: str
    method: str
    units: Units
    state: ItemState
    reason: str | None = None
    top_up_id: str | None = None
    transfer_id: str | None = None
    moved: Units | None = None
    fee: Units | None = None


@dataclass(frozen=True, slots=True)
class TreasuryRecord:
    network: str
    store_id: str
    address: str
    effective_at: datetime


SWEEP = Columns(SweepRecord)
ITEM = Columns(ItemRecord)
TREASURY = Columns(TreasuryRecord)


def add(tx: Tx, record: SweepRecord) -> None:
    tx.run(SWEEP.insert("sweeps"), SWEEP.encode(record))


def save(tx: Tx, record: SweepRecord) -> None:
    tx.run(SWEEP.update("sweeps", "id"), SWEEP.encode(record))


def by_id(tx: Tx, sweep_id: str) -> SweepRecord | None:
    row = tx.row(f"select {SWEEP.sql} from sweeps where id = ?", (sweep_id,))
    return None if row is None else SWEEP.decode(row)


def newest(tx: Tx, network: str, store_id: str, method: str) -> SweepRecord | None:
    """The sweep of this asset that was planned last."""
    row = tx.row(
        f"select {SWEEP.sql} from sweeps where network = ? and store_id = ? and method = ? "
        "order by created_at desc, id desc limit 1",
        (network, store_id, method),
    )
    return None if row is None else SWEEP.decode(row)


def item_count(tx: Tx, sweep_id: str) -> int:
    row = tx.row("select count(*) from sweep_items where sweep_id = ?", (sweep_id,))
    assert row is not None, "an aggregate always answers"
    return int(row[0])


def add_item(tx: Tx, record: ItemRecord, units_by_deposit: Mapping[str, int]) -> None:
    """Store an item with what it takes of each deposit; its `id` is given by the store."""
    values = ITEM.encode(record) | {"id": None}
    item_id = tx.insert(ITEM.insert("sweep_items"), values)
    for deposit_id, units in units_by_deposit.items():
        set_share(tx, item_id, deposit_id, units)


def save_item(tx: Tx, record: ItemRecord) -> None:
    tx.run(ITEM.update("sweep_items", "id"), ITEM.encode(record))


def item(tx: Tx, item_id: int) -> ItemRecord:
    row = tx.row(f"select {ITEM.sql} from sweep_items where id = ?", (item_id,))
    assert row is not None, "items are never deleted"
    return ITEM.decode(row)


def items(tx: Tx, sweep_id: str) -> list[ItemRecord]:
    return [
        ITEM.decode(row)
        for row in tx.rows(f"select {ITEM.sql} from sweep_items where sweep_id = ? order by id", (sweep_id,))
    ]


def next_unshared_item(tx: Tx, network: str, address: str, method: str, after_id: int) -> ItemRecord | None:
    """The oldest item of a pair after `after_id` that ended well and is to be given to its deposits, wholly or anew."""
    row = tx.row(
        f"select {ITEM.sql} from sweep_items indexed by sweep_items_unshared where network = ? and address = ? "
        "and method = ? and id > ? and state = 'completed' and is_shared_out = 0 order by id limit 1",
        (network, address, method, after_id),
    )
    return None if row is None else ITEM.decode(row)


def mark_shared_out(tx: Tx, item_id: int) -> None:
    """Leave an item alone until anything changes of what its share of each deposit follows from."""
    tx.run("update sweep_items set is_shared_out = 1 where id = ?", (item_id,))


def shares_of_deposit(tx: Tx, deposit_id: str) -> list[Share]:
    """What each item takes of a deposit, or tried to, oldest first."""
    found = tx.rows(
        "select i.id, i.state, s.units from sweep_deposits s join sweep_items i on i.id = s.item_id "
        "where s.deposit_id = ? order by i.id",
        (deposit_id,),
    )
    return [Share(item_id, ItemState(state), int(units)) for item_id, state, units in found]


def shares_of_item(tx: Tx, item_id: int) -> dict[str, int]:
    """What an item takes, by deposit."""
    found = tx.rows("select deposit_id, units from sweep_deposits where item_id = ?", (item_id,))
    return {deposit_id: int(units) for deposit_id, units in found}


def collected_from_pair(tx: Tx, network: str, address: str, method: str) -> Counter[str]:
    """What items that ended well took of a pair's deposits, by deposit."""
    collected = Counter[str]()
    for deposit_id, units in tx.rows(
        "select s.deposit_id, s.units from sweep_items i indexed by sweep_items_of_address "
        "cross join sweep_deposits s on s.item_id = i.id "
        "where i.network = ? and i.address = ? and i.method = ? and i.state = 'completed'",
        (network, address, method),
    ):
        collected[deposit_id] += int(units)
    return collected


def set_share(tx: Tx, item_id: int, deposit_id: str, units: int) -> None:
    """Let an item take so much of a deposit; 0: nothing."""
    if units:
        tx.run(
            "insert into sweep_deposits (item_id, deposit_id, units) values (?, ?, ?) "
            "on conflict do update set units = excluded.units",
            (item_id, deposit_id, str(units)),
        )
    else:
        tx.run("delete from sweep_deposits where item_id = ? and deposit_id = ?", (item_id, deposit_id))


def take_over(tx: Tx, deposit_id: str, replaced_id: str) -> None:
    """Let whatever collects one deposit collect another in its stead."""
    tx.run(
        "insert into sweep_deposits (item_id, deposit_id, units) "
        "select item_id, ?, units from sweep_deposits where deposit_id = ?",
        (deposit_id, replaced_id),
    )


def items_under_way(tx: Tx, network: str) -> list[ItemRecord]:
    """Items whose sweep has not ended, oldest first."""
    found = tx.rows(
        f"select {ITEM.of('i')} from sweep_items i join sweeps s on s.id = i.sweep_id "
        "where i.network = ? and s.completed_at is null "
        "and i.state not in ('completed', 'failed', 'cancelled') order by i.id",
        (network,),
    )
    return [ITEM.decode(row) for row in found]


def is_under_way(tx: Tx, network: str, address: str, method: str) -> bool:
    """Whether an item for this address and asset has not ended."""
    row = tx.row(
        "select 1 from sweep_items where network = ? and address = ? and method = ? "
        "and state not in ('completed', 'failed', 'cancelled')",
        (network, address, method),
    )
    return row is not None


def item_of_outgoing(tx: Tx, outgoing_id: str) -> ItemRecord | None:
    """The item that an outgoing transaction serves, as its transfer or its newest top-up."""
    row = tx.row(f"select {ITEM.sql} from sweep_items where transfer_id = ?1 or top_up_id = ?1", (outgoing_id,))
    return None if row is None else ITEM.decode(row)


def failed_counts(tx: Tx, network: str, since: datetime) -> dict[tuple[str, str], int]:
    """How often collecting from (address, method) has failed in the sweeps planned since a moment.

    What failed since its money was not there any more, or was kept back, is not counted.
    """
    found = tx.rows(
        "select i.address, i.method, count(*) from sweeps s join sweep_items i on i.sweep_id = s.id "
        "where s.network = ? and s.created_at >= ? and i.state = 'failed' "
        "and i.reason not in ('deposit_reversed', 'money_taken', 'held') group by i.address, i.method",
        (network, to_ms(since)),
    )
    return {(address, method): count for address, method, count in found}


def treasury(tx: Tx, network: str, store_id: str) -> TreasuryRecord | None:
    row = tx.row(f"select {TREASURY.sql} from treasuries where network = ? and store_id = ?", (network, store_id))
    return None if row is None else TREASURY.decode(row)


def treasury_addresses(tx: Tx, network: str | None = None) -> frozenset[str]:
    """Every store's treasury, on one network or on all."""
    found = tx.rows("select address from treasuries where ?1 is null or network = ?1", (network,))
    return frozenset(address for (address,) in found)


def set_treasury(tx: Tx, record: TreasuryRecord) -> None:
    sets = "address = excluded.address, effective_at = excluded.effective_at"
    tx.run(f"{TREASURY.insert('treasuries')} on conflict do update set {sets}", TREASURY.encode(record))
