"""Double-entry bookkeeping: what each operation moves between accounts, summing to zero (I17).

    customers   what arrived, the source (negative)          in_transit  signed on its way to the treasury
    deposits    lying on deposit addresses                   treasury    what we sent there, the merchant's to spend
    held        lying there too, kept back by screening
    gas         on our gas accounts, and lent for fees       fees        spent on network fees
    reversed    taken back, by the chain or an issuer        owner       what the merchant put in (negative)

Every function here returns the entries of one posting. Units are base units; a sign says what the account gains.
"""

from dataclasses import dataclass
from enum import StrEnum


class Account(StrEnum):
    CUSTOMERS = "customers"
    DEPOSITS = "deposits"
    HELD = "held"
    IN_TRANSIT = "in_transit"
    TREASURY = "treasury"
    GAS = "gas"
    FEES = "fees"
    REVERSED = "reversed"
    OWNER = "owner"


ON_CHAIN = frozenset(
    {Account.DEPOSITS, Account.HELD, Account.IN_TRANSIT, Account.GAS}
)  # what our addresses hold together


@dataclass(frozen=True, slots=True)
class Entry:
    account: Account
    method: str
    units: int


Posting = tuple[Entry, ...]


def _move(method: str, units: int, source: Account, target: Account) -> Posting:
    if units == 0:
        return ()
    return (Entry(source, method, -units), Entry(target, method, units))


def deposit_confirmed(method: str, units: int) -> Posting:
    """A customer's money is final."""
    return _move(method, units, Account.CUSTOMERS, Account.DEPOSITS)


def deposit_reversed(method: str, units: int) -> Posting:
    """The chain took a final deposit back (I6)."""
    return _move(method, units, Account.DEPOSITS, Account.REVERSED)


def deposit_held(method: str, units: int) -> Posting:
    """So many more units of a final deposit are kept back; fewer, if negative."""
    return _move(method, units, Account.DEPOSITS, Account.HELD)


def taken(account: Account, method: str, units: int) -> Posting:
    """`units` are gone from `account` without a transaction of ours: the token's issuer took them, or a stranger."""
    return _move(method, units, account, Account.REVERSED)


def owner_collected(account: Account, method: str, units: int) -> Posting:
    """The merchant took `units` with a wallet of their own: this node watches only."""
    return _move(method, units, account, Account.OWNER)


def owner_funded(method: str, units: int) -> Posting:
    """The merchant sent coins to a gas account."""
    return _move(method, units, Account.OWNER, Account.GAS)


def opened(account: Account, method: str, units: int) -> Posting:
    """`units` lay on an address of ours before its books began: whoever holds the seed put them there."""
    return _move(method, units, Account.OWNER, account)


def owner_funding_reversed(method: str, units: int) -> Posting:
    """The chain took such a transfer back."""
    return _move(method, units, Account.GAS, Account.OWNER)


def sweep_signed(method: str, units: int) -> Posting:
    """`units` of deposits are on their way, the fee of a native sweep among them."""
    return _move(method, units, Account.DEPOSITS, Account.IN_TRANSIT)


def sweep_confirmed(method: str, native_method: str, *, units: int, moved_units: int, fee_units: int) -> Posting:
    """A sweep of `units` is final: `moved_units` reached the treasury, `fee_units` of the native coin were burnt.

    Of a native sweep the fee comes out of what was on its way, and coins that the gas station had lent to the
    address travel along: they leave `gas`. Where fees of earlier transactions were paid from the deposits, less than
    `units` is there: what `gas` then owes is settled out of what was on its way.
    """
    if method != native_method:
        return (
            *_move(method, moved_units, Account.IN_TRANSIT, Account.TREASURY),
            *_move(method, units - moved_units, Account.IN_TRANSIT, Account.DEPOSITS),
            *_move(native_method, fee_units, Account.GAS, Account.FEES),
        )
    left_over = moved_units + fee_units - units
    return (
        *_move(method, left_over, Account.GAS, Account.IN_TRANSIT),
        *_move(method, moved_units, Account.IN_TRANSIT, Account.TREASURY),
        *_move(method, fee_units, Account.IN_TRANSIT, Account.FEES),
    )


def sweep_reverted(method: str, native_method: str, *, units: int, fee_units: int) -> Posting:
    """A sweep was mined and failed: only the fee is gone.

    Where the address paid it from a native deposit, `gas` owes that deposit the fee until a native sweep settles it.
    """
    back = _move(method, units, Account.IN_TRANSIT, Account.DEPOSITS)
    return (*back, *_move(native_method, fee_units, Account.GAS, Account.FEES))


def sweep_released(method: str, units: int) -> Posting:
    """A signed sweep can never be mined any more: its nonce is spent by a transaction that is not ours."""
    return _move(method, units, Account.IN_TRANSIT, Account.DEPOSITS)


def top_up_final(native_method: str, fee_units: int) -> Posting:
    """A gas top-up is final, or failed: what it lent stays ours, only its fee is gone."""
    return _move(native_method, fee_units, Account.GAS, Account.FEES)


def undone(posting: Posting) -> Posting:
    """The posting that takes `posting` back."""
    return tuple(Entry(e.account, e.method, -e.units) for e in posting)


def is_balanced(posting: Posting) -> bool:
    """Whether the entries sum to zero in every asset."""
    sums: dict[str, int] = {}
    for entry in posting:
        sums[entry.method] = sums.get(entry.method, 0) + entry.units
    return not any(sums.values())
