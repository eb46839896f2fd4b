"""The sweep machine and the economist: what to collect now, and why the rest waits.

    queued -> funding -> broadcasting -> confirming -> completed | partially_completed | failed
       +--> cancelled

A sweep collects one asset of one store from many addresses; its state is judged from its items. The economist
is a pure function: it says `None` (collect it) or the reason to wait, so that every deposit can say why.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from fractions import Fraction


class ItemState(StrEnum):
    """One address of a sweep."""

    QUEUED = "queued"
    FUNDING = "funding"  # the gas station's transfer is under way
    BROADCASTING = "broadcasting"  # the transfer is signed, perhaps sent
    CONFIRMING = "confirming"  # it is in a block
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"  # called off before its transfer was signed


class State(StrEnum):
    QUEUED = "queued"
    FUNDING = "funding"
    BROADCASTING = "broadcasting"
    CONFIRMING = "confirming"
    COMPLETED = "completed"
    PARTIALLY_COMPLETED = "partially_completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ITEM_NEXT: Mapping[ItemState, frozenset[ItemState]] = {
    ItemState.QUEUED: frozenset({ItemState.FUNDING, ItemState.BROADCASTING, ItemState.FAILED, ItemState.CANCELLED}),
    ItemState.FUNDING: frozenset({ItemState.QUEUED, ItemState.BROADCASTING, ItemState.FAILED, ItemState.CANCELLED}),
    ItemState.BROADCASTING: frozenset({ItemState.CONFIRMING, ItemState.COMPLETED, ItemState.FAILED}),
    ItemState.CONFIRMING: frozenset({ItemState.BROADCASTING, ItemState.COMPLETED, ItemState.FAILED}),
    ItemState.COMPLETED: frozenset({ItemState.BROADCASTING}),  # a reorganisation below our depth
    ItemState.FAILED: frozenset({ItemState.BROADCASTING}),
    ItemState.CANCELLED: frozenset(),
}

UNSIGNED = frozenset({ItemState.QUEUED, ItemState.FUNDING})  # a person may call these off

_PROGRESS = [ItemState.QUEUED, ItemState.FUNDING, ItemState.BROADCASTING, ItemState.CONFIRMING]


def judge(items: Iterable[ItemState]) -> State:
    """The sweep's state: the least advanced item under way, else how they ended."""
    states = set(items)
    assert states, "a sweep has items"
    for state in _PROGRESS:
        if state in states:
            return State(state.value)
    if len(states) == 1:
        return State(states.pop().value)
    return State.PARTIALLY_COMPLETED if ItemState.COMPLETED in states else State.FAILED


class DepositSweep(StrEnum):
    """Where the collection of one deposit stands; an invoice's `sweep_state` is judged from these."""

    UNSWEPT = "unswept"
    SCHEDULED = "scheduled"
    SWEEPING = "sweeping"
    SWEPT = "swept"
    FAILED = "failed"


class Wait(StrEnum):
    """Why a deposit is not collected now."""

    NOT_FINAL = "not_final"  # not deep enough yet
    HELD = "held"  # kept back by screening: release it
    LISTS_STALE = "lists_stale"  # a list of addresses is missing or too old, and screening is required
    WATCH_ONLY = "watch_only"  # this node holds no keys
    NOT_OFFERED = "not_offered"  # its asset left the config
    NO_TREASURY = "no_treasury"  # the config names none for this network and store
    TREASURY_ANNOUNCED = "treasury_announced"  # a new treasury waits for its delay
    OUTFLOWS_PAUSED = "outflows_paused"
    HAS_CODE = "has_code"  # somebody else used the address's key
    DISPUTED = "disputed"  # the balance is not what the books say
    BELOW_MIN_VALUE = "below_min_value"  # worth less than networks.*.sweep.min_value
    NO_RATE = "no_rate"  # its value is unknown, so it cannot be weighed against the minimum
    NOT_WORTH_FEE = "not_worth_fee"  # the fee would eat too much of it
    FEE_TOO_HIGH = "fee_too_high"  # the network asks more than networks.*.sweep.max_fee_gwei
    FEE_UNKNOWN = "fee_unknown"  # the network has not told its fee yet
    GAS_BUDGET_SPENT = "gas_budget_spent"  # networks.*.sweep.gas_budget_per_day
    NO_GAS = "no_gas"  # the gas station cannot pay the fee: send coins to it
    NEXT_ROUND = "next_round"  # waits for networks.*.sweep.every
    FAILED_BEFORE = "failed_before"  # it failed too often today; look into it
    UNDER_WAY = "under_way"  # already in a sweep
    LOST = "lost"  # gone without us: its issuer or somebody with the key took it. It is never collected


IDLE = frozenset(  # nothing that the chain does to the deposit's address ends these
    {
        *(Wait.WATCH_ONLY, Wait.NOT_OFFERED, Wait.NO_TREASURY, Wait.BELOW_MIN_VALUE, Wait.NOT_WORTH_FEE, Wait.LOST),
        Wait.HELD,
    }
)


def deposit_sweep(item: ItemState | None) -> DepositSweep:
    match item:
        case None | ItemState.CANCELLED:
            return DepositSweep.UNSWEPT
        case ItemState.QUEUED:
            return DepositSweep.SCHEDULED
        case ItemState.FUNDING | ItemState.BROADCASTING | ItemState.CONFIRMING:
            return DepositSweep.SWEEPING
        case ItemState.COMPLETED:
            return DepositSweep.SWEPT
        case ItemState.FAILED:
            return DepositSweep.FAILED


@dataclass(frozen=True, slots=True)
class Share:
    """So much of a deposit goes with an item of a sweep."""

    item_id: int
    state: ItemState
    units: int


def collected_units(shares: Iterable[Share]) -> int:
    """What items that have ended well took of a deposit."""
    return sum(share.units for share in shares if share.state is ItemState.COMPLETED)


@dataclass(frozen=True, slots=True)
class Lying:
    """One deposit and what became of it, in base units."""

    units: int  # what arrived
    lost: int  # taken without us
    withdrawn: int  # taken by the merchant with a wallet
    shares: tuple[Share, ...]  # what items of sweeps take of it, or tried to, oldest first

    @property
    def left(self) -> int:
        return self.units - self.lost - self.withdrawn - collected_units(self.shares)


def deposit_sweep_by_facts(lying: Lying) -> tuple[DepositSweep, Wait | None]:
    """Where the collection of a deposit stands, and whether nothing of it will ever be collected."""
    if lying.left <= 0:
        is_collected = lying.withdrawn or collected_units(lying.shares)
        return (DepositSweep.SWEPT, None) if is_collected else (DepositSweep.FAILED, Wait.LOST)
    return _deposit_sweep_by_shares(lying.shares), None


def _deposit_sweep_by_shares(shares: Iterable[Share]) -> DepositSweep:
    ended_well = {ItemState.COMPLETED, ItemState.CANCELLED}
    open_states = [share.state for share in shares if share.state not in ended_well]
    under_way = [state for state in open_states if state is not ItemState.FAILED]
    return deposit_sweep((under_way or open_states or [None])[-1])


class InvoiceSweep(StrEnum):
    NOT_APPLICABLE = "not_applicable"  # nothing to collect
    UNSWEPT = "unswept"
    SCHEDULED = "scheduled"
    SWEEPING = "sweeping"
    PARTIALLY_SWEPT = "partially_swept"
    SWEPT = "swept"
    FAILED = "failed"


def invoice_sweep(deposits: Iterable[DepositSweep]) -> InvoiceSweep:
    """An invoice's sweep state, from its canonical deposits."""
    states = set(deposits)
    if not states:
        return InvoiceSweep.NOT_APPLICABLE
    if len(states) == 1:
        return InvoiceSweep(states.pop().value)
    if DepositSweep.SWEEPING in states:
        return InvoiceSweep.SWEEPING
    if DepositSweep.SWEPT in states:
        return InvoiceSweep.PARTIALLY_SWEPT
    return InvoiceSweep.SCHEDULED if DepositSweep.SCHEDULED in states else InvoiceSweep.FAILED


FEE_SHARE_MAX = Fraction(1, 4)  # of the value: past a quarter, waiting for more money or cheaper gas beats collecting
TOP_UP_MARGIN = 2  # the fee may rise between the top-up and the transfer it pays for; what is left is used next time
ATTEMPTS_MAX = 3  # of one address and asset, before a person should look


@dataclass(frozen=True, slots=True)
class Policy:
    """What the merchant configured for one network."""

    min_value: Fraction | None  # in `min_value`'s currency; None: anything
    fee_price_max: int | None  # base units per unit of gas
    every: timedelta
    gas_budget_units: int | None  # of the native coin per day


@dataclass(frozen=True, slots=True)
class Candidate:
    """What lies on one address in one asset, ready to be collected."""

    value: Fraction | None  # in the policy's currency; None: no rate
    fee_value: Fraction | None  # what collecting costs, in the same currency; None: no rate
    fee_units: int  # in the native coin
    loan_units: int  # what the gas station must hold for it; 0: a coin pays its own way
    is_native: bool
    units: int
    failed_count: int  # within a day


@dataclass(frozen=True, slots=True)
class Conditions:
    """What holds for every candidate of a round."""

    fee_price: int
    gas_station_units: int  # what the gas station can still spend
    gas_spent_today_units: int
    since_last_round: timedelta | None  # None: never swept


def reason_to_wait(
    candidate: Candidate, policy: Policy, conditions: Conditions, *, is_ordered: bool = False
) -> Wait | None:
    """Why not to collect `candidate` now; None: collect it. What a person orders need not pay; its cost is bounded."""
    if candidate.failed_count >= ATTEMPTS_MAX:
        return Wait.FAILED_BEFORE
    if candidate.is_native and candidate.fee_units >= candidate.units:
        return Wait.NOT_WORTH_FEE
    if not is_ordered and (wait := _reason_to_wait_for_profit(candidate, policy, conditions)) is not None:
        return wait
    if (
        policy.gas_budget_units is not None
        and conditions.gas_spent_today_units + candidate.fee_units > policy.gas_budget_units
    ):
        return Wait.GAS_BUDGET_SPENT
    if candidate.loan_units > conditions.gas_station_units:
        return Wait.NO_GAS
    return None


def _reason_to_wait_for_profit(candidate: Candidate, policy: Policy, conditions: Conditions) -> Wait | None:
    """Why collecting `candidate` pays better later."""
    if policy.fee_price_max is not None and conditions.fee_price > policy.fee_price_max:
        return Wait.FEE_TOO_HIGH
    if (
        candidate.is_native
        and candidate.fee_units * FEE_SHARE_MAX.denominator > candidate.units * FEE_SHARE_MAX.numerator
    ):
        return Wait.NOT_WORTH_FEE
    if policy.min_value is not None:
        if candidate.value is None:
            return Wait.NO_RATE
        if candidate.value < policy.min_value:
            return Wait.BELOW_MIN_VALUE
    if (
        candidate.value is not None
        and candidate.fee_value is not None
        and candidate.fee_value > candidate.value * FEE_SHARE_MAX
    ):
        return Wait.NOT_WORTH_FEE
    if conditions.since_last_round is not None and conditions.since_last_round < policy.every:
        return Wait.NEXT_ROUND
    return None
