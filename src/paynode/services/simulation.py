"""What a shop's developer may do to the simulated networks: pay, mine, reorganise, cut them off, move time on."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from paynode.chains.sim.clock import MovableClock
from paynode.chains.sim.keys import CUSTOMER, parse_address
from paynode.chains.sim.world import World
from paynode.operations.loading import LoadedInvoice
from paynode.store import bells, holdings, stores
from paynode.store.database import Database, Tx

PAST_DEADLINE = timedelta(seconds=1)

# Every service whose rows are due by the clock. Who sleeps for another reason, such as a failure, comes round soon.
GO_BY_THE_CLOCK = (bells.CLOCK, bells.DELIVERIES, bells.OUTGOING, bells.SCREENING, bells.RATES, bells.WATCHES)


class Simulation:
    """The switches of every simulated network. After each the scanners look at once."""

    def __init__(
        self, database: Database, worlds: Mapping[str, World], family_of: Callable[[str], str], clock: MovableClock
    ) -> None:
        self._clock = clock
        self._database = database
        self._worlds = worlds
        self._family_of = family_of

    async def pay(
        self, loaded: LoadedInvoice, method: str, units: int, *, late: bool, sender: str | None = None
    ) -> str:
        """Pay an invoice as a customer does, from that address if one is named; returns the transaction's hash.

        A late payment is mined at once, after time was moved on past the deadline: for all other invoices as well.

        Raises:
            ValueError: the sender's address is none, or one of ours; or the deadline is too far away.
        """
        network = next(entry.network for entry in loaded.methods if entry.method == method)
        family, world = self._family_of(network), self._worlds[network]
        payer = CUSTOMER if sender is None else parse_address(sender)
        if self._database.read(_is_ours, family, payer):
            raise ValueError("That address is one of this node's own: customers have others.")
        if late:
            assert loaded.record.expires_at is not None, "nothing is late that has no deadline"
            self._clock.reach(loaded.record.expires_at + PAST_DEADLINE)
        tx_hash = world.pay(loaded.addresses[family].address, method, units, sender=payer)
        if late:
            self._let_time_show()
        return tx_hash

    async def advance(self, duration: timedelta) -> datetime:
        """Move time on for the node and every network; returns what is now.

        What was to happen at several moments in between happens once, now.

        Raises:
            ValueError: it would be too far ahead.
        """
        now = self._clock.advance(duration)
        self._let_time_show()
        return now

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

    def _let_time_show(self) -> None:
        """Make blocks that are dated now, and have every service see what is due."""
        for world in self._worlds.values():
            world.mine()
        for bell in GO_BY_THE_CLOCK:
            self._database.bells.ring(bell)

    def _look(self) -> None:
        self._database.bells.ring(bells.WATCHES)


def _is_ours(tx: Tx, family: str, address: str) -> bool:
    return holdings.address(tx, family, address) is not None or address in stores.gas_addresses(tx, family)
