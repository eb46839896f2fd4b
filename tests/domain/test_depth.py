from decimal import Decimal
from fractions import Fraction

import pytest

from paynode.domain.depth import Tier, depth_needed
from paynode.domain.quote import Price

TIERS = [
    Tier(Price(Decimal(1000), "USD"), 30),
    Tier(Price(Decimal(10_000), "USD"), 64),
    Tier(Price(Decimal(500), "EUR"), 40),
]


@pytest.mark.parametrize(
    ("dollars", "euros", "depth"),
    [
        (0, 0, 12),
        (Fraction(99_999, 100), 0, 12),
        (1000, 0, 30),
        (9999, 499, 30),
        (9999, 500, 40),
        (10_000, 500, 64),
        (10**30, 0, 64),
        (None, 0, 64),
        (0, None, 40),
    ],
)
def test_more_at_stake_lies_deeper_and_so_does_what_nobody_can_weigh(
    dollars: int | Fraction | None, euros: int | None, depth: int
) -> None:
    worth = {"USD": dollars, "EUR": euros}
    found = depth_needed(12, TIERS, lambda currency: None if worth[currency] is None else Fraction(worth[currency]))
    assert found == depth


def test_without_tiers_the_usual_depth_holds() -> None:
    assert depth_needed(12, [], lambda currency: None) == 12
