"""Deposits: transfers to our addresses as merchants see them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Any

from paynode.domain.deposit import Stage
from paynode.domain.screening import Verdict
from paynode.domain.sweep import DepositSweep, Wait
from paynode.store import deposit_totals
from paynode.store.chain_rows import ROW, RowRecord
from paynode.store.database import Tx
from paynode.store.deposit_totals import Total
from paynode.store.ids import next_id
from paynode.store.records import Columns, Units
from paynode.store.screening import SCREENING, ScreeningRecord


@dataclass(frozen=True, slots=True)
class DepositRecord:
    id: str
    row_id: int
    store_id: str
    invoice_id: str | None  # None: unattributed
    address_invoice_id: str  # whose address it came to
    network: str
    address: str
    method: str
    units: Units
    stage: Stage
    worth: Fraction | None
    seen_at: datetime
    is_late: bool
    replaces: str | None
    sweep_state: DepositSweep
    sweep_wait: Wait | None
    detected_at: datetime
    confirmed_at: datetime | None
    lost: Units  # gone without us
    withdrawn: Units  # taken by the merchant with a wallet
    screening: Verdict = Verdict.NOT_SCREENED
    is_held: bool = False  # kept back by screening
    is_too_small: bool = False  # less than its reusable invoice takes


DEPOSIT = Columns(DepositRecord)
PLACED_COLUMNS = f"{DEPOSIT.of('d')}, {ROW.of('r')}, {SCREENING.of('a')}"
PLACED_SOURCE = "deposits d join chain_rows r on r.id = d.row_id left join screenings a on a.deposit_id = d.id"
_JOINED = f"select {PLACED_COLUMNS} from {PLACED_SOURCE}"


@dataclass(frozen=True, slots=True)
class PlacedDeposit:
    """A deposit with the row it rests on."""

    deposit: DepositRecord
    row: RowRecord
    screening: ScreeningRecord | None = None  # None: nobody was to be asked about its senders


def placed_of_row(row: tuple[Any, ...]) -> PlacedDeposit:
    """What `PLACED_COLUMNS` of `PLACED_SOURCE` hold."""
    first, second = len(DEPOSIT.names), len(DEPOSIT.names) + len(ROW.names)
    asked = row[second:]
    return PlacedDeposit(
        DEPOSIT.decode(row[:first]),
        ROW.decode(row[first:second]),
        None if asked[0] is None else SCREENING.decode(asked),
    )


def _placed(found: list[tuple[Any, ...]]) -> list[PlacedDeposit]:
    return [placed_of_row(row) for row in found]


def new_deposit_id(tx: Tx, now: datetime) -> str:
    """An identifier after every other deposit's, so that lists are in the order in which they were found."""
    row = tx.row("select max(id) from deposits")
    return next_id("dep", now, None if row is None else row[0])


def add(tx: Tx, record: DepositRecord) -> None:
    tx.run(DEPOSIT.insert("deposits"), DEPOSIT.encode(record))
    deposit_totals.move(tx, None, _counted(record))


def save(tx: Tx, record: DepositRecord) -> None:
    before = placed(tx, record.id).deposit
    tx.run(DEPOSIT.update("deposits", "id"), DEPOSIT.encode(record))
    deposit_totals.move(tx, _counted(before), _counted(record))


def _counted(record: DepositRecord) -> Total | None:
    """What a deposit is of its invoice's totals."""
    if record.invoice_id is None:
        return None
    return Total(
        invoice_id=record.invoice_id,
        stage=record.stage,
        is_late=record.is_late,
        is_held=record.is_held,
        is_too_small=record.is_too_small,
        screening=record.screening,
        sweep_state=record.sweep_state,
        denominator=Units(0 if record.worth is None else record.worth.denominator),
        count=1,
        numerator=Units(0 if record.worth is None else record.worth.numerator),
    )


def placed(tx: Tx, deposit_id: str) -> PlacedDeposit:
    """One that is known to exist."""
    found = by_id(tx, deposit_id)
    assert found is not None, "deposits are never deleted"
    return found


def by_id(tx: Tx, deposit_id: str) -> PlacedDeposit | None:
    found = _placed(tx.rows(f"{_JOINED} where d.id = ?", (deposit_id,)))
    return found[0] if found else None


def of_invoice(tx: Tx, invoice_id: str) -> list[PlacedDeposit]:
    return _placed(tx.rows(f"{_JOINED} where d.invoice_id = ? order by d.id", (invoice_id,)))


def newest_of_invoice(tx: Tx, invoice_id: str, count: int) -> list[PlacedDeposit]:
    """The newest of an invoice's deposits, oldest first."""
    found = tx.rows(f"{_JOINED} where d.invoice_id = ? order by d.id desc limit ?", (invoice_id, count))
    return _placed(found[::-1])


def networks_of_invoice(tx: Tx, invoice_id: str) -> set[str]:
    """The networks on which an invoice has a deposit."""
    return {name for (name,) in tx.rows("select distinct network from deposits where invoice_id = ?", (invoice_id,))}


def of_row(tx: Tx, row_id: int) -> DepositRecord | None:
    row = tx.row(f"select {DEPOSIT.sql} from deposits where row_id = ?", (row_id,))
    return None if row is None else DEPOSIT.decode(row)


def of_tx(tx: Tx, network: str, address: str, tx_hash: str) -> list[DepositRecord]:
    """What one transaction brought to an address, orphaned or not, oldest first."""
    found = tx.rows(
        f"select {DEPOSIT.of('d')} from chain_rows r join deposits d on d.row_id = r.id "
        "where r.network = ? and r.tx_hash = ? and r.address = ? order by d.id",
        (network, tx_hash, address),
    )
    return [DEPOSIT.decode(row) for row in found]


def is_replaced(tx: Tx, deposit_id: str) -> bool:
    """Whether a later deposit already names this one as the one it replaces."""
    return tx.row("select 1 from deposits where replaces = ?", (deposit_id,)) is not None


def unfinished(tx: Tx, network: str) -> list[PlacedDeposit]:
    """Deposits of a network that still deepen, and those of an invoice whose worth no rate could tell yet."""
    still_deepen = f"{_JOINED} where d.network = ? and d.stage in ('detected', 'confirming')"
    unpriced = (
        f"{_JOINED} where d.network = ? and d.stage in ('confirmed', 'settled') and d.worth is null "
        "and d.invoice_id is not null"
    )
    return _placed([*tx.rows(still_deepen, (network,)), *tx.rows(unpriced, (network,))])


def is_any_unfinished(tx: Tx, network: str) -> bool:
    """Whether a deposit of the network is not final yet."""
    sql = "select 1 from deposits where network = ? and stage in ('detected', 'confirming') limit 1"
    return tx.row(sql, (network,)) is not None


def is_any_deepening(tx: Tx, network: str) -> bool:
    """The same, of those that are not past twice the depth they need: by then whoever can prove them has."""
    row = tx.row(
        "select 1 from deposits d join chain_rows r on r.id = d.row_id "
        "join watches w on w.network = d.network and w.address = d.address "
        "join networks n on n.network = d.network "
        "where d.network = ? and d.stage in ('detected', 'confirming') "
        "and n.head_number <= r.block_number + 2 * w.depth limit 1",
        (network,),
    )
    return row is not None


@dataclass(frozen=True, slots=True)
class WaitingDeposit:
    """A final deposit that no sweep has taken, or not all of it."""

    deposit: DepositRecord
    units: int  # what is left of it


_LYING = (  # what is kept back too
    "d.stage in ('confirmed', 'settled') and d.sweep_state <> 'swept' and d.sweep_state in ('unswept', 'failed') "
    f"and d.sweep_wait is not '{Wait.LOST}'"
)
_TAKEN = (  # by items that ended well
    "select d.id, s.units from deposits d join sweep_deposits s on s.deposit_id = d.id "
    f"join sweep_items i on i.id = s.item_id where {_LYING} and i.state = 'completed'"
)


def waiting_for_sweep(tx: Tx, network: str) -> list[WaitingDeposit]:
    """What of a network no sweep has taken, oldest first."""
    return _lying(tx, "d.network = ? and d.stage = 'settled' and d.is_held = 0", (network,))


def waiting_of_pair(tx: Tx, network: str, address: str, method: str) -> list[WaitingDeposit]:
    """The same of one pair."""
    of_pair = "d.network = ? and d.address = ? and d.method = ? and d.stage = 'settled' and d.is_held = 0"
    return _lying(tx, of_pair, (network, address, method))


def uncollected(tx: Tx, network: str, store_id: str, count: int) -> list[DepositRecord]:
    """Final deposits of a store that are not collected, oldest first, at most `count`."""
    found = tx.rows(
        f"select {DEPOSIT.of('d')} from deposits d indexed by deposits_unswept where d.network = ? "
        "and d.stage in ('confirmed', 'settled') and d.sweep_state <> 'swept' and d.store_id = ? order by d.id limit ?",
        (network, store_id, count),
    )
    return [DEPOSIT.decode(row) for row in found]


def lying_units(tx: Tx, network: str, address: str, method: str) -> int:
    """What lies on a pair in final deposits that no sweep has taken, those that are kept back among them."""
    of_pair = "d.network = ? and d.address = ? and d.method = ?"
    return sum(each.units for each in _lying(tx, of_pair, (network, address, method)))


def held_units(tx: Tx, network: str, address: str, method: str) -> int:
    """What screening keeps back of a pair, final or not."""
    found = tx.rows(
        "select units, lost, withdrawn from deposits where row_id in (select id from chain_rows "
        "indexed by chain_rows_of_address where network = ? and address = ? and method = ? and voided_at is null) "
        "and is_held = 1 and sweep_state in ('unswept', 'failed')",
        (network, address, method),
    )
    return sum(int(units) - int(lost) - int(withdrawn) for units, lost, withdrawn in found)


def _lying(tx: Tx, where: str, values: tuple[str, ...]) -> list[WaitingDeposit]:
    taken = Counter[str]()
    for deposit_id, units in tx.rows(f"{_TAKEN} and {where}", values):
        taken[deposit_id] += int(units)
    found = tx.rows(f"select {DEPOSIT.of('d')} from deposits d where {_LYING} and {where} order by d.id", values)
    records = [DEPOSIT.decode(row) for row in found]
    return [WaitingDeposit(each, each.units - each.lost - each.withdrawn - taken[each.id]) for each in records]


def taken(tx: Tx) -> Iterator[tuple[str, str, int, int]]:
    """Of every deposit that stands: its id, its method, its units, and how many of them are collected or gone."""
    collected = Counter[str]()
    for deposit_id, units in tx.rows(
        "select s.deposit_id, s.units from sweep_deposits s join sweep_items i on i.id = s.item_id "
        "where i.state = 'completed'"
    ):
        collected[deposit_id] += int(units)
    for id_, method, units, lost, withdrawn in tx.rows(
        "select id, method, units, lost, withdrawn from deposits where stage <> 'orphaned'"
    ):
        yield id_, method, int(units), collected[id_] + int(lost) + int(withdrawn)


_OF_PAIR = "d.network = ? and d.address = ? and d.method = ? and d.stage in ('confirmed', 'settled')"
_BY_BLOCK = "order by r.block_number, r.id"


def final_of_pair(tx: Tx, network: str, address: str, method: str) -> list[PlacedDeposit]:
    """Every final deposit of a pair, in the order of the chain."""
    rows = (
        "select id from chain_rows indexed by chain_rows_of_address "
        "where network = ? and address = ? and method = ? and voided_at is null"
    )
    sql = f"{_JOINED} where d.row_id in ({rows}) and d.stage in ('confirmed', 'settled') {_BY_BLOCK}"
    return _placed(tx.rows(sql, (network, address, method)))


def uncollected_of_pair(tx: Tx, network: str, address: str, method: str) -> list[PlacedDeposit]:
    """The final deposits of a pair that are not collected, in the order of the chain."""
    return _placed(
        tx.rows(f"{_JOINED} where {_OF_PAIR} and d.sweep_state <> 'swept' {_BY_BLOCK}", (network, address, method))
    )


def gone_of_pair(tx: Tx, network: str, address: str, method: str) -> list[PlacedDeposit]:
    """The final deposits of a pair of which something is gone without us, or that brought nothing."""
    gone = "(d.lost <> '0' or d.withdrawn <> '0' or d.units = '0')"
    return _placed(tx.rows(f"{_JOINED} where {_OF_PAIR} and {gone} {_BY_BLOCK}", (network, address, method)))


def placed_of_sweep_item(tx: Tx, item_id: int) -> list[PlacedDeposit]:
    """The deposits that an item collects, those that the chain took back included, in the order of the chain."""
    found = tx.rows(
        f"{_JOINED} join sweep_deposits s on s.deposit_id = d.id where s.item_id = ? order by r.block_number, r.id",
        (item_id,),
    )
    return _placed(found)


def of_sweep_item(tx: Tx, item_id: int) -> list[DepositRecord]:
    found = tx.rows(
        f"select {DEPOSIT.of('d')} from sweep_deposits s join deposits d on d.id = s.deposit_id where s.item_id = ? "
        "order by d.id",
        (item_id,),
    )
    return [DEPOSIT.decode(row) for row in found]


def set_sweep(tx: Tx, record: DepositRecord, state: DepositSweep, wait: Wait | None) -> DepositRecord:
    """Save where the collection of a deposit stands; returns the deposit as it is then."""
    changed = replace(record, sweep_state=state, sweep_wait=wait)
    if changed != record:
        save(tx, changed)
    return changed


def set_gone(tx: Tx, record: DepositRecord, *, lost: Units, withdrawn: Units) -> DepositRecord:
    """Save what of a deposit is gone without us; returns the deposit as it is then."""
    changed = replace(record, lost=lost, withdrawn=withdrawn)
    if changed != record:
        save(tx, changed)
    return changed
