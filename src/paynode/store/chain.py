"""What we know of each network: its state, and the blocks at which the books were right."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from paynode.domain.chain import BlockRef
from paynode.store.database import Tx
from paynode.store.records import Columns
from paynode.store.times import from_ms, to_ms

CHECKPOINTS_KEPT = 200  # the newest; below them the newest at which all addresses were looked at, and one an hour
CHECKPOINTS_OF_LATE = 20
CHECKPOINT_SPARSE = timedelta(hours=1)
CHECKPOINT_AGE_MAX = timedelta(days=30)


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
    agreed_until: datetime | None = None


NETWORK = Columns(NetworkRecord)


def network(tx: Tx, name: str) -> NetworkRecord:
    row = tx.row(f"select {NETWORK.sql} from networks where network = ?", (name,))
    return NetworkRecord(name) if row is None else NETWORK.decode(row)


def head_numbers(tx: Tx) -> dict[str, int]:
    """The newest block of each network that was ever seen."""
    return dict(tx.rows("select network, head_number from networks where head_number is not null"))


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


def checkpoint_at(tx: Tx, name: str, moment: datetime) -> BlockRef | None:
    """The newest checkpoint that is as old as `moment`, or older."""
    row = tx.row(
        "select number, hash, at from checkpoints where network = ? and at <= ? order by number desc limit 1",
        (name, to_ms(moment)),
    )
    return None if row is None else BlockRef(row[0], row[1], from_ms(row[2]))


def block_seconds(tx: Tx, name: str) -> float | None:
    """How far apart the network's blocks were lately; None while too little was seen."""
    found = tx.row(
        "select max(at) - min(at), max(number) - min(number) from "
        "(select number, at from checkpoints where network = ? order by number desc limit ?)",
        (name, CHECKPOINTS_OF_LATE),
    )
    return None if found is None or not found[1] else found[0] / 1000 / found[1]


def wide_numbers(tx: Tx, name: str) -> frozenset[int]:
    """The heights of the checkpoints at which all addresses were looked at."""
    found = tx.rows("select number from checkpoints where network = ? and is_wide = 1", (name,))
    return frozenset(number for (number,) in found)


def add_checkpoint(tx: Tx, name: str, block: BlockRef, *, is_wide: bool = True) -> None:
    """Make `block` the cursor, and thin out the checkpoints far below it."""
    tx.run(
        "insert or replace into checkpoints (network, number, hash, at, is_wide) values (?, ?, ?, ?, ?)",
        (name, block.number, block.hash, to_ms(block.at), is_wide),
    )
    lowest_kept = tx.row(
        "select number from checkpoints where network = ? order by number desc limit 1 offset ?",
        (name, CHECKPOINTS_KEPT - 1),
    )
    if lowest_kept is None:
        return
    tx.run(
        "delete from checkpoints where network = :network and number < :lowest_kept and (is_wide = 0 or at < :oldest)",
        {"network": name, "lowest_kept": lowest_kept[0], "oldest": to_ms(block.at - CHECKPOINT_AGE_MAX)},
    )
    wide = tx.rows(
        "select number, at from checkpoints where network = ? and number < ? order by number desc limit 2 offset 1",
        (name, lowest_kept[0]),
    )
    if len(wide) == 2 and wide[0][1] - wide[1][1] < CHECKPOINT_SPARSE // timedelta(milliseconds=1):
        tx.run("delete from checkpoints where network = ? and number = ?", (name, wide[0][0]))


def fork_at(tx: Tx, name: str, number: int) -> None:
    """Forget the checkpoints above `number`, the last block of the old fork that stands, and lower every watch to it.

    What was read above it was read on the old fork: a watch that was over by that is not.

    Also watches that the tick knew nothing of: an address shown at the old fork's head may be paid on the new one in
    a block with a lower number.
    """
    tx.run("delete from checkpoints where network = ? and number > ?", (name, number))
    tx.run(
        "update networks set agreed_until = min(agreed_until, "
        "(select max(at) from checkpoints where network = :network)) where network = :network",
        {"network": name},
    )
    tx.run(
        "update watches set is_closed = 0, unseen_since = coalesce(unseen_since, watch_until) "
        "where network = :network and is_closed = 1 and address in "
        "(select address from floors where network = :network and floor > :number)",
        {"network": name, "number": number},
    )
    for table in ("watches", "floors"):
        tx.run(f"update {table} set floor = ? where network = ? and floor > ?", (number, name, number))
