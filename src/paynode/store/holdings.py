"""Deposit addresses, and which invoice has which, had it before, and since which block."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from paynode.domain.addresses import Start
from paynode.store.database import Tx
from paynode.store.records import Columns
from paynode.store.times import from_ms, optional_ms, to_ms


@dataclass(frozen=True, slots=True)
class AddressRecord:
    """An address of ours, by its place in the key tree."""

    address: str
    family: str
    account: int
    hd_index: int
    free_from: datetime | None = None  # from when to ask whether it may serve again; None: never


@dataclass(frozen=True, slots=True)
class HoldingRecord:
    """One invoice's address in one chain family."""

    family: str
    address: str
    turn: int  # how many invoices had it before
    invoice_id: str
    issued_at: datetime
    passed_on_at: datetime | None = None  # when the next invoice got it; None: this one has it


ADDRESS = Columns(AddressRecord)
HOLDING = Columns(HoldingRecord)
_HOLDINGS = (
    "select h.family, h.address, h.turn, h.invoice_id, h.issued_at, (select n.issued_at from holdings n "
    "where n.family = h.family and n.address = h.address and n.turn = h.turn + 1) from holdings h"
)


def add_address(tx: Tx, record: AddressRecord) -> None:
    tx.run(ADDRESS.insert("addresses"), ADDRESS.encode(record))


def address(tx: Tx, family: str, text: str) -> AddressRecord | None:
    row = tx.row(f"select {ADDRESS.sql} from addresses where family = ? and address = ?", (family, text))
    return None if row is None else ADDRESS.decode(row)


def set_free_from(tx: Tx, family: str, text: str, at: datetime | None) -> None:
    tx.run("update addresses set free_from = ? where family = ? and address = ?", (optional_ms(at), family, text))


def rested(tx: Tx, family: str, account: int, now: datetime, limit: int) -> list[AddressRecord]:
    """Addresses whose rest is over, the longest first."""
    found = tx.rows(
        f"select {ADDRESS.sql} from addresses where family = ? and account = ? and free_from <= ? "
        "order by free_from limit ?",
        (family, account, to_ms(now), limit),
    )
    return [ADDRESS.decode(row) for row in found]


def hold(tx: Tx, record: HoldingRecord, starts: Mapping[str, Start]) -> None:
    """Give an address to an invoice, from now on; `starts` is where each network is, if others had it before."""
    tx.run(
        "insert into holdings (family, address, turn, invoice_id, issued_at) values (?, ?, ?, ?, ?)",
        (record.family, record.address, record.turn, record.invoice_id, to_ms(record.issued_at)),
    )
    tx.run_many(
        "insert into holding_starts (family, address, turn, network, number, at, shown_at) "
        "values (?, ?, ?, ?, ?, ?, ?)",
        [
            (record.family, record.address, record.turn, name, start.number, to_ms(start.at), to_ms(start.shown_at))
            for name, start in starts.items()
        ],
    )


def of_invoice(tx: Tx, invoice_id: str) -> dict[str, HoldingRecord]:
    """The invoice's addresses by family."""
    found = [HOLDING.decode(row) for row in tx.rows(f"{_HOLDINGS} where h.invoice_id = ?", (invoice_id,))]
    return {record.family: record for record in found}


def present(tx: Tx, family: str, text: str) -> HoldingRecord:
    """Who has an issued address now."""
    row = tx.row(f"{_HOLDINGS} where h.family = ? and h.address = ? order by h.turn desc limit 1", (family, text))
    assert row is not None, "an issued address was issued to somebody"
    return HOLDING.decode(row)


@dataclass(frozen=True, slots=True)
class Turn:
    """One invoice's time with an address, as one network saw it begin."""

    turn: int
    invoice_id: str
    start: Start | None  # None: the first one's, or the network was not followed then


def turns(tx: Tx, family: str, text: str, network: str) -> list[Turn]:
    """All who ever held an address, the present holder last."""
    found = tx.rows(
        "select h.turn, h.invoice_id, s.number, s.at, s.shown_at from holdings h left join holding_starts s "
        "on s.family = h.family and s.address = h.address and s.turn = h.turn and s.network = ? "
        "where h.family = ? and h.address = ? order by h.turn",
        (network, family, text),
    )
    return [
        Turn(turn, invoice_id, None if number is None else Start(number, from_ms(at), from_ms(shown_at)))
        for turn, invoice_id, number, at, shown_at in found
    ]


def waiting(tx: Tx, family: str, text: str, moment: datetime) -> list[tuple[int, str]]:
    """The (turn, invoice) of every holding whose invoice may be unpaid, and is watched for late money at that moment.

    One that is paid may be unpaid by now if some of its money left the chain: it is judged again last.
    """
    found = tx.rows(
        "select h.turn, h.invoice_id from holdings h cross join invoices i on i.id = h.invoice_id "
        "where h.family = ? and h.address = ? and i.monitor_until >= ? and (i.status <> 'paid' or exists "
        "(select 1 from deposits d where d.invoice_id = i.id and d.stage = 'orphaned')) order by h.turn",
        (family, text, to_ms(moment)),
    )
    return [(turn, invoice_id) for turn, invoice_id in found]


_UNQUIET = (  # something lies there, moves there, or is looked for there
    "select 1 from deposits where address = :address and stage <> 'orphaned' and sweep_state <> 'swept' "
    "union all select 1 from watches w where w.invoice_id = :invoice_id and w.address = :address and ("
    "w.coded_at is not null "
    "or exists (select 1 from disputes d where d.network = w.network and d.address = w.address) "
    "or exists (select 1 from sweep_items s where s.network = w.network and s.address = w.address "
    "  and s.state not in ('completed', 'failed')) "
    "or exists (select 1 from outgoing o indexed by outgoing_open where o.network = w.network "
    "  and o.state in ('planned', 'signed', 'broadcast') and w.address in (o.sender, o.recipient)) "
    "or exists (select 1 from checks c where c.network = w.network and c.address = w.address) "
    "or exists (select 1 from claim_networks c where c.network = w.network and c.address = w.address "
    "  and c.next_at is not null)) limit 1"
)


def is_quiet(tx: Tx, present: HoldingRecord) -> bool:
    """Whether all that came to an address is collected for good on every network, and nothing is under way there."""
    return tx.row(_UNQUIET, {"address": present.address, "invoice_id": present.invoice_id}) is None


def networks_of(tx: Tx, present: HoldingRecord) -> set[str]:
    """The networks on which an address is or was watched, enabled or not."""
    found = tx.rows(
        "select network from watches where invoice_id = ? and address = ?", (present.invoice_id, present.address)
    )
    return {name for (name,) in found}
