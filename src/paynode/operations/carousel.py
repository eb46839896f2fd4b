"""The carousel: an address that has served is given to the next invoice; and whose the money is that comes to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from paynode.config import Family
from paynode.domain.addresses import (
    ANYTHING,
    REST_MIN,
    Holding,
    Span,
    Start,
    asked,
    attributed,
    holder,
    is_mistakable,
    start_now,
)
from paynode.domain.invoice import CLOSED, Status, Tolerance, Type, judge, seen_worth
from paynode.operations import loading
from paynode.operations.catalogue import Catalogue
from paynode.operations.loading import InvoiceFacts
from paynode.store import chain, holdings
from paynode.store.chain_rows import RowRecord
from paynode.store.database import Tx
from paynode.store.holdings import HoldingRecord

CANDIDATES_MAX = 20  # looked at for one invoice; then it gets a fresh address
SETTLED = CLOSED - {Status.REVERSED}  # what the chain took back may return


@dataclass(frozen=True, slots=True)
class Fit:
    """An address that may serve the next invoice."""

    last: HoldingRecord
    waiting: Sequence[InvoiceFacts]  # those who may still be paid late on it
    starts: Mapping[str, Start]  # where each network of its family is now


def fit_address(
    tx: Tx, catalogue: Catalogue, loaded: InvoiceFacts, family: Family, account: int, now: datetime
) -> Fit | None:
    """The address that has rested longest and fits the invoice; None: there is none, or its chains are out of sight.

    What does not fit now is asked again later, so that no number of such addresses makes this slow.
    """
    starts = _starts(tx, catalogue, family, now)
    if not starts:
        return None
    moment = min(now, *(start.shown_at for start in starts.values()))
    for candidate in holdings.rested(tx, family, account, moment, CANDIDATES_MAX):
        last = holdings.present(tx, family, candidate.address)
        again_at = _unfit_until(tx, last, starts, moment)
        if again_at is not None:
            holdings.set_free_from(tx, family, candidate.address, again_at)
            continue
        waiting = _waiting(tx, family, last.address, moment, last.turn + 1)
        if not any(is_mistakable(_asks(catalogue, loaded), _asks(catalogue, each)) for each in waiting):
            return Fit(last, waiting, starts)
        holdings.set_free_from(tx, family, candidate.address, moment)  # behind the others: the next may ask for less
    return None


def rests_until(loaded: InvoiceFacts) -> datetime | None:
    """When the rest of the invoice's addresses is over; None: never."""
    rest, ends_at = loaded.record.rest_seconds, loaded.record.expires_at
    return None if rest is None or ends_at is None else ends_at + timedelta(seconds=rest)


def attribute(tx: Tx, catalogue: Catalogue, row: RowRecord, family: Family) -> tuple[InvoiceFacts, InvoiceFacts | None]:
    """The invoice that held the address of a transfer (where that is unclear, holds it), and the one it counts for."""
    turns, seen = holdings.turns(tx, family, row.address, row.network), row.as_row()
    turn = holder(seen, turns)
    present = loading.facts(tx, (turn or turns[-1]).invoice_id)
    if turn is None:
        return present, None
    moment = row.earliest_at or row.block_at
    rivals = _waiting(tx, family, row.address, moment, turn.turn)
    judged = [_holding(catalogue, each, row.method, None, is_waiting=True) for each in rivals]
    judged.append(_holding(catalogue, present, row.method, turn.start, is_waiting=False))
    return present, None if attributed(seen, judged) is None else present


def _starts(tx: Tx, catalogue: Catalogue, family: Family, now: datetime) -> dict[str, Start]:
    """Where each network of a family is; nothing unless all of them are in sight."""
    starts: dict[str, Start] = {}
    for network in catalogue.networks_of(family):
        record = chain.network(tx, network.name)
        if record.hold is not None or record.head_number is None or record.head_at is None or record.looked_at is None:
            return {}
        start = start_now(record.head_number, record.head_at, record.looked_at, now)
        if start is None:
            return {}
        starts[network.name] = start
    return starts


def _unfit_until(tx: Tx, last: HoldingRecord, starts: Mapping[str, Start], moment: datetime) -> datetime | None:
    """When to ask again about an address that may not be given to another invoice now; None: it may."""
    held_by = loading.facts(tx, last.invoice_id)
    rested_at = rests_until(held_by)
    assert rested_at is not None, "only those of the carousel are asked about"
    if rested_at > moment:  # its deadline was moved
        return rested_at
    is_settled = held_by.record.status in SETTLED and held_by.record.set_aside is None
    if is_settled and holdings.networks_of(tx, last) <= starts.keys() and holdings.is_quiet(tx, last):
        return None
    return moment + max(moment - rested_at, REST_MIN)


def _waiting(tx: Tx, family: Family, address: str, moment: datetime, before_turn: int) -> list[InvoiceFacts]:
    """Those who had the address before, and may still be paid late on it."""
    found = [
        loading.facts(tx, invoice_id)
        for turn, invoice_id in holdings.waiting(tx, family, address, moment)
        if turn < before_turn
    ]
    return [each for each in found if judge(each.machine, each.payments) is not Status.PAID]


def _asks(catalogue: Catalogue, loaded: InvoiceFacts) -> dict[str, tuple[Span, ...]]:
    """What settles an invoice exactly, by method."""
    return {entry.method: _asked(catalogue, loaded, entry.method) for entry in loaded.methods}


def _asked(catalogue: Catalogue, loaded: InvoiceFacts, method: str) -> tuple[Span, ...]:
    record, price, asset = loaded.record, loaded.price, catalogue.assets.get(method)
    if asset is None:  # its network left the config, and so nothing is seen there
        return ()
    if price is None or record.type is Type.POOL:
        return (ANYTHING,)
    tolerance = Tolerance(record.under_percent, record.over_percent)
    return asked(loaded.quotes.get(method, ()), price, tolerance, seen_worth(loaded.payments), asset)


def _holding(
    catalogue: Catalogue, loaded: InvoiceFacts, method: str, start: Start | None, *, is_waiting: bool
) -> Holding:
    return Holding(
        invoice_id=loaded.record.id,
        start=start,
        is_offered=loaded.entry(method) is not None,
        is_waiting=is_waiting,
        asked=_asked(catalogue, loaded, method),
    )
