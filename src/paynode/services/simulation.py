"""What a shop's developer may do to the simulated networks: pay, mine, reorganise, cut them off."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from paynode.chains.sim.world import World
from paynode.operations.loading import LoadedInvoice
from paynode.store import bells
from paynode.store.database import Database

PAST_DEADLINE = timedelta(seconds=1)


class Simulation:
    """The switches of every simulated network. After each the scanners look at once."""

    def __init__(self, database: Database, worlds: Mapping[str, World], family_of: Callable[[str], str]) -> None:
        self._database = database
        self._worlds = worlds
        self._family_of = family_of

    async def pay(self, loaded: LoadedInvoice, method: str, units: int, *, late: bool) -> str:
        """Pay an invoice as a customer does; returns the transaction's hash.

        A late payment is mined at once, in a block dated after the deadline. Blocks never go back in time, so the
        deadlines of other invoices that end before it are over as well.
        """
        network = next(entry.network for entry in loaded.methods if entry.method == method)
        world = self._worlds[network]
        tx_hash = world.pay(loaded.addresses[self._family_of(network)].address, method, units)
        if late:
            assert loaded.record.expires_at is not None, "nothing is late that has no deadline"
            world.mine(at=loaded.record.expires_at + PAST_DEADLINE)
            self._look()
        return tx_hash

    async def mine(self, blocks: int) -> None:
        """Append blocks to every network."""
        for world in self._worlds.values():
            world.mine(blocks)
        self._look()

    async def reorg(self, depth: int) -> None:
        """Replace the newest blocks of every network by empty ones.

        Raises:
            ValueError: a chain is not that long.
        """
        for world in self._worlds.values():
            world.reorg(depth, keep=False)
        self._look()

    async def outage(self, on: bool) -> None:
        """Make every network unreachable, or reachable again."""
        for world in self._worlds.values():
            world.outage = on
        self._look()

    def _look(self) -> None:
        self._database.bells.ring(bells.WATCHES)
