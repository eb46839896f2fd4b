"""A shop on a chain in memory: two views of it, books, and one tick at a time."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from eth_utils import to_checksum_address
from tests.chains.evm.fakechain import FakeChain, Payment
from tests.chains.evm.fakereads import FakeReads
from tests.lab.bookkeeper import Bookkeeper

from paynode.chains.evm.tick import Memory, Tick
from paynode.chains.evm.views import Views
from paynode.chains.evm.watchlist import Watchlist
from paynode.domain.chain import Observation
from paynode.domain.money import Asset

DEPTH = 4
USDT, NATIVE = "lab_usdt", "lab_eth"
CONTRACT = "0x" + "77" * 20
ASSETS = [Asset("lab", "usdt", 6, CONTRACT), Asset("lab", "eth", 18, None)]
PAYER, STRANGER, TREASURY = (to_checksum_address("0x" + byte * 20) for byte in ("55", "66", "99"))


def our_address(number: int) -> str:
    return to_checksum_address(f"0x{0xA0000000000000000000000000000000000000 + number:040x}")


@dataclass
class FakeScene:
    chain: FakeChain = field(default_factory=FakeChain)
    keeper: Bookkeeper = field(default_factory=Bookkeeper)
    memory: Memory = field(default_factory=Memory)
    nonce: int = -1
    clock_ahead: timedelta = timedelta()  # of ours

    def __post_init__(self) -> None:
        self.chain.mine()
        self.views = [FakeReads(self.chain, "one"), FakeReads(self.chain, "two")]

    @property
    def our_time(self) -> datetime:
        return datetime.fromtimestamp(self.chain.head.timestamp, UTC) + self.clock_ahead

    async def shop(self, count: int = 1) -> list[str]:
        """Addresses, shown after a first look."""
        await self.tick()
        addresses = [our_address(number) for number in range(count)]
        for address in addresses:
            self.keeper.watch(address, [USDT, NATIVE], depth=DEPTH)
            self.keeper.own_addresses.add(address)
        return addresses

    def pays(self, to: str, units: int, *, sender: str = PAYER) -> Payment:
        """A token transfer."""
        self.nonce += 1
        return Payment(PAYER, self.nonce, CONTRACT, tokens=((CONTRACT, sender, to, units),))

    def mine(self, blocks: int = 1, *payments: Payment) -> None:
        self.chain.mine(payments)
        for _ in range(blocks - 1):
            self.chain.mine()

    async def tick(self) -> Observation:
        books = self.keeper.books()
        tick = Tick(
            views=Views(self.views[0], self.views[1], is_alone=False),
            depth=DEPTH,
            watchlist=Watchlist.of(books, ASSETS),
            books=books,
            memory=self.memory,
            our_time=self.our_time,
        )
        seen = await tick.observe()
        self.keeper.apply(seen)
        return seen

    async def end(self, address: str) -> None:
        """The watch's time is over."""
        watches = self.keeper.watches
        watches[:] = [replace(watch, is_ending=watch.address == address) for watch in watches]
