"""A shop on a real chain: an `EvmChain` before honest or lying providers, books in memory, tokens, addresses."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from eth_utils import to_checksum_address
from tests.lab.anvil import anvil
from tests.lab.bookkeeper import Bookkeeper
from tests.lab.client import Deployed, Lab
from tests.lab.stub import Stub, in_front_of, stub

from paynode.chains.evm.adapter import EvmChain
from paynode.chains.rpc import RpcPool
from paynode.domain.chain import Observation, Row
from paynode.domain.money import Asset

CHAIN = 31337
USDT, TETHER, NATIVE = "lab_usdt", "lab_tether", "lab_eth"
DEPTH = 3


@dataclass(frozen=True)
class Url:
    url: str
    name: str

    def reveal(self) -> str:
        return self.url


def our_address(number: int) -> str:
    return to_checksum_address(f"0x{0xBEEF0000000000000000000000000000000000 + number:040x}")


def honest(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    return answer


@dataclass(slots=True)
class Liar:
    """A provider in front of the lab whose `twist` may be exchanged at any time."""

    twist: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]] = honest
    server: Stub | None = None

    @property
    def methods(self) -> list[str]:
        assert self.server is not None
        return [method for method in self.server.methods if method != "eth_chainId"]

    def forget(self) -> None:
        assert self.server is not None
        self.server.requests.clear()


@dataclass(slots=True)
class Scene:
    lab: Lab
    assets: list[Asset]
    chain: EvmChain
    pool: RpcPool
    liars: list[Liar]
    keeper: Bookkeeper
    usdt: Deployed
    tether: Deployed
    addresses: list[str] = field(default_factory=list)

    def connect(self) -> None:
        """A new `EvmChain`, as after a restart: its memory is empty."""
        self.chain = EvmChain("lab", CHAIN, self.assets, self.pool, depth=DEPTH)

    def list_token(self, symbol: str, token: Deployed) -> str:
        """Accept another token; returns its method."""
        self.assets.append(Asset("lab", symbol, 6, token.address))
        self.connect()
        return f"lab_{symbol}"

    async def tick(self) -> Observation:
        """One tick, stored."""
        seen = await self.chain.observe(self.keeper.books())
        self.keeper.apply(seen)
        return seen

    async def settle(self, blocks: int = DEPTH) -> None:
        """Mine and look until everything found is deep enough, and once more."""
        for _ in range(blocks):
            await self.lab.mine()
            await self.tick()

    async def shop(self, count: int = 1, methods: Sequence[str] = (USDT, TETHER, NATIVE)) -> list[str]:
        """New addresses, shown after a first look."""
        if not self.keeper.checkpoints:
            await self.tick()
        new = [our_address(len(self.addresses) + number + 1) for number in range(count)]
        self.addresses += new
        for address in new:
            self.keeper.watch(address, methods, depth=DEPTH)
        return new

    def rows(self, address: str, method: str) -> list[Row]:
        return [row for row in self.keeper.standing if row.pair == (address, method)]


@asynccontextmanager
async def scene(providers: int = 0, **how: Any) -> AsyncIterator[Scene]:
    """A shop; with `providers` liars in front of the chain, honest until told otherwise, or the chain itself."""
    async with AsyncExitStack() as stack:
        lab = await stack.enter_async_context(anvil(**how))
        usdt, tether = await lab.deploy("Standard", 6), await lab.deploy("TetherLike")
        liars: list[Liar] = []
        for _ in range(providers):
            liar = Liar()
            script = in_front_of(lab, lambda call, answer, liar=liar: liar.twist(call, answer))
            liar.server = await stack.enter_async_context(stub(script))
            liars.append(liar)
        urls = [Url(liar.server.url, f"liar{number}") for number, liar in enumerate(liars) if liar.server]
        pool = await stack.enter_async_context(RpcPool(urls or [Url(lab.url, "node")], chain_id=CHAIN))
        assets = [
            Asset("lab", "usdt", 6, usdt.address),
            Asset("lab", "tether", 6, tether.address),
            Asset("lab", "eth", 18, None),
        ]
        chain = EvmChain("lab", CHAIN, assets, pool, depth=DEPTH)
        yield Scene(lab, assets, chain, pool, liars, Bookkeeper(), usdt, tether)
