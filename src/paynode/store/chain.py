"""What we know of each network: its state, and the blocks at which the books were right."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from paynode.domain.chain import BlockRef
from paynode.store.database import Tx
from paynode.store.records import Columns
from paynode.store.times import from_ms, to_ms

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


NETWORK = Columns(NetworkRecord)


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
