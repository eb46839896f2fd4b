"""What a network costs in calls: a day at the tip, and catching up after a day offline. Real code on simulated time."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import trio
import trio.testing
from eth_utils import to_checksum_address
from tests.bench.chain import CHAIN_ID, GENESIS_SECONDS, MemoryChain, pool_of
from tests.bench.report import Line

from paynode.chains.evm.adapter import EvmChain
from paynode.config import Config, Family, load_config
from paynode.domain.attention import Attention
from paynode.operations import startup
from paynode.operations.catalogue import Catalogue
from paynode.operations.creating import CreateInvoice, create_invoice
from paynode.services import scanner
from paynode.store import database as databases
from paynode.store.database import Database

BLOCK_SECONDS = (12.0, 2.0, 0.25)
OPEN = (0, 100, 300, 3000)
DAY = timedelta(days=1)
SPAN, SPAN_OF_MANY = timedelta(hours=6), timedelta(hours=2)  # of a day, which is as its parts
MANY = 1000
CALLS_A_DAY_IDLE, CALLS_A_DAY = 600, 12_000  # with nothing open, and with up to 300 invoices
DEPOSITS = 20
SETTLING = timedelta(hours=1)
USDT, USDC = "0x" + "01" * 20, "0x" + "02" * 20
GAS = to_checksum_address("0x" + "9a" * 20)
TOML = f"""
[node]
mode = "test"
data_dir = "data"
[custody]
mnemonic_file = "mnemonic"
[networks.chain]
family = "evm"
chain_id = 31337
rpc = ["http://provider.example"]
confirmations = 12
treasury = "{to_checksum_address("0x" + "7e" * 20)}"
native = {{ symbol = "eth", decimals = 18 }}
tokens.usdt = {{ contract = "{to_checksum_address(USDT)}", decimals = 6, stable = true }}
tokens.usdc = {{ contract = "{to_checksum_address(USDC)}", decimals = 6, stable = true }}
[stores.main]
name = "Bench"
[rates]
static = {{ "usdt/USD" = "1", "usdc/USD" = "1", "eth/USD" = "2000" }}
"""


@dataclass
class World:
    """A node without services, and its network."""

    config: Config
    database: Database
    catalogue: Catalogue
    chain: MemoryChain
    providers: int = 1
    network: EvmChain = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """What a new process knows of the network: nothing but the books."""
        (network,) = self.config.enabled_networks
        pool = pool_of([self.chain] * self.providers, now, network.budget)
        self.network = EvmChain(network.name, CHAIN_ID, network.assets, pool, depth=network.confirmations)

    async def follow(self, span: timedelta) -> Counter[str]:
        """Let the scanner run for so long; returns the calls it made."""
        before = Counter(self.chain.calls)
        with trio.move_on_after(span.total_seconds()):
            attention = Attention(trio.current_time)
            await scanner.run(
                self.database, self.catalogue, self.network, attention=attention, clock=now, beat=lambda: None
            )
        return self.chain.calls - before

    def open(self, count: int) -> list[str]:
        """Addresses of so many new invoices that stay open."""
        (store_id,) = self.catalogue.store_keys
        command = CreateInvoice(
            Decimal(20), "USD", ["chain_usdt", "chain_eth"], expires_in=timedelta(days=30), provision=True
        )
        for _ in range(count):
            self.database.write(create_invoice, self.catalogue, store_id, command, _derive, now())
        return [_derive("evm", 0, index) for index in range(count)]


def now() -> datetime:
    return datetime.fromtimestamp(GENESIS_SECONDS, UTC) + timedelta(seconds=trio.current_time())


async def run() -> AsyncIterator[list[Line]]:
    """A table of days, then catching up."""
    for count in OPEN:
        for block_seconds in BLOCK_SECONDS:
            yield await simulated(partial(_day, count, block_seconds))
    for count in (0, 300):
        yield await simulated(partial(_day, count, 12.0, providers=2))
    for block_seconds in BLOCK_SECONDS:
        for state_blocks in (None, 128):
            yield await simulated(partial(_catch_up, block_seconds, state_blocks))


async def simulated(measure: Callable[[], Awaitable[list[Line]]]) -> list[Line]:
    """On a clock of its own, which leaps whenever all wait; so in a thread."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    return await trio.to_thread.run_sync(partial(trio.run, measure, clock=clock))


async def _day(count: int, block_seconds: float, *, providers: int = 1) -> list[Line]:
    with opened_world(block_seconds, providers=providers) as world:
        await world.follow(timedelta(minutes=1))
        world.open(count)
        span = SPAN_OF_MANY if count >= MANY else SPAN
        calls = await world.follow(span)
    scale = DAY / span
    target = CALLS_A_DAY_IDLE if count == 0 else CALLS_A_DAY if count <= 300 else None
    asked = "" if providers == 1 else f", {providers} providers"
    share = ", ".join(f"{method[4:]} {round(made * scale):,}" for method, made in calls.most_common(3))
    return [
        Line(
            f"calls a day, {count} open, {block_seconds:g} s blocks{asked} ({share})",
            calls.total() * scale,
            "calls",
            at_most=target,
        )
    ]


async def _catch_up(block_seconds: float, state_blocks: int | None) -> list[Line]:
    with opened_world(block_seconds) as world:
        world.chain.state_blocks = state_blocks
        await world.follow(timedelta(minutes=1))
        addresses = world.open(300)
        await world.follow(timedelta(minutes=5))
        away = int(DAY.total_seconds() / block_seconds)
        for number in range(DEPOSITS):
            height = world.chain.head + away * (2 * number + 1) // (2 * DEPOSITS)
            token, units = (USDT, 20_000_000) if number % 2 else (None, 10**16)
            world.chain.pay(height, addresses[number * 7], units, token)
        await trio.sleep(DAY.total_seconds())
        world.restart()
        calls: Counter[str] = Counter()
        waited = timedelta()
        while _confirmed(world) < DEPOSITS and waited < SETTLING:
            calls += await world.follow(timedelta(seconds=15))
            waited += timedelta(seconds=15)
        assert _confirmed(world) == DEPOSITS
    kept = "all" if state_blocks is None else f"{state_blocks}"
    return [
        Line(
            f"calls to catch up a day, {DEPOSITS} deposits, {block_seconds:g} s blocks, {kept} states",
            calls.total(),
            "calls",
            at_most=50 + 30 * DEPOSITS,
        )
    ]


def _confirmed(world: World) -> int:
    (row,) = world.database.read(lambda tx: tx.rows("select count(*) from chain_rows where confirmed_at is not null"))
    return int(row[0])


@contextmanager
def opened_world(block_seconds: float, *, providers: int = 1) -> Iterator[World]:
    with TemporaryDirectory(prefix="paynode-bench-") as folder:
        path = Path(folder) / "paynode.toml"
        path.write_text(TOML)
        (Path(folder) / "mnemonic").touch(mode=0o600)
        config = load_config(path, environ={})
    database = databases.in_memory()
    branch = startup.Branch(Family.EVM, 0, xpub="", gas_address=GAS)
    catalogue = database.write(startup.sync, config, [branch], now())
    world = World(config, database, catalogue, MemoryChain(block_seconds), providers)
    try:
        yield world
    finally:
        database.close()


def _derive(_family: str, _account: int, index: int) -> str:
    return to_checksum_address(f"0x{0xBEEF0000000000000000000000000000000000 + index:040x}")
