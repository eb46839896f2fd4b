"""Weighing what could be collected: what forbids it, what it costs, and whether the economist lets it go."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from paynode.config import CustodyMode
from paynode.domain.chain import Pair
from paynode.domain.errors import RateUnavailable
from paynode.domain.money import Asset
from paynode.domain.quote import worth_at_rate
from paynode.domain.sweep import TOP_UP_MARGIN, UNSIGNED, Candidate, Conditions, Policy, Wait, reason_to_wait
from paynode.operations import screening_lists
from paynode.operations.catalogue import Catalogue
from paynode.operations.pricing import rate_for
from paynode.store import chain, deposits, outgoing, sweep_prices, sweeps, watches
from paynode.store.database import Tx
from paynode.store.deposits import WaitingDeposit
from paynode.store.records import Units
from paynode.store.sweep_prices import PriceRecord
from paynode.store.sweeps import TreasuryRecord

ITEMS_MAX = 100  # of one sweep; more are the next sweep's
PRICES_AGE_MAX = timedelta(minutes=5)  # the sweeper asks every few seconds, as long as anything is ready


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
    return _grouped(deposits.waiting_for_sweep(tx, network))


def pile_of(tx: Tx, network: str, address: str, method: str) -> Pile | None:
    """What lies on one pair; None: nothing."""
    found = _grouped(deposits.waiting_of_pair(tx, network, address, method))
    return found[0] if found else None


def _grouped(waiting: list[WaitingDeposit]) -> list[Pile]:
    grouped: dict[tuple[str, str, str], list[WaitingDeposit]] = {}
    for each in waiting:
        record = each.deposit
        grouped.setdefault((record.store_id, record.method, record.address), []).append(each)
    return [Pile(store, address, method, tuple(found)) for (store, method, address), found in grouped.items()]


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


class Weighing:
    """One round's judgement, pile by pile: what it lets go leaves less of the day's gas and of the gas stations.

    `is_ordered`: a person asks for it, so it need not pay; what forbids it and what bounds its cost are kept.
    """

    def __init__(
        self, tx: Tx, catalogue: Catalogue, network: str, prices: Prices, now: datetime, *, is_ordered: bool = False
    ) -> None:
        self._tx, self._catalogue, self._network, self._prices, self._now = tx, catalogue, network, prices, now
        self._is_ordered = is_ordered
        yesterday = now - timedelta(days=1)
        self._failed = sweeps.failed_counts(tx, network, yesterday)
        self._spent = outgoing.fees_since(tx, network, yesterday) + _promised(tx, catalogue, network, prices)
        self._gas_left = dict(prices.gas_units_by_store)
        self._last_round: dict[tuple[str, str], datetime | None] = {}
        self._let_go: Counter[tuple[str, str]] = Counter()

    def fee_units(self, pile: Pile) -> int | None:
        """What collecting it costs at most, in the native coin; None: the network has not told."""
        return self._prices.transfer_cost_by_method.get(pile.method)

    def reason_to_wait(self, pile: Pile) -> Wait | None:
        """Why not to collect a pile now; None: it goes."""
        tx, now, kind = self._tx, self._now, (pile.store_id, pile.method)
        wait, fee = obstacle(tx, self._catalogue, self._network, pile, now), self.fee_units(pile)
        if wait is not None or fee is None:
            return wait or Wait.FEE_UNKNOWN
        asset, policy = self._catalogue.assets[pile.method], _policy(self._catalogue, self._network)
        failed_count = self._failed.get((pile.address, pile.method), 0)
        candidate = _candidate(tx, self._catalogue, asset, pile, fee, failed_count, now)
        if kind not in self._last_round:
            self._last_round[kind] = _last_round(tx, self._network, pile.store_id, pile.method)
        last = self._last_round[kind]
        conditions = Conditions(
            fee_price=self._prices.fee_price,
            gas_station_units=self._gas_left.get(pile.store_id, 0),
            gas_spent_today_units=self._spent,
            since_last_round=None if last is None or last > now else now - last,  # a clock was set back
        )
        wait = reason_to_wait(candidate, policy, conditions, is_ordered=self._is_ordered)
        if wait is None and self._let_go[kind] >= ITEMS_MAX and not self._is_ordered:
            wait = Wait.NEXT_ROUND
        if wait is None:
            self._let_go[kind] += 1
            self._spent += fee
            if candidate.loan_units:
                self._gas_left[pile.store_id] = self._gas_left.get(pile.store_id, 0) - candidate.loan_units
        return wait


def _promised(tx: Tx, catalogue: Catalogue, network: str, prices: Prices) -> int:
    """What transfers that are planned and not signed will cost; one whose price is not known now, the dearest's."""
    costs = prices.transfer_cost_by_method
    dearest = max(costs.values(), default=0)
    waiting = [item.method for item in sweeps.items_under_way(tx, network) if item.state in UNSIGNED]
    return sum(costs.get(method, dearest) for method in waiting if method in catalogue.assets)


def _last_round(tx: Tx, network: str, store_id: str, method: str) -> datetime | None:
    """When the last round of an asset was; None: never, or it left some out as its sweep was full, and goes on now."""
    newest = sweeps.newest(tx, network, store_id, method)
    return None if newest is None or sweeps.item_count(tx, newest.id) >= ITEMS_MAX else newest.created_at


def note_prices(tx: Tx, network: str, prices: Prices, now: datetime) -> None:
    """Remember what the network asks, for whoever plans without asking it."""
    costs, gas = prices.transfer_cost_by_method, prices.gas_units_by_store
    sweep_prices.save(tx, PriceRecord(network, Units(prices.fee_price), costs, gas, now))


def known_prices(tx: Tx, network: str, now: datetime) -> Prices:
    """What the network asked a moment ago; nothing, if that was too long ago."""
    known = sweep_prices.of_network(tx, network)
    if known is None or now - known.at > PRICES_AGE_MAX:
        return Prices(0, {}, {})
    return Prices(known.fee_price, known.costs, known.gas)


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
