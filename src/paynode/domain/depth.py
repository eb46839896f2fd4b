"""How deep a payment must lie before it counts: the network's usual depth, and more where more is at stake."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from paynode.domain.quote import Price


@dataclass(frozen=True, slots=True)
class Tier:
    """From this amount on, so many confirmations."""

    amount: Price
    confirmations: int


def depth_needed(usual: int, tiers: Sequence[Tier], worth_in: Callable[[str], Fraction | None]) -> int:
    """The confirmations that an amount needs, `worth_in` saying what it is worth in a currency.

    None, where nobody knows: then the tier counts, since too deep costs only time.
    """
    reached = (tier.confirmations for tier in tiers if _is_reached(tier, worth_in(tier.amount.currency)))
    return max([usual, *reached])


def _is_reached(tier: Tier, worth: Fraction | None) -> bool:
    return worth is None or worth >= tier.amount.amount
