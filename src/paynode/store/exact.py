"""What SQL's own numbers are too small for: integers of any size as text, reckoned exactly."""

from fractions import Fraction
from typing import Any

import apsw


class _Sum:
    """`sum_exactly(text)`: the sum of integers; null counts for nothing."""

    def __init__(self) -> None:
        self._total = 0

    def step(self, *texts: Any) -> None:
        self._total += sum(int(text) for text in texts if text is not None)

    def final(self) -> str:
        return str(self._total)


def _is_less(*both: Any) -> bool:
    """`is_less_exactly(n/d, decimal)`; what is not known is not less."""
    worth, least = both
    return worth is not None and least is not None and Fraction(worth) < Fraction(least)


def register(connection: apsw.Connection) -> None:
    """Let a connection use both."""
    connection.create_aggregate_function("sum_exactly", _Sum, 1)
    connection.create_scalar_function("is_less_exactly", _is_less, 2, deterministic=True)
