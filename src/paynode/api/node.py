"""What the API needs of the node it speaks for; the daemon fills it in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import trio

from paynode.chains.base import ProviderHealth
from paynode.domain.attention import Attention
from paynode.operations.catalogue import Catalogue, Derive
from paynode.operations.endpoints import Check
from paynode.operations.loading import LoadedInvoice
from paynode.operations.rescue import ParseTxHash
from paynode.store.database import Database


class Simulation(Protocol):
    """The simulated world, as the test routes drive it."""

    async def pay(
        self, loaded: LoadedInvoice, method: str, units: int, *, late: bool, sender: str | None = None
    ) -> str:
        """Send `units` to the invoice's address as a customer would; returns the transaction's hash.

        `late`: time is moved on past the invoice's deadline first.

        Raises:
            ValueError: the sender's address is none, or one of ours; or the deadline is too far away.
        """
        ...

    async def advance(self, duration: timedelta) -> datetime:
        """Move time on, for the node and every simulated network; returns what is now.

        Raises:
            ValueError: it would be too far ahead; a sentence for people.
        """
        ...

    async def mine(self, blocks: int) -> None:
        """Append blocks to every simulated network."""
        ...

    async def reorg(self, depth: int) -> None:
        """Replace the newest blocks of every simulated network by empty ones.

        Raises:
            ValueError: a chain is not that long; a sentence for people.
        """
        ...

    async def outage(self, on: bool) -> None:
        """Make every simulated network unreachable, or reachable again."""
        ...


def no_providers(network: str) -> Sequence[ProviderHealth]:
    """Of a network that is not followed."""
    return ()


@dataclass(frozen=True, slots=True)
class ApiNode:
    database: Database
    catalogue: Catalogue
    derive: Derive
    parse_tx_hash: ParseTxHash
    clock: Callable[[], datetime]
    check_outbound: Check
    version: str
    started_at: datetime
    health: Callable[[], Mapping[str, str]]  # by service: "ok", or what is wrong with it, for people
    providers: Callable[[str], Sequence[ProviderHealth]] = no_providers  # of a network, by its name
    simulation: Simulation | None = None  # in sim mode only
    stopping: trio.Event = field(default_factory=trio.Event)  # set once no answer is to go on for long
    attention: Attention = field(default_factory=partial(Attention, trio.current_time))  # the scanners' too
