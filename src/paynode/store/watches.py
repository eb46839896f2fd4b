"""The addresses we look at on each network, how far down their money is searched, and what nothing explains yet."""

import json
from collections.abc import Iterable, Mapping, Sequence
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
    is_closed: bool = False  # its time is over and its logs were read once more: it is not looked at any longer
    coded_at: datetime | None = None  # when code was first seen there
    unseen_since: datetime | None = None  # watched again, and not looked at since then: what came has no later bound

    @property
    def unseen(self) -> datetime | None:
        """Since when the address was surely not looked at; None: it is."""
        return self.watch_until if self.is_closed and self.unseen_since is None else self.unseen_since


WATCH = Columns(WatchRecord)
FEW = 200  # addresses with five tokens each, as many balances as one look brings
_IDLE = ", ".join(f"'{wait}'" for wait in sorted(IDLE))


def add_watch(tx: Tx, record: WatchRecord) -> None:
    tx.run(f"{WATCH.insert('watches')} on conflict do nothing", WATCH.encode(record))


_AGAIN = (
    "on conflict do update set unseen_since = iif(is_closed, coalesce(unseen_since, watch_until), unseen_since), "
    "watch_until = max(watch_until, excluded.watch_until), is_closed = 0"
)


def reopen(tx: Tx, record: WatchRecord) -> None:
    """Watch an address again at least until then, or from now on if it never was on that network."""
    tx.run(f"{WATCH.insert('watches')} {_AGAIN}", WATCH.encode(record))


def pass_on(tx: Tx, record: WatchRecord) -> None:
    """The same for another invoice, which has the address now. No search begins higher than before."""
    sets = "invoice_id = excluded.invoice_id, depth = excluded.depth"
    tx.run(f"{WATCH.insert('watches')} {_AGAIN}, {sets}", WATCH.encode(record))


def extend(tx: Tx, invoice_id: str, until: datetime | None) -> None:
    """Watch the addresses of an invoice at least until then; None: for ever. Others may ask for longer."""
    tx.run(
        "update watches set watch_until = max(watch_until, ?) where invoice_id = ? and is_closed = 0",
        (None if until is None else to_ms(until), invoice_id),
    )


def seen(tx: Tx, name: str, addresses: Iterable[str]) -> None:
    """These addresses were looked at, and their balances are explained."""
    tx.run_many(
        "update watches set unseen_since = null where network = ? and address = ?",
        [(name, address) for address in addresses],
    )


def watch(tx: Tx, name: str, address: str) -> WatchRecord | None:
    row = tx.row(f"select {WATCH.sql} from watches where network = ? and address = ?", (name, address))
    return None if row is None else WATCH.decode(row)


def note_code(tx: Tx, name: str, address: str, now: datetime) -> bool:
    """Remember that there is code at the address; tells whether that is new."""
    found = watch(tx, name, address)
    if found is None or found.coded_at is not None:
        return False
    tx.run("update watches set coded_at = ? where network = ? and address = ?", (to_ms(now), name, address))
    return True


# Money may come or move there: somebody waits, sends, or looks into it. A row above `horizon_number` may still be
# reorganised away.
_FAST = (
    "  select address from watches where network = :network and is_closed = 0 and watch_until is null"
    "    and invoice_id is null"
    "  union select w.address from invoices i indexed by invoices_unfinished"
    "    cross join watches w on w.invoice_id = i.id and w.network = :network"
    "    where i.status in ('open', 'confirming') and i.is_deadline_passed = 0"
    "  union select w.address from invoices i indexed by invoices_reversed"
    "    cross join watches w on w.invoice_id = i.id and w.network = :network"
    "    where i.status = 'reversed' and w.is_closed = 0"
    "  union select address from deposits where network = :network"
    "    and stage in ('detected', 'confirming')"
    "  union select sender from outgoing indexed by outgoing_open"
    "    where network = :network and state in ('planned', 'signed', 'broadcast')"
    "  union select recipient from outgoing where network = :network and state in ('planned', 'signed', 'broadcast')"
    "  union select address from disputes where network = :network"
    "  union select address from chain_rows where network = :network and voided_at is null"
    "    and block_number > :horizon_number"
    "  union select address from checks where network = :network"
    "  union select address from claim_networks where network = :network and next_at is not null"
)
_ALL = (
    f"{_FAST}  union select address from watches indexed by watches_open where network = :network and is_closed = 0"
    "  union select address from deposits where network = :network"
    "    and stage in ('confirmed', 'settled') and sweep_state <> 'swept'"
    f"    and coalesce(sweep_wait, '') not in ({_IDLE})"
)


def open_watches(tx: Tx, name: str, *, horizon_number: int, is_wide: bool) -> list[WatchRecord]:
    """The addresses to look at: those that somebody waits for, or (wide) all whose watch is not over."""
    found = tx.rows(
        f"select {WATCH.sql} from watches where network = :network and address in ({_ALL if is_wide else _FAST}) "
        "order by address",
        {"network": name, "horizon_number": horizon_number},
    )
    return [WATCH.decode(row) for row in found]


def issued(tx: Tx, name: str, *, with_closed: bool) -> list[str]:
    """The invoices' addresses on a network."""
    found = tx.rows(
        "select address from watches where network = ? and invoice_id is not null and is_closed <= ?",
        (name, int(with_closed)),
    )
    return [address for (address,) in found]


def lower(tx: Tx, name: str, addresses: Iterable[str], floor: int) -> None:
    """Search for the money of these addresses down to that height, or lower where it was lower."""
    values = [(floor, name, address, floor) for address in addresses]
    for table in ("watches", "floors"):
        tx.run_many(f"update {table} set floor = ? where network = ? and address = ? and floor > ?", values)


def are_few(tx: Tx, name: str) -> bool:
    """Whether one call can look at all open watches."""
    found = tx.row(
        "select count(*) from (select 1 from watches where network = ? and is_closed = 0 limit ?)", (name, FEW + 1)
    )
    return found is not None and found[0] <= FEW


def is_awaiting(tx: Tx, name: str) -> bool:
    """Whether money may be on its way: an invoice that waits, or was reversed, has an address on the network."""
    row = tx.row(
        "select 1 from invoices i indexed by invoices_unfinished "
        "cross join watches w on w.invoice_id = i.id and w.network = :network "
        "where i.status in ('open', 'confirming') and i.is_deadline_passed = 0 "
        "union all select 1 from invoices i indexed by invoices_reversed "
        "cross join watches w on w.invoice_id = i.id and w.network = :network and w.is_closed = 0 "
        "where i.status = 'reversed' limit 1",
        {"network": name},
    )
    return row is not None


def close(tx: Tx, name: str, addresses: Iterable[str]) -> None:
    """Look at these addresses no longer: their time is over and all of their logs were read."""
    tx.run_many(
        "update watches set is_closed = 1 where network = ? and address = ?", [(name, address) for address in addresses]
    )


def as_watch(record: WatchRecord, methods: tuple[str, ...], dust_units: int, over_at: datetime | None) -> Watch:
    """`over_at` is a moment that the chain has passed for good."""
    is_ending = record.watch_until is not None and over_at is not None and record.watch_until < over_at
    return Watch(record.address, record.floor, record.depth, methods, dust_units, is_ending)


def floors(tx: Tx, name: str, addresses: Sequence[str]) -> dict[Pair, int]:
    """The floors of these addresses that differ from their watch's."""
    found = tx.rows(
        "select f.address, f.method, f.floor from json_each(?) a cross join floors f "
        "on f.network = ? and f.address = a.value",
        (json.dumps(addresses), name),
    )
    return {Pair(address, method): floor for address, method, floor in found}


def set_floors(tx: Tx, name: str, current: Mapping[Pair, int]) -> None:
    """How far down these pairs are searched from now on."""
    tx.run_many(
        "insert into floors (network, address, method, floor) values (?, ?, ?, ?) "
        "on conflict do update set floor = excluded.floor",
        [(name, pair.address, pair.method, floor) for pair, floor in current.items()],
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
