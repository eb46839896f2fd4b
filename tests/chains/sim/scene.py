"""A shop on a simulated network: the world, the chain as the node sees it, and books in memory."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.lab.bookkeeper import Bookkeeper

from paynode.chains.base import Outgoing, SignedTx
from paynode.chains.sim import keys
from paynode.chains.sim.adapter import SimChain
from paynode.chains.sim.world import World
from paynode.domain.chain import Observation, OwnTx
from paynode.domain.key_paths import deposit_path, gas_path
from paynode.domain.money import Asset

COIN = Asset("sim", "sim", 18, None)
USDT = Asset("sim", "usdt", 6, "usdt")
METHODS = (COIN.method, USDT.method)
DEPTH = 3
ETHER = 10**18

SHOP = keys.deposit_address(0, 0)
SECOND_SHOP = keys.deposit_address(0, 1)
GAS = keys.gas_address(0)
TREASURY = keys.address_of(keys.private_key("treasury"))
KEYS = {
    SHOP: keys.private_key(deposit_path(0, 0)),
    SECOND_SHOP: keys.private_key(deposit_path(0, 1)),
    GAS: keys.private_key(gas_path(0)),
}


@dataclass(slots=True)
class Clock:
    """Stands still unless told."""

    now: datetime = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass(slots=True)
class Scene:
    clock: Clock = field(default_factory=Clock)
    world: World = field(init=False)
    chain: SimChain = field(init=False)
    books: Bookkeeper = field(default_factory=Bookkeeper)

    def __post_init__(self) -> None:
        self.world = World(COIN.method, self.clock)
        self.chain = SimChain("sim", self.world, confirmations=DEPTH)
        for address in KEYS:
            self.books.watch(address, METHODS, depth=DEPTH)
            self.books.own_addresses.add(address)

    async def tick(self) -> Observation:
        seen = await self.chain.observe(self.books.books())
        self.books.apply(seen)
        return seen

    async def settle(self) -> Observation:
        """Blocks and ticks until everything is deep."""
        await self.tick()
        self.world.mine(DEPTH)
        return await self.tick()

    async def signed(
        self, sender: str, recipient: str, asset: Asset, units: int, *, empties_sender: bool = False
    ) -> SignedTx:
        """A transaction of ours, in the books and not sent yet."""
        nonce = await self.chain.pending_nonce(sender)
        wanted = Outgoing(sender, recipient, asset, units, empties_sender)
        signed = self.chain.sign(await self.chain.prepare(wanted, nonce), KEYS[sender])
        self.books.own.append(OwnTx(f"tx{nonce}_{sender}", sender, nonce, (signed.tx_hash,)))
        return signed

    def confirmed_equals_balances(self) -> bool:
        return all(
            self.books.confirmed_units(address, method) == self.world.units(address, method)
            for address in KEYS
            for method in METHODS
        )
