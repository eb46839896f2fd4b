"""The movements of our pairs, as the chain showed them. Only credit, confirmed_at and voided_at ever change."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from paynode.domain.chain import BlockRef, Row, RowKind, RowSource
from paynode.store.database import Tx
from paynode.store.records import Columns, Units
from paynode.store.times import from_ms, optional_ms, to_ms


@dataclass(frozen=True, slots=True)
class RowRecord:
    """A row as stored; `domain.chain.Row` is what chains see of it."""

    id: int
    network: str
    kind: RowKind
    source: RowSource
    address: str
    method: str
    units: Units
    credit: Units | None
    block_number: int
    block_hash: str
    block_at: datetime
    earliest_at: datetime | None
    tx_hash: str
    log_index: int
    sender: str
    tx_sender: str
    tx_nonce: int | None
    own: bool
    confirmed_at: datetime | None
    voided_at: datetime | None

    @property
    def credited(self) -> Units:
        return self.units if self.credit is None else self.credit

    def as_row(self) -> Row:
        return Row(
            kind=self.kind,
            source=self.source,
            address=self.address,
            method=self.method,
            units=self.units,
            block=BlockRef(self.block_number, self.block_hash, self.block_at),
            tx_hash=self.tx_hash,
            log_index=self.log_index,
            earliest_at=self.earliest_at,
            credit=self.credit,
            sender=self.sender,
            tx_sender=self.tx_sender,
            tx_nonce=self.tx_nonce,
            own=self.own,
            id=self.id,
            confirmed=self.confirmed_at is not None,
        )


ROW = Columns(RowRecord)


def add_row(tx: Tx, name: str, row: Row, now: datetime) -> int | None:
    """Store a row; returns its number, or None if it was there already."""
    inserted = tx.row(
        "insert into chain_rows (network, kind, source, address, method, units, credit, block_number, block_hash, "
        "block_at, earliest_at, tx_hash, log_index, sender, tx_sender, tx_nonce, own, detected_at) "
        "values (:network, :kind, :source, :address, :method, :units, :credit, :block_number, :block_hash, :block_at, "
        ":earliest_at, :tx_hash, :log_index, :sender, :tx_sender, :tx_nonce, :own, :detected_at) "
        "on conflict do nothing returning id",
        {
            "network": name,
            "kind": row.kind,
            "source": row.source,
            "address": row.address,
            "method": row.method,
            "units": str(row.units),
            "credit": None if row.credit is None else str(row.credit),
            "block_number": row.block.number,
            "block_hash": row.block.hash,
            "block_at": to_ms(row.block.at),
            "earliest_at": optional_ms(row.earliest_at),
            "tx_hash": row.tx_hash,
            "log_index": row.log_index,
            "sender": row.sender,
            "tx_sender": row.tx_sender,
            "tx_nonce": row.tx_nonce,
            "own": int(row.own),
            "detected_at": to_ms(now),
        },
    )
    return None if inserted is None else int(inserted[0])


def row(tx: Tx, row_id: int) -> RowRecord:
    found = tx.row(f"select {ROW.sql} from chain_rows where id = ?", (row_id,))
    assert found is not None, "rows are never deleted"
    return ROW.decode(found)


def confirm_row(tx: Tx, row_id: int, credit: int, now: datetime) -> bool:
    """Mark a row final with what it credits; tells whether it was not before."""
    return (
        tx.run(
            "update chain_rows set confirmed_at = ?, credit = ? "
            "where id = ? and confirmed_at is null and voided_at is null",
            (to_ms(now), str(credit), row_id),
        )
        == 1
    )


def set_credit(tx: Tx, row_id: int, credit: int) -> bool:
    """Note that an unconfirmed row brought less than it says; tells whether that is new."""
    return (
        tx.run(
            "update chain_rows set credit = :credit "
            "where id = :id and confirmed_at is null and voided_at is null and credit is not :credit",
            {"id": row_id, "credit": str(credit)},
        )
        == 1
    )


def void_row(tx: Tx, row_id: int, now: datetime) -> bool:
    """Mark a row as gone from the chain; tells whether it was not before."""
    return tx.run("update chain_rows set voided_at = ? where id = ? and voided_at is null", (to_ms(now), row_id)) == 1


def standing_rows(tx: Tx, name: str, addresses: Sequence[str]) -> list[RowRecord]:
    """The rows of these addresses that are not void, oldest first."""
    found = tx.rows(
        f"select {ROW.of('r')} from json_each(?) a cross join chain_rows r indexed by chain_rows_of_address "
        "on r.network = ? and r.address = a.value and r.voided_at is null order by r.id",
        (json.dumps(addresses), name),
    )
    return [ROW.decode(row) for row in found]


def addresses_with_rows(tx: Tx, name: str, addresses: Sequence[str]) -> set[str]:
    """Those of these addresses that have a row that is not void."""
    found = tx.rows(
        "select a.value from json_each(?) a where exists (select 1 from chain_rows r indexed by chain_rows_of_address "
        "where r.network = ? and r.address = a.value and r.voided_at is null)",
        (json.dumps(addresses), name),
    )
    return {address for (address,) in found}


def is_any_above(tx: Tx, name: str, number: int) -> bool:
    """Whether a row that is not void is in a block above `number`."""
    row = tx.row(
        "select 1 from chain_rows where network = ? and voided_at is null and block_number > ? limit 1", (name, number)
    )
    return row is not None


def newest_final(tx: Tx, name: str, lowest: int) -> BlockRef | None:
    """The block, at height `lowest` or above, of the newest row that is confirmed and not void."""
    row = tx.row(
        "select block_number, block_hash, block_at from chain_rows where network = ? and block_number >= ? "
        "and voided_at is null and confirmed_at is not null order by block_number desc limit 1",
        (name, lowest),
    )
    return None if row is None else BlockRef(row[0], row[1], from_ms(row[2]))


def rows_of_tx(tx: Tx, name: str, tx_hash: str) -> list[RowRecord]:
    """Every row that one transaction made, void ones included, oldest first."""
    found = tx.rows(f"select {ROW.sql} from chain_rows where network = ? and tx_hash = ? order by id", (name, tx_hash))
    return [ROW.decode(row) for row in found]


def spendable_units(tx: Tx, name: str, address: str, method: str) -> int:
    """What surely lies on a pair: all that is final there, less all that left."""
    return _sum(tx, "(r.kind <> 'in' or r.confirmed_at is not null)", name, address, method)


def booked_units(tx: Tx, name: str, address: str, method: str) -> int:
    """What a pair holds by all its rows, final or not."""
    return _sum(tx, "true", name, address, method)


def _sum(tx: Tx, where: str, name: str, address: str, method: str) -> int:
    """What the rows of a pair do to its balance, each by `domain.chain.Row.effect`."""
    row = tx.row(
        "select sum_exactly(iif(r.kind = 'out', '-' || r.units, coalesce(r.credit, r.units))) "
        "from chain_rows r indexed by chain_rows_of_address "
        f"where r.network = ? and r.address = ? and r.method = ? and r.voided_at is null and {where}",
        (name, address, method),
    )
    assert row is not None, "an aggregate always answers"
    return int(row[0])


def gone_from_pair(tx: Tx, name: str, address: str, method: str) -> list[RowRecord]:
    """The final rows that took from a pair without a transaction of ours, in the order of the chain."""
    found = tx.rows(
        f"select {ROW.of('r')} from chain_rows r indexed by chain_rows_out "
        "where r.network = ? and r.address = ? and r.method = ? "
        "and r.kind <> 'in' and r.voided_at is null and r.confirmed_at is not null "
        "and not exists (select 1 from outgoing_versions v where v.tx_hash = r.tx_hash) order by r.block_number, r.id",
        (name, address, method),
    )
    return [each for each in map(ROW.decode, found) if each.as_row().effect < 0]


def final_units(tx: Tx, name: str, method: str) -> int:
    """What all our addresses together hold of an asset.

    Final arrivals, what is finally gone without us, and the rows of our own ended transactions.
    """
    found = tx.rows(
        f"select {ROW.of('r')} from chain_rows r left join outgoing_versions v on v.tx_hash = r.tx_hash "
        "left join outgoing o on o.id = v.outgoing_id "
        "where r.network = ? and r.method = ? and r.voided_at is null and ("
        "  (r.kind = 'in' and r.own = 0 and r.confirmed_at is not null)"
        "  or (r.kind = 'adjustment' and r.confirmed_at is not null)"
        "  or (r.kind = 'out' and o.id is null and r.confirmed_at is not null)"
        "  or o.state in ('confirmed', 'reverted'))",
        (name, method),
    )
    return sum(ROW.decode(row).as_row().effect for row in found)
