"""Money on our addresses becoming deposits: whose it is, what it is worth, how far it has come."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from paynode.domain import deposit as machine
from paynode.domain.chain import Pair, RowSource, confirmations, time_judged
from paynode.domain.deposit import Stage
from paynode.domain.errors import RateUnavailable
from paynode.domain.events import EventType
from paynode.domain.invoice import Type, is_too_small
from paynode.domain.quote import quote_for, worth_at_rate, worth_in_quote
from paynode.domain.sweep import DepositSweep, Wait
from paynode.operations import collecting, held, loading
from paynode.operations.announcing import announce
from paynode.operations.carousel import attribute
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import InvoiceFacts
from paynode.operations.pricing import rate_of
from paynode.operations.views.deposit import deposit as deposit_view
from paynode.store import chain, chain_rows, deposits, sweeps, watches
from paynode.store.chain_rows import RowRecord
from paynode.store.database import Tx
from paynode.store.deposits import DepositRecord, PlacedDeposit
from paynode.store.records import Units


@dataclass(slots=True)
class Touched:
    """The invoices that a tick concerns, each with what is to be told of it before it is judged again."""

    events: dict[str, list[EventType]] = field(default_factory=dict)

    def add(self, invoice_id: str, *events: EventType) -> None:
        self.events.setdefault(invoice_id, []).extend(events)


def arrived(tx: Tx, catalogue: Catalogue, row: RowRecord, touched: Touched, now: datetime) -> None:
    """A new transfer to one of our addresses: make it a deposit. Coins sent to a gas account are the owner's."""
    watch = watches.watch(tx, row.network, row.address)
    assert watch is not None, "rows are only of addresses we watch"
    if watch.invoice_id is None:
        return
    holder, loaded = attribute(tx, catalogue, row, catalogue.family(row.network))
    replaced = _replaced(tx, row)
    if replaced is not None and replaced.invoice_id is not None:  # it counts as before its block left
        loaded = loading.facts(tx, replaced.invoice_id)
    seen_at = _seen_at(row, holder)
    if replaced is not None:
        seen_at = min(seen_at, replaced.seen_at)
    is_in_time = loaded is None or not is_late(loaded, seen_at)
    verdict, is_held = held.first_verdict(catalogue, row.network, replaced)
    record = DepositRecord(
        id=deposits.new_deposit_id(tx, now),
        row_id=row.id,
        store_id=watch.store_id,
        invoice_id=None if loaded is None else loaded.record.id,
        address_invoice_id=holder.record.id,
        network=row.network,
        address=row.address,
        method=row.method,
        units=row.credited,
        stage=Stage.DETECTED,
        worth=None,
        seen_at=seen_at,
        is_late=not is_in_time,
        replaces=None if replaced is None else replaced.id,
        sweep_state=DepositSweep.UNSWEPT,
        sweep_wait=Wait.NOT_FINAL,
        detected_at=now,
        confirmed_at=None,
        lost=Units(0),
        withdrawn=Units(0),
        screening=verdict,
        is_held=is_held,
    )
    if loaded is not None:
        record = valued(tx, catalogue, loaded, record)
    deposits.add(tx, record)
    held.begin(tx, record, replaced, now)
    if replaced is not None:  # the same payment: what collects it does so wherever it was mined
        sweeps.take_over(tx, record.id, replaced.id)
        collecting.settle_pair(tx, catalogue, record.network, record.address, record.method)
        record = collecting.judge_deposit(tx, record)
    placed = PlacedDeposit(record, row)
    if loaded is None:
        tell_deposit(tx, catalogue, EventType.DEPOSIT_UNATTRIBUTED, placed, None, now)
        return
    if not is_in_time:
        tell_deposit(tx, catalogue, EventType.DEPOSIT_LATE, placed, loaded, now)
    touched.add(loaded.record.id, EventType.INVOICE_DEPOSIT_DETECTED)


def _seen_at(row: RowRecord, holder: InvoiceFacts) -> datetime:
    """The moment that judges a transfer; where nothing tells since when it may be there, since its invoice is."""
    is_open_below = row.source is RowSource.UNPLACED and row.earliest_at is None
    return min(holder.record.created_at, row.block_at) if is_open_below else time_judged(row.as_row())


def left(tx: Tx, catalogue: Catalogue, row: RowRecord, touched: Touched, now: datetime) -> bool:
    """A transfer left the chain: its deposit, if it was one, is orphaned; tells whether it was."""
    record = deposits.of_row(tx, row.id)
    if record is None:
        return False
    deposits.save(tx, replace(record, stage=Stage.ORPHANED, sweep_wait=None))
    held.book_each(tx, [record], now)
    loaded = None if record.invoice_id is None else loading.facts(tx, record.invoice_id)
    tell_deposit(tx, catalogue, EventType.DEPOSIT_ORPHANED, deposits.placed(tx, record.id), loaded, now)
    if record.invoice_id is not None:
        touched.add(record.invoice_id)
    return True


def became_final(tx: Tx, catalogue: Catalogue, row: RowRecord) -> bool:
    """A transfer is deep enough: what it credits is now known for good; tells whether it is a deposit."""
    record = deposits.of_row(tx, row.id)
    if record is None:
        return False
    if row.credited != record.units:
        known = replace(record, units=row.credited)
        if record.invoice_id is not None:
            known = valued(tx, catalogue, loading.facts(tx, record.invoice_id), known)
        deposits.save(tx, known)
    return True


def age(tx: Tx, catalogue: Catalogue, network: str, head_number: int, touched: Touched, now: datetime) -> None:
    """Judge the stage of every deposit of the network that is not final."""
    final: set[Pair] = set()
    for placed in deposits.unfinished(tx, network):
        if judge_stage(tx, catalogue, placed, head_number, touched, now):
            final.add(Pair(placed.deposit.address, placed.deposit.method))
    for pair in sorted(final):
        changed = collecting.settle_pair(tx, catalogue, network, pair.address, pair.method)
        held.book_each(tx, changed, now)
        for collected in changed:
            if collected.invoice_id is not None:
                touched.add(collected.invoice_id)


def judge_stage(
    tx: Tx, catalogue: Catalogue, placed: PlacedDeposit, head_number: int, touched: Touched, now: datetime
) -> bool:
    """Judge the stage of one deposit, and its worth if none is known yet; tells whether it became final."""
    record = placed.deposit
    facts = machine.Facts(
        is_void=placed.row.voided_at is not None,
        is_verified=placed.row.confirmed_at is not None,
        confirmations=confirmations(placed.row.block_number, head_number),
        is_held=record.is_held and record.stage is not Stage.SETTLED,
    )
    stage = machine.judge(facts)
    is_newly_final = stage in machine.FINAL and record.stage not in machine.FINAL
    changed = replace(record, stage=stage)
    if is_newly_final:
        changed = replace(changed, confirmed_at=now)
    if stage is not record.stage and stage in machine.FINAL:
        changed = replace(changed, sweep_wait=Wait.HELD if record.is_held else None)
    if record.invoice_id is not None and (is_newly_final or record.worth is None):
        loaded = loading.facts(tx, record.invoice_id)
        if record.worth is None or loaded.record.type is Type.REUSABLE:
            changed = valued(tx, catalogue, loaded, changed)
    if changed == record:
        return False
    assert stage is record.stage or stage in machine.NEXT[record.stage], "a deposit's stages follow its row"
    deposits.save(tx, changed)
    held.book_each(tx, [changed] if is_newly_final else [], now)
    if record.invoice_id is not None:
        does_count_now = stage is Stage.SETTLED and record.stage is not Stage.SETTLED
        touched.add(record.invoice_id, *([EventType.INVOICE_DEPOSIT_CONFIRMED] if does_count_now else []))
    return is_newly_final


def tell_deposit(
    tx: Tx,
    catalogue: Catalogue,
    kind: EventType,
    placed: PlacedDeposit,
    loaded: InvoiceFacts | None,
    now: datetime,
) -> None:
    """Announce something about one deposit, in its invoice's sequence if it has an invoice."""
    record = placed.deposit
    head = chain.network(tx, record.network).head_number or 0
    announce(
        tx,
        catalogue,
        kind,
        subject=record.invoice_id or record.id,
        store_id=record.store_id,
        view=deposit_view(catalogue, placed, loaded, head),
        now=now,
    )


def is_late(loaded: InvoiceFacts, seen_at: datetime) -> bool:
    """On time is a chain fact: in a block not later than the deadline (and not after a cancellation)."""
    ends = (loaded.record.expires_at, loaded.record.cancelled_at)
    return any(end is not None and seen_at > end for end in ends)


def valued(tx: Tx, catalogue: Catalogue, loaded: InvoiceFacts, record: DepositRecord) -> DepositRecord:
    """The deposit with what it is worth to this invoice, as far as that is known."""
    known = _worth(tx, catalogue, loaded, record)
    return replace(record, worth=known, is_too_small=known is not None and is_too_small(loaded.machine, known))


def _worth(tx: Tx, catalogue: Catalogue, loaded: InvoiceFacts, record: DepositRecord) -> Fraction | None:
    """What the deposit is worth to this invoice; None while no rate of its moment is known.

    Outside of a quote it is worth a rate: in a coin that the invoice does not offer, without an amount to quote, or
    after the quote lapsed. That is the rate of its block's time; of a reusable invoice, of the time it was final.
    """
    quote = quote_for(loaded.quotes.get(record.method, ()), record.seen_at)
    if quote is not None:
        assert loaded.price is not None, "only a price is quoted"
        return worth_in_quote(record.units, quote, loaded.price)
    asset = catalogue.assets.get(record.method)
    if asset is None:  # it left the config; worth nothing until it is back
        return None
    moment = record.seen_at
    if loaded.record.type is Type.REUSABLE and record.confirmed_at is not None:
        moment = record.confirmed_at
    try:
        rate = rate_of(tx, loaded, asset, moment)
    except RateUnavailable:
        return None
    is_exchanged = loaded.record.currency != asset.symbol.upper()
    return worth_at_rate(record.units, rate, asset, loaded.record.markup_percent if is_exchanged else Decimal(0))


def _replaced(tx: Tx, row: RowRecord) -> DepositRecord | None:
    """The orphaned deposit of the same payment: the same transaction, address and asset, in a block that left."""
    if not row.tx_hash:
        return None
    void_rows: Sequence[RowRecord] = [
        other
        for other in chain_rows.rows_of_tx(tx, row.network, row.tx_hash)
        if other.id != row.id
        and other.voided_at is not None
        and (other.kind, other.address, other.method, other.units) == (row.kind, row.address, row.method, row.units)
    ]
    for other in reversed(void_rows):
        record = deposits.of_row(tx, other.id)
        if record is not None and not deposits.is_replaced(tx, record.id):
            return record
    return None
