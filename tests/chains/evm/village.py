"""A shop on the chain in memory: a whole tick, its books, and what one has cost."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import trio
from eth_utils import to_checksum_address
from tests.chains.evm.fakechain import FakeBlock, FakeChain, Payment
from tests.chains.evm.fakereads import FakeReads
from tests.lab.bookkeeper import Bookkeeper

from paynode.chains.evm.reads import Pruned
from paynode.chains.evm.tick import Memory, Tick
from paynode.chains.evm.views import Views
from paynode.chains.evm.watchlist import Watchlist
from paynode.domain.chain import Observation, Row
from paynode.domain.money import Asset

DEPTH = 4
LATER = datetime(2100, 1, 1, tzinfo=UTC)
NATIVE = "lab_eth"
CONTRACT = "0x" + "77" * 20
ASSETS = [Asset("lab", "usdt", 6, CONTRACT), Asset("lab", "eth", 18, None)]
PAYER = to_checksum_address("0x" + "55" * 20)
OURS = [to_checksum_address(f"0x{0xA0000000000000000000000000000000000000 + n:040x}") for n in range(4)]


@dataclass
class View(FakeReads):
    """A provider that keeps the state of so many blocks, and counts the balances it is asked for."""

    kept: int | None = None
    balances_read: int = 0

    async def balances(self, asks: Sequence[tuple[str, int]], head: int) -> list[int]:
        self.balances_read += len(asks)
        if self.kept is not None and min(height for _, height in asks) < head - self.kept:
            raise Pruned
        return await super().balances(asks, head)


@dataclass
class Village:
    """Addresses that are watched for native coins, a chain that anybody may pay on, and one or two providers."""

    chain: FakeChain = field(default_factory=FakeChain)
    keeper: Bookkeeper = field(default_factory=Bookkeeper)
    memory: Memory = field(default_factory=Memory)
    views: list[View] = field(default_factory=list)
    nonce: int = 0

    def __post_init__(self) -> None:
        self.chain.mine()
        self.views = [View(self.chain, "one"), View(self.chain, "two")]
        self.tick()

    def watch(self, *addresses: str, dust_units: int = 0) -> None:
        for address in addresses:
            self.keeper.watch(address, [NATIVE], depth=DEPTH, dust_units=dust_units)

    def paid(self, to: str, units: int, *, is_inside: bool = False, succeeded: bool = True) -> Payment:
        """A payment that is not mined yet: plain, or from inside a contract."""
        self.nonce += 1
        if is_inside:
            return Payment(PAYER, self.nonce, CONTRACT, inside=((to, units),), succeeded=succeeded)
        return Payment(PAYER, self.nonce, to, value=units, succeeded=succeeded)

    def mine(self, *payments: Payment, then: int = 0) -> FakeBlock:
        """One block with these payments, and empty ones after it; returns the one with the payments."""
        self.chain.mine(payments)
        block = self.chain.head
        for _ in range(then):
            self.chain.mine()
        return block

    def tick(self) -> Observation:
        """One tick, stored."""
        books = self.keeper.books()
        tick = Tick(
            views=Views(self.views[0], self.views[1], is_alone=False),
            depth=DEPTH,
            watchlist=Watchlist.of(books, ASSETS),
            books=books,
            memory=self.memory,
            our_time=LATER,
        )
        seen = trio.run(tick.observe)
        self.keeper.apply(seen)
        return seen

    def settle(self) -> None:
        for _ in range(2 * DEPTH):
            self.mine()
            self.tick()

    def rows(self, address: str) -> Sequence[Row]:
        return [row for row in self.keeper.standing if row.address == address]

    def booked(self, address: str) -> int:
        return sum(row.effect for row in self.rows(address))

    def balance(self, address: str) -> int:
        return self.chain.head.native.get(address, 0)
