"""What tells our network from every other: its chain id, and blocks that no other network has. Pure.

Anybody can run a network under a chain id of somebody else: forks, test copies of a main network, a developer's own.
Their balances would look like ours.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Pin(NamedTuple):
    """A block of our network, too old for a reorganisation to take away."""

    number: int
    hash: str


@dataclass(slots=True)
class Identity:
    """What every provider of one network must show: of the pins, the first that it still has."""

    chain_id: int
    pins: tuple[Pin, ...] = ()  # none before the first look

    @property
    def first_pin(self) -> Pin | None:
        return self.pins[0] if self.pins else None
