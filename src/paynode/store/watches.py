"""The addresses we look at on each network, how far down their money is searched, and what nothing explains yet."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from paynode.domain.chain import BlockRef, Dispute, Pair, Watch
from paynode.domain.sweep import IDLE
from paynode.store.database import Tx
from paynode.store.records import Columns
from paynode.store.times import from_ms, to_ms


@dataclass(frozen=True, slots=True)
class WatchRecord:
    network: str
    address: str
    store_id: str
    invoice_id: str | None
    depth: int
    floor: int
    watch_until: datetime | None


WATCH = Columns(WatchRecord)
_IDLE = ", ".join(f"'{wait}'" for wait in sorted(IDLE))


def add_watch(tx: Tx, record: WatchRecord) -> None:
    tx.run(f"{WATCH.insert('watches')} on conflict do nothing", WATCH.encode(record))


def watch(tx: Tx, name: str, address: str) -> WatchRecord | None:
    row = tx.row(f"select {WATCH.sql} from watches where network = ? and address = ?", (name, address))
    return None if row is None else WATCH.decode(row)


def open_watches(tx: Tx, name: str, *, seen_until: datetime, horizon_number: int) -> list[WatchRecord]:
    """The addresses to look at: those whose time is not over, and those whose money may still move.

    Time is over once the chain was seen past it: an outage must not end a watch. A row above `horizon_number` may
    still be reorganised away. What waits for nothing that the chain does to its address is not looked at for ever.
    """
    found = tx.rows(
        f"select {WATCH.sql} from watches where network = :network and address in ("
        "  select address from watches where network = :network and watch_until is null"
        "  union select address from watches where network = :network and watch_until >= :seen_until"
        "  union select address from deposits where network = :network"
        "    and stage in ('detected', 'confirming', 'confirmed')"
        "  union select address from deposits where network = :network and stage = 'settled' and sweep_state <> 'swept'"
        f"    and coalesce(sweep_wait, '') not in ({_IDLE})"
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


def as_watch(record: WatchRecord, methods: tuple[str, ...], dust_units: int) -> Watch:
    return Watch(record.address, record.floor, record.depth, methods, dust_units)


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
