"""Screening: how deposits came by their verdicts, what is to be asked, and the lists of addresses."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from paynode.store.database import Tx
from paynode.store.records import Columns
from paynode.store.times import to_ms


@dataclass(frozen=True, slots=True)
class ScreeningRecord:
    deposit_id: str
    source: str = ""
    reason: str | None = None
    at: datetime | None = None
    ask_at: datetime | None = None
    failed_count: int = 0
    released_at: datetime | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class ListRecord:
    name: str
    hash: bytes = b""
    address_count: int = 0
    as_of: datetime | None = None
    problem: str | None = None


SCREENING = Columns(ScreeningRecord)
LIST = Columns(ListRecord)


def save(tx: Tx, record: ScreeningRecord) -> None:
    sets = ", ".join(f"{name} = excluded.{name}" for name in SCREENING.names)
    tx.run(f"{SCREENING.insert('screenings')} on conflict do update set {sets}", SCREENING.encode(record))


def of_deposit(tx: Tx, deposit_id: str) -> ScreeningRecord | None:
    row = tx.row(f"select {SCREENING.sql} from screenings where deposit_id = ?", (deposit_id,))
    return None if row is None else SCREENING.decode(row)


def due(tx: Tx, now: datetime, count: int) -> list[str]:
    """The deposits to ask about now, at most `count`, those that wait longest first."""
    found = tx.rows(
        "select deposit_id from screenings where ask_at <= ? order by ask_at, deposit_id limit ?", (to_ms(now), count)
    )
    return [deposit_id for (deposit_id,) in found]


_UNCOLLECTED = (
    "d.id in (select id from deposits indexed by deposits_unfinished where stage in ('detected', 'confirming') "
    "union all select id from deposits indexed by deposits_unswept "
    "where stage in ('confirmed', 'settled') and sweep_state <> 'swept')"
)


def ask_about_unscreened(tx: Tx, now: datetime) -> None:
    """Ask again about all that could not be screened and is not collected yet."""
    tx.run(
        "insert into screenings (deposit_id, source, ask_at, failed_count) "
        f"select d.id, '', :now, 0 from deposits d where d.screening = 'not_screened' and {_UNCOLLECTED} "
        "on conflict do update set ask_at = :now",
        {"now": to_ms(now)},
    )


def uncollected_hits(tx: Tx) -> list[str]:
    """Deposits that are not collected yet and whose sender is on a list, though they are not known for it."""
    on_list = "in (select address from screening_addresses)"
    found = tx.rows(
        "select d.id from deposits d join chain_rows r on r.id = d.row_id "
        f"where {_UNCOLLECTED} and d.screening in ('pending', 'passed', 'not_screened') "
        f"and (r.sender {on_list} or r.tx_sender {on_list}) order by d.id"
    )
    return [deposit_id for (deposit_id,) in found]


def lists(tx: Tx) -> list[ListRecord]:
    return [LIST.decode(row) for row in tx.rows(f"select {LIST.sql} from screening_lists order by name")]


def list_named(tx: Tx, name: str) -> ListRecord | None:
    row = tx.row(f"select {LIST.sql} from screening_lists where name = ?", (name,))
    return None if row is None else LIST.decode(row)


def save_list(tx: Tx, record: ListRecord) -> None:
    sets = ", ".join(f"{name} = excluded.{name}" for name in LIST.names)
    tx.run(f"{LIST.insert('screening_lists')} on conflict do update set {sets}", LIST.encode(record))


def replace_addresses(tx: Tx, name: str, addresses: Iterable[str]) -> None:
    """Let a list hold these addresses, and no others."""
    tx.run("delete from screening_addresses where list = ?", (name,))
    tx.run_many(
        "insert into screening_addresses (address, list) values (?, ?)", [(address, name) for address in addresses]
    )


def forget_lists(tx: Tx, kept: Collection[str]) -> None:
    """Forget every list but those `kept`."""
    for record in lists(tx):
        if record.name not in kept:
            tx.run("delete from screening_addresses where list = ?", (record.name,))
            tx.run("delete from screening_lists where name = ?", (record.name,))


def hits(tx: Tx, addresses: Sequence[str]) -> list[tuple[str, str]]:
    """Those of these addresses that a list has, each with the list's name."""
    marks = ", ".join("?" * len(addresses))
    sql = f"select address, list from screening_addresses where address in ({marks}) order by list, address"
    return [(address, name) for address, name in tx.rows(sql, tuple(addresses))]
