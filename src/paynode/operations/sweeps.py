"""Planning sweeps: what the economist lets go, and the reason on every deposit that waits."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

import structlog

from paynode.config import CustodyMode
from paynode.domain.chain import Pair
from paynode.domain.errors import RateUnavailable
from paynode.domain.events import EventType
from paynode.domain.money import Asset
from paynode.domain.quote import worth_at_rate
from paynode.domain.sweep import (
    TOP_UP_MARGIN,
    Candidate,
    Conditions,
    ItemState,
    Policy,
    State,
    Wait,
    deposit_sweep,
    reason_to_wait,
)
from paynode.operations import screening_lists
from paynode.operations.catalogue import Catalogue
from paynode.operations.judging import judge_again
from paynode.operations.pricing import rate_for
from paynode.operations.sweep_items import tell_sweep
from paynode.store import bells, chain, deposits, holdings, outgoing, stores, sweeps, watches
from paynode.store.database import Tx
from paynode.store.deposits import WaitingDeposit
from paynode.store.ids import new_id
from paynode.store.records import Units
from paynode.store.sweeps import ItemRecord, SweepRecord, TreasuryRecord

log = structlog.get_logger()

ITEMS_MAX = 100  # of one sweep; more are the next sweep's


@dataclass(frozen=True, slots=True)
class Pile:
    """What lies on one address in one asset, ready to be collected."""

    store_id: str
    address: str
    method: str
    deposits: tuple[WaitingDeposit, ...]

    @property
    def units(self) -> int:
        return sum(each.units for each in self.deposits)


@dataclass(frozen=True, slots=True)
class Prices:
    """What the network told the sweeper about this round."""

    fee_price: int
    transfer_cost_by_method: Mapping[str, int]  # native units
    gas_units_by_store: Mapping[str, int]  # what each store's gas station holds


def piles(tx: Tx, network: str) -> list[Pile]:
    """Everything on the network that no sweep has taken, oldest first."""
    grouped: dict[tuple[str, str, str], list[WaitingDeposit]] = {}
    for each in deposits.waiting_for_sweep(tx, network):
        record = each.deposit
        grouped.setdefault((record.store_id, record.method, record.address), []).append(each)
    return [Pile(store, address, method, tuple(found)) for (store, method, address), found in grouped.items()]


def note_waits(tx: Tx, found: Iterable[Pile], wait: Wait) -> None:
    """Say of each deposit why it is not collected now."""
    for pile in found:
        if wait is Wait.FAILED_BEFORE and any(each.deposit.sweep_wait is not wait for each in pile.deposits):
            log.error("sweep_parked", address=pile.address, method=pile.method, units=pile.units)
        for each in pile.deposits:
            deposits.set_sweep(tx, each.deposit, each.deposit.sweep_state, wait)


def treasury_of(tx: Tx, catalogue: Catalogue, network: str, store_id: str) -> TreasuryRecord | None:
    """Where a store's money is collected: what the config says and the database knows of; None: nowhere.

    The database alone decides nothing: whoever could write to it must not be able to send money elsewhere (C7).
    """
    known = sweeps.treasury(tx, network, store_id)
    if known is None or store_id not in catalogue.store_keys:
        return None
    wanted = catalogue.config.treasury(catalogue.store_keys[store_id], network)
    return known if known.address == wanted else None


def obstacle(tx: Tx, catalogue: Catalogue, network: str, pile: Pile, now: datetime) -> Wait | None:
    """What forbids collecting a pile whatever it costs; None: nothing does."""
    if catalogue.config.custody.mode is CustodyMode.WATCH:
        return Wait.WATCH_ONLY
    if pile.method not in catalogue.assets:
        return Wait.NOT_OFFERED
    treasury = treasury_of(tx, catalogue, network, pile.store_id)
    if treasury is None:
        return Wait.NO_TREASURY
    if treasury.effective_at > now:
        return Wait.TREASURY_ANNOUNCED
    watch = watches.watch(tx, network, pile.address)
    if watch is not None and watch.coded_at is not None:
        return Wait.HAS_CODE
    is_doubtful = chain.network(tx, network).hold is not None
    if is_doubtful or outgoing.is_paused(outgoing.pauses(tx), network, pile.method):
        return Wait.OUTFLOWS_PAUSED
    if catalogue.screening_policy(pile.store_id).is_required and screening_lists.unusable(tx, catalogue, now):
        return Wait.LISTS_STALE
    if Pair(pile.address, pile.method) in watches.disputes(tx, network):
        return Wait.DISPUTED
    if sweeps.is_under_way(tx, network, pile.address, pile.method):
        return Wait.UNDER_WAY
    return None


def plan_due_sweeps(tx: Tx, catalogue: Catalogue, network: str, prices: Prices, now: datetime) -> list[SweepRecord]:
    """Plan a sweep for whatever is worth collecting; every other deposit learns why it waits."""
    yesterday = now - timedelta(days=1)
    failed = sweeps.failed_counts(tx, network, yesterday)
    spent = outgoing.fees_since(tx, network, yesterday)
    chosen: dict[tuple[str, str], list[Pile]] = {}
    gas_left = dict(prices.gas_units_by_store)
    last_round: dict[tuple[str, str], datetime | None] = {}
    for pile in piles(tx, network):
        wait = obstacle(tx, catalogue, network, pile, now)
        fee = prices.transfer_cost_by_method.get(pile.method)
        if wait is None and fee is None:
            wait = Wait.FEE_UNKNOWN
        if wait is None and fee is not None:
            asset, policy = catalogue.assets[pile.method], _policy(catalogue, network)
            candidate = _candidate(tx, catalogue, asset, pile, fee, failed.get((pile.address, pile.method), 0), now)
            if (pile.store_id, pile.method) not in last_round:
                last_round[pile.store_id, pile.method] = _last_round(tx, network, pile.store_id, pile.method)
            last = last_round[pile.store_id, pile.method]
            conditions = Conditions(
                fee_price=prices.fee_price,
                gas_station_units=gas_left.get(pile.store_id, 0),
                gas_spent_today_units=spent,
                since_last_round=None if last is None or last > now else now - last,  # a clock was set back
            )
            wait = reason_to_wait(candidate, policy, conditions)
            if wait is None and len(chosen.get((pile.store_id, pile.method), ())) >= ITEMS_MAX:
                wait = Wait.NEXT_ROUND
            if wait is None:
                chosen.setdefault((pile.store_id, pile.method), []).append(pile)
                spent += fee
                if candidate.loan_units:
                    gas_left[pile.store_id] = gas_left.get(pile.store_id, 0) - candidate.loan_units
        if wait is not None:
            note_waits(tx, [pile], wait)
    return [
        _queue(tx, catalogue, network, store_id, method, found, now) for (store_id, method), found in chosen.items()
    ]


def _last_round(tx: Tx, network: str, store_id: str, method: str) -> datetime | None:
    """When the last round of an asset was; None: never, or it left some out as its sweep was full, and goes on now."""
    newest = sweeps.newest(tx, network, store_id, method)
    return None if newest is None or sweeps.item_count(tx, newest.id) >= ITEMS_MAX else newest.created_at


def _queue(
    tx: Tx, catalogue: Catalogue, network: str, store_id: str, method: str, found: list[Pile], now: datetime
) -> SweepRecord:
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


def _policy(catalogue: Catalogue, network: str) -> Policy:
    limits = catalogue.networks[network].sweep
    return Policy(
        min_value=None if limits.min_value is None else Fraction(limits.min_value.amount),
        fee_price_max=limits.fee_price_max,
        every=limits.every,
        gas_budget_units=limits.gas_budget_units,
    )


def _candidate(
    tx: Tx, catalogue: Catalogue, asset: Asset, pile: Pile, fee: int, failed_count: int, now: datetime
) -> Candidate:
    limits = catalogue.networks[asset.network].sweep
    currency = "USD" if limits.min_value is None else limits.min_value.currency
    native = catalogue.native(asset.network)
    return Candidate(
        value=_value(tx, asset, pile.units, currency, now),
        fee_value=_value(tx, native, fee, currency, now),
        fee_units=fee,
        loan_units=0 if asset.contract is None else fee * (TOP_UP_MARGIN + 1),  # the loan, and the fee of lending it
        is_native=asset.contract is None,
        units=pile.units,
        failed_count=failed_count,
    )


def _value(tx: Tx, asset: Asset, units: int, currency: str, now: datetime) -> Fraction | None:
    try:
        return worth_at_rate(units, rate_for(tx, currency, asset, now), asset)
    except RateUnavailable:
        return None
