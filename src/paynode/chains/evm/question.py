"""What one call of a look asks, and how the answer reads, whichever way it goes. Pure.

block number, timestamp, chain id, parent hash,
the hash of each asked block (0: cannot be known here),
and for each address: native balance, code size, balance of each token (UNKNOWN: was not told)
"""

from collections.abc import Sequence
from dataclasses import dataclass

CONTEXT_WORDS = 4
UNKNOWN = 2**256 - 1


@dataclass(frozen=True, slots=True)
class Question:
    """Balances of `addresses`, native and in `tokens`, in block `number`, and the hashes of the blocks `heights`."""

    number: int
    addresses: Sequence[str]
    tokens: Sequence[str]
    heights: Sequence[int]

    @property
    def word_count(self) -> int:
        """How many words answer it."""
        return CONTEXT_WORDS + len(self.heights) + len(self.addresses) * (2 + len(self.tokens))
