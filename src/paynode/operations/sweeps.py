"""Planning sweeps: what the economist lets go, and the reason on every deposit that waits."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import structlog

from paynode.domain.events import EventType
from paynode.domain.sweep import (
    ItemState,
    State,
    Wait,
    deposit_sweep,
)
from paynode.operations.catalogue import Catalogue
from paynode.operations.judging import judge_again
from paynode.operations.sweep_items import tell_sweep
from paynode.operations.weighing import Pile, Prices, Weighing, note_prices, piles, treasury_of
from paynode.store import bells, deposits, holdings, stores, sweeps
from paynode.store.database import Tx
from paynode.store.ids import new_id
from paynode.store.records import Units
from paynode.store.sweeps import ItemRecord, SweepRecord, TreasuryRecord

log = structlog.get_logger()


def note_waits(tx: Tx, found: Iterable[Pile], wait: Wait) -> None:
    """Say of each deposit why it is not collected now."""
    for pile in found:
        if wait is Wait.FAILED_BEFORE and any(each.deposit.sweep_wait is not wait for each in pile.deposits):
            log.error("sweep_parked", address=pile.address, method=pile.method, units=pile.units)
        for each in pile.deposits:
            deposits.set_sweep(tx, each.deposit, each.deposit.sweep_state, wait)


def plan_due_sweeps(tx: Tx, catalogue: Catalogue, network: str, prices: Prices, now: datetime) -> list[SweepRecord]:
    """Plan a sweep for whatever is worth collecting; every other deposit learns why it waits."""
    note_prices(tx, network, prices, now)
    chosen: dict[tuple[str, str], list[Pile]] = {}
    weighing = Weighing(tx, catalogue, network, prices, now)
    for pile in piles(tx, network):
        wait = weighing.reason_to_wait(pile)
        if wait is None:
            chosen.setdefault((pile.store_id, pile.method), []).append(pile)
        else:
            note_waits(tx, [pile], wait)
    return [queue(tx, catalogue, network, store_id, method, found, now) for (store_id, method), found in chosen.items()]


def queue(
    tx: Tx, catalogue: Catalogue, network: str, store_id: str, method: str, found: Sequence[Pile], now: datetime
) -> SweepRecord:
    """Plan one sweep of piles that nothing forbids to collect."""
    treasury = treasury_of(tx, catalogue, network, store_id)
    assert treasury is not None, "the obstacle was asked first"
    assert not is_own_address(tx, catalogue, network, treasury), "start-up refuses a treasury of our own"
    record = SweepRecord(new_id("swp", now), store_id, network, method, treasury.address, State.QUEUED, now)
    sweeps.add(tx, record)
    for pile in found:
        item = ItemRecord(0, record.id, network, pile.address, method, Units(pile.units), ItemState.QUEUED)
        sweeps.add_item(tx, item, {each.deposit.id: each.units for each in pile.deposits})
        for each in pile.deposits:
            deposits.set_sweep(tx, each.deposit, deposit_sweep(ItemState.QUEUED), None)
    concerned = {each.deposit.invoice_id for pile in found for each in pile.deposits}
    for invoice_id in sorted(each for each in concerned if each is not None):
        judge_again(tx, catalogue, invoice_id, now)
    tell_sweep(tx, catalogue, EventType.SWEEP_QUEUED, record, now)
    tx.ring(bells.OUTGOING)
    return record


def is_own_address(tx: Tx, catalogue: Catalogue, network: str, treasury: TreasuryRecord) -> bool:
    """Whether a treasury is one of our own addresses, watched on this network or not: money would go round for ever."""
    family = catalogue.family(network)
    is_issued = holdings.address(tx, family, treasury.address) is not None
    return is_issued or treasury.address in stores.gas_addresses(tx, family)
