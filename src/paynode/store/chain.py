"""What we know of each network: its state, checkpoints, watches, rows, floors and disputes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from paynode.domain.chain import BlockRef, Dispute, Pair, Row, RowKind, RowSource, Watch
from paynode.store.database import Tx
from paynode.store.records import Columns, Units
from paynode.store.times import from_ms, optional_ms, to_ms

CHECKPOINTS_KEPT = 200  # the newest; below them one an hour
CHECKPOINT_SPARSE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    network: str
    state: str = "ok"
    reason: str | None = None
    head_number: int | None = None
    head_hash: str | None = None
    head_at: datetime | None = None
    looked_at: datetime | None = None
    hold: str | None = None


@dataclass(frozen=True, slots=True)
class WatchRecord:
    network: str
    address: str
    store_id: str
    invoice_id: str | None
    depth: int
    floor: int
    watch_until: datetime | None


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


NETWORK = Columns(NetworkRecord)
WATCH = Columns(WatchRecord)
ROW = Columns(RowRecord)


# Networks and checkpoints


def network(tx: Tx, name: str) -> NetworkRecord:
    row = tx.row(f"select {NETWORK.sql} from networks where network = ?", (name,))
    return NetworkRecord(name) if row is None else NETWORK.decode(row)


def save_network(tx: Tx, record: NetworkRecord) -> None:
    sets = ", ".join(f"{name} = excluded.{name}" for name in NETWORK.names)
    tx.run(f"{NETWORK.insert('networks')} on conflict do update set {sets}", NETWORK.encode(record))


def checkpoints(tx: Tx, name: str) -> list[BlockRef]:
    """The network's checkpoints, newest first."""
    found = tx.rows("select number, hash, at from checkpoints where network = ? order by number desc", (name,))
    return [BlockRef(number, hash_, from_ms(at)) for number, hash_, at in found]


def cursor(tx: Tx, name: str) -> BlockRef | None:
    row = tx.row("select number, hash, at from checkpoints where network = ? order by number desc limit 1", (name,))
    return None if row is None else BlockRef(row[0], row[1], from_ms(row[2]))


def add_checkpoint(tx: Tx, name: str, block: BlockRef) -> None:
    """Make `block` the cursor, and thin out the checkpoints far below it."""
    tx.run(
        "insert or replace into checkpoints (network, number, hash, at) values (?, ?, ?, ?)",
        (name, block.number, block.hash, to_ms(block.at)),
    )
    old = tx.rows(
        "select number, at from checkpoints where network = ? order by number desc limit 2 offset ?",
        (name, CHECKPOINTS_KEPT),
    )
    if len(old) == 2 and old[0][1] - old[1][1] < CHECKPOINT_SPARSE // timedelta(milliseconds=1):
        tx.run("delete from checkpoints where network = ? and number = ?", (name, old[0][0]))


def fork_at(tx: Tx, name: str, number: int) -> None:
    """Forget the checkpoints above `number`, the last block of the old fork that stands, and lower every watch to it.

    Also watches that the tick knew nothing of: an address shown at the old fork's head may be paid on the new one in
    a block with a lower number.
    """
    tx.run("delete from checkpoints where network = ? and number > ?", (name, number))
    for table in ("watches", "floors"):
        tx.run(f"update {table} set floor = ? where network = ? and floor > ?", (number, name, number))


# Watches, floors, disputes


def add_watch(tx: Tx, record: WatchRecord) -> None:
    tx.run(f"{WATCH.insert('watches')} on conflict do nothing", WATCH.encode(record))


def watch(tx: Tx, name: str, address: str) -> WatchRecord | None:
    row = tx.row(f"select {WATCH.sql} from watches where network = ? and address = ?", (name, address))
    return None if row is None else WATCH.decode(row)


def open_watches(tx: Tx, name: str, *, seen_until: datetime, horizon_number: int) -> list[WatchRecord]:
    """The addresses to look at: those whose time is not over, and those whose money may still move.

    Time is over once the chain was seen past it: an outage must not end a watch. A row above `horizon_number` may
    still be reorganised away.
    """
    found = tx.rows(
        f"select {WATCH.sql} from watches where network = :network and address in ("
        "  select address from watches where network = :network and watch_until is null"
        "  union select address from watches where network = :network and watch_until >= :seen_until"
        "  union select address from deposits where network = :network"
        "    and stage in ('detected', 'confirming', 'confirmed')"
        "  union select address from deposits where network = :network and stage = 'settled' and sweep_state <> 'swept'"
        "  union select address from disputes where network = :network"
        "  union select address from chain_rows where network = :network and voided_at is null"
        "    and block_number > :horizon_number"
        ") order by address",
        {"network": name, "seen_until": to_ms(seen_until), "horizon_number": horizon_number},
    )
    return [WATCH.decode(row) for row in found]


def is_awaiting(tx: Tx, name: str, now: datetime) -> bool:
    """Whether money may be on its way: some invoice's address is watched on the network at that moment."""
    row = tx.row(
        "select 1 from watches where network = ? and watch_until >= ? and invoice_id is not null limit 1",
        (name, to_ms(now)),
    )
    return row is not None


def as_watch(record: WatchRecord, methods: tuple[str, ...]) -> Watch:
    return Watch(record.address, record.floor, record.depth, methods)


def floors(tx: Tx, name: str) -> dict[Pair, int]:
    found = tx.rows("select address, method, floor from floors where network = ?", (name,))
    return {Pair(address, method): floor for address, method, floor in found}


def lower_floors(tx: Tx, name: str, lowered: Mapping[Pair, int]) -> None:
    """Remember the floors that are below their watch's own."""
    tx.run_many(
        "insert into floors (network, address, method, floor) "
        "select w.network, w.address, :method, :floor from watches w "
        "where w.network = :network and w.address = :address and w.floor > :floor "
        "on conflict do update set floor = min(floor, excluded.floor)",
        [
            {"network": name, "address": pair.address, "method": pair.method, "floor": floor}
            for pair, floor in lowered.items()
        ],
    )


def disputes(tx: Tx, name: str) -> dict[Pair, Dispute]:
    found = tx.rows(
        "select address, method, since_number, since_hash, since_at, expected, observed, reason from disputes "
        "where network = ?",
        (name,),
    )
    return {
        Pair(address, method): Dispute(
            Pair(address, method),
            BlockRef(number, hash_, from_ms(at)),
            int(expected),
            None if observed is None else int(observed),
            reason,
        )
        for address, method, number, hash_, at, expected, observed, reason in found
    }


def replace_disputes(tx: Tx, name: str, current: Iterable[Dispute]) -> None:
    tx.run("delete from disputes where network = ?", (name,))
    tx.run_many(
        "insert into disputes (network, address, method, since_number, since_hash, since_at, expected, observed, "
        "reason) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                name,
                d.pair.address,
                d.pair.method,
                d.since.number,
                d.since.hash,
                to_ms(d.since.at),
                str(d.expected_units),
                None if d.observed_units is None else str(d.observed_units),
                d.reason,
            )
            for d in current
        ],
    )


# Rows


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
    found: list[RowRecord] = []
    for address in addresses:
        found += [
            ROW.decode(row)
            for row in tx.rows(
                f"select {ROW.sql} from chain_rows where network = ? and address = ? and voided_at is null",
                (name, address),
            )
        ]
    return sorted(found, key=lambda record: record.id)


def rows_of_tx(tx: Tx, name: str, tx_hash: str) -> list[RowRecord]:
    """Every row that one transaction made, void ones included, oldest first."""
    found = tx.rows(f"select {ROW.sql} from chain_rows where network = ? and tx_hash = ? order by id", (name, tx_hash))
    return [ROW.decode(row) for row in found]


def spendable_units(tx: Tx, name: str, address: str, method: str) -> int:
    """What surely lies on a pair: all that is final there, less all that left."""
    found = tx.rows(
        f"select {ROW.sql} from chain_rows where network = ? and address = ? and method = ? "
        "and voided_at is null and (kind <> 'in' or confirmed_at is not null)",
        (name, address, method),
    )
    return sum(ROW.decode(row).as_row().effect for row in found)


def booked_units(tx: Tx, name: str, address: str, method: str) -> int:
    """What a pair holds by all its rows, final or not."""
    return sum(record.as_row().effect for record in standing_rows(tx, name, [address]) if record.method == method)


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
