"""The node, wired: opens the store, connects the chains, starts every service in one nursery, and stops in order.

A network that fails is degraded alone. A bug in a service stops the process: the supervisor starts it again, and
every step may run twice.
"""

import gc
import os
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from types import FrameType

import structlog
import trio

from paynode import __version__
from paynode.api.app import create_app
from paynode.api.node import ApiNode
from paynode.api.server import serve as serve_http
from paynode.chains import evm
from paynode.chains.base import Chain, ProviderHealth
from paynode.chains.evm import wire as evm_wire
from paynode.chains.evm.adapter import EvmChain
from paynode.chains.evm.addresses import AddressDeriver
from paynode.chains.evm.pinning import pins_of
from paynode.chains.rpc import RpcPool
from paynode.chains.sim import keys as sim_keys
from paynode.chains.sim import miner
from paynode.chains.sim.adapter import SimChain
from paynode.chains.sim.clock import MovableClock
from paynode.chains.sim.storage import open_world
from paynode.chains.sim.world import World
from paynode.config import Config, CustodyMode, Family, Network
from paynode.domain.attention import Attention
from paynode.domain.progress import Progress
from paynode.operations import startup
from paynode.operations.catalogue import Catalogue
from paynode.operations.startup import StartupProblem
from paynode.outbound import Outbound
from paynode.seed import Seed, load_seed
from paynode.services import auditor, listing, rates, scanner, screening, sender, sweeper, timers, watchdog, webhooks
from paynode.services.simulation import Simulation
from paynode.sources.rates import RateSource, opened
from paynode.sources.screening.base import AddressSource
from paynode.sources.screening.oracle import Oracle
from paynode.sources.screening.provider import opened as opened_provider
from paynode.store import chain, provider_usage, stores
from paynode.store import database as databases
from paynode.store.crash import CrashPoints
from paynode.store.database import DISK_FULL, Database

SIM_BLOCK_SECONDS = 1.0
SIM_GAS_UNITS = 10**19  # what a simulated gas station starts with: ten coins of 18 decimals

# A loop that has not come round for this long is stuck: the watchdog then lets the supervisor restart us.
PATIENCE_SECONDS = 900.0  # of what waits for networks: past an idle scanner's heartbeat, and its longest tick
AUDIT_PATIENCE_SECONDS = 2 * auditor.INTERVAL_SECONDS
LISTING_PATIENCE_SECONDS = 2 * listing.INTERVAL_SECONDS
SHORT_PATIENCE_SECONDS = 60.0  # of what waits for nobody: these loops come round every second or two

FULL_DISK_SECONDS = 5.0

log = structlog.get_logger()


def utc_now() -> datetime:
    return datetime.now(UTC)


def jitter() -> Decimal:
    """Uniform in [0, 1): spreads retries that failed together."""
    return Decimal(secrets.randbelow(1_000_000)) / 1_000_000


def parse_tx_hash(family: str, text: str) -> str:
    """The canonical form of a transaction's hash. Raises ValueError, with a sentence for people."""
    return sim_keys.parse_tx_hash(text) if family == Family.SIM else evm_wire.parse_tx_hash(text)


@dataclass(slots=True)
class Node:
    """A running node's parts."""

    config: Config
    database: Database
    catalogue: Catalogue
    chains: Mapping[str, Chain]
    worlds: Mapping[str, World]  # of simulated networks
    simulation: Simulation | None  # of a simulated node
    sources: Sequence[RateSource]
    address_sources: Mapping[str, Sequence[AddressSource]]  # by network
    outbound: Outbound
    crash: CrashPoints
    clock: Callable[[], datetime]
    time_of_day: Callable[[], datetime]  # what the clock says, but for a simulation that was moved on
    started_at: datetime
    xpubs: Mapping[int, str]  # of EVM branches, by account
    attention: Attention = field(default_factory=partial(Attention, trio.current_time))
    derivers: dict[int, AddressDeriver] = field(default_factory=dict)
    seed: Seed | None = None

    def derive(self, family: str, account: int, index: int) -> str:
        """The deposit address of one store's branch."""
        if family == Family.SIM:
            return sim_keys.deposit_address(account, index)
        return self._deriver(account).address_at(index)

    def _deriver(self, account: int) -> AddressDeriver:
        deriver = self.derivers.get(account)
        if deriver is None:
            deriver = self.derivers[account] = AddressDeriver(self.xpubs[account])
        return deriver

    def keys_of(self, network: Network) -> Callable[[str], bytes] | None:
        """Where the sender gets its keys for a network; None: this node holds none."""
        if network.family is Family.SIM:
            return sim_keys.private_key
        return self._real_key if self.config.custody.mode is CustodyMode.HOT else None

    def _real_key(self, path: str) -> bytes:
        return self.open_seed().private_key(path)

    def open_seed(self) -> Seed:
        if self.seed is None:
            self.seed = load_seed(self.config.custody)
        assert self.seed is not None, "hot custody has a mnemonic"
        return self.seed

    def providers(self, network: str) -> Sequence[ProviderHealth]:
        """Those of a network; none of one that is not followed."""
        return self.chains[network].providers() if network in self.chains else ()

    def warm_up(self) -> None:
        """Import and derive what the first address and the first signature need; slow, so it runs in a thread."""
        for account in self.xpubs:
            self._deriver(account)
        if any(network.family is Family.EVM for network in self.catalogue.networks.values()):
            evm.warm()
            if self.config.custody.mode is CustodyMode.HOT:
                self._check_seed()

    def _check_seed(self) -> None:
        """Refuse to go on with a mnemonic that is not the one this database's addresses come from (I24)."""
        seed = self.open_seed()
        for account, xpub in self.xpubs.items():
            if seed.account_xpub(account) != xpub:
                raise StartupProblem(
                    f"The mnemonic is not the one that account {account} of this database was made from: what was paid "
                    "to its addresses could not be collected. Put the right mnemonic back."
                )


def run_daemon(config: Config) -> None:
    """Run the node until SIGTERM or SIGINT.

    Raises:
        DatabaseProblem, StartupProblem: it cannot start; the message says what to do.
    """
    trio.run(_until_signalled, config)


async def _until_signalled(config: Config) -> None:
    """Serve until told to stop.

    The handlers stay for good. A signal often comes twice, from the terminal or systemd and once more from the frozen
    program's first process, which passes on what it gets: the second must not cut the shutdown short.
    """
    stop = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def told(number: int, frame: FrameType | None) -> None:
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(stop.set, idempotent=True)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    await serve(config, stop=stop)


async def serve(
    config: Config,
    *,
    stop: trio.Event,
    clock: Callable[[], datetime] = utc_now,
    task_status: trio.TaskStatus[Sequence[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stop` is set; reports the URLs it listens on once it does."""
    async with _opened(config, clock) as node:
        progress = Progress(trio.current_time)
        async with trio.open_nursery() as services:
            for name, network in node.chains.items():
                await _start_network(services, node, name, network, progress)
            await _start_common(services, node, progress)
            async with trio.open_nursery() as front:  # ends once the last request under way is answered
                app = create_app(_api_node(node, progress, stop))
                urls = await front.start(partial(serve_http, app, config.node.listen, stop=stop))
                async with trio.open_nursery() as working:  # "Working" is said no more once "Stopping" is
                    await working.start(watchdog.run, progress, urls)
                    log.info("ready", version=__version__, listen=list(urls), networks=sorted(node.chains))
                    task_status.started(urls)
                    await trio.to_thread.run_sync(node.warm_up)
                    with _settled():
                        await stop.wait()
                    working.cancel_scope.cancel()
                log.info("stopping")
                await watchdog.stopping()
            services.cancel_scope.cancel()


@contextmanager
def _settled() -> Iterator[None]:
    """Leave what is there by now out of garbage collection: it stays, and to walk through it keeps requests waiting."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def _start_common(services: trio.Nursery, node: Node, progress: Progress) -> None:
    """Start the loops that no network owns."""
    database, catalogue, clock = node.database, node.catalogue, node.clock
    beat = progress.beater("webhooks", SHORT_PATIENCE_SECONDS)
    run = partial(
        webhooks.run,
        database,
        catalogue,
        node.outbound,
        clock=clock,
        time_of_day=node.time_of_day,
        jitter=jitter,
        beat=beat,
        passing=node.crash.passing,
    )
    await services.start(_outlast, run)
    beat = progress.beater("timers", SHORT_PATIENCE_SECONDS)
    await services.start(_outlast, partial(timers.run, database, catalogue, clock=clock, beat=beat))
    beat = progress.beater("auditor", AUDIT_PATIENCE_SECONDS)
    path = node.config.node.database
    await services.start(_outlast, partial(auditor.run, database, catalogue, path, clock=clock, beat=beat))
    beat = progress.beater("screening", PATIENCE_SECONDS)
    parsers = {network.family: node.chains[name].parse_address for name, network in catalogue.networks.items()}
    screen = partial(screening.run, database, catalogue, parsers.values(), node.address_sources)
    await services.start(_outlast, partial(screen, clock=clock, beat=beat))
    if node.sources:
        beat = progress.beater("rates", SHORT_PATIENCE_SECONDS)
        await services.start(_outlast, partial(rates.run, database, catalogue, node.sources, clock=clock, beat=beat))


async def _start_network(services: trio.Nursery, node: Node, name: str, network: Chain, progress: Progress) -> None:
    """Start the loops of one network."""
    database, catalogue, clock = node.database, node.catalogue, node.clock
    beat = progress.beater(f"scanner:{name}", PATIENCE_SECONDS)
    look = partial(scanner.run, database, catalogue, network, attention=node.attention, clock=clock, beat=beat)
    await services.start(_outlast, look)
    beat = progress.beater(f"sweeper:{name}", PATIENCE_SECONDS)
    await services.start(_outlast, partial(sweeper.run, database, catalogue, network, clock=clock, beat=beat))
    beat = progress.beater(f"listing:{name}", LISTING_PATIENCE_SECONDS)
    await services.start(partial(listing.run, database, catalogue, network, clock=clock, beat=beat))
    private_key = node.keys_of(node.catalogue.networks[name])
    if private_key is not None:
        beat = progress.beater(f"sender:{name}", PATIENCE_SECONDS)
        run = partial(
            sender.run, database, catalogue, network, private_key, clock=clock, beat=beat, passing=node.crash.passing
        )
        await services.start(_outlast, run)
    if name in node.worlds:
        services.start_soon(miner.run, node.worlds[name], SIM_BLOCK_SECONDS)


async def _outlast(
    run: Callable[..., Awaitable[None]], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Run a service; while the disk is full it waits, and begins anew once there is room: every step may run twice.

    Meanwhile nothing is sent, since signed bytes must be stored first.
    """
    while True:
        is_full = False
        try:
            await run(task_status=task_status)
        except* DISK_FULL as full:
            is_full = True
            log.error("disk_full", reason=str(full.exceptions[0]))
        if not is_full:
            return
        task_status = trio.TASK_STATUS_IGNORED  # it reported when it began
        await trio.sleep(FULL_DISK_SECONDS)


@asynccontextmanager
async def _opened(config: Config, time_of_day: Callable[[], datetime]) -> AsyncIterator[Node]:
    """Everything a node holds open."""
    clock = MovableClock(time_of_day)
    crash = CrashPoints(os.environ)
    database = databases.open(config.node.database, before_commit=crash.before_commit, after_commit=crash.after_commit)
    async with AsyncExitStack() as stack:
        stack.callback(database.close)
        worlds = {
            network.name: _world(config, network, clock)
            for network in config.enabled_networks
            if network.family is Family.SIM
        }
        for world in worlds.values():
            clock.reach(world.head.at)  # a simulation that was moved on goes on from there
        catalogue = database.write(startup.sync, config, (), clock())
        simulation = Simulation(database, worlds, catalogue.family, clock) if worlds else None
        chains: dict[str, Chain] = {}
        for name, network in catalogue.networks.items():
            chain: Chain = _sim(network, worlds[name]) if name in worlds else _evm(network, database, clock)
            stack.push_async_callback(chain.aclose)
            chains[name] = chain
        sources = opened(config.rates.sources, clock)
        for source in sources:
            stack.push_async_callback(source.aclose)
        address_sources = _address_sources(config, chains)
        for each in (each for found in address_sources.values() for each in found):
            stack.push_async_callback(each.aclose)
        outbound = await stack.enter_async_context(Outbound(config.webhook_allow))
        branches = database.read(stores.accounts)
        xpubs = {branch.account: branch.xpub for branch in branches if branch.family == Family.EVM}
        yield Node(
            config,
            database,
            catalogue,
            chains,
            worlds,
            simulation,
            sources,
            address_sources,
            outbound,
            crash,
            clock,
            time_of_day,
            clock(),
            xpubs,
        )


def _address_sources(config: Config, chains: Mapping[str, Chain]) -> Mapping[str, Sequence[AddressSource]]:
    """By network, who beside our lists is asked about the senders of deposits."""
    found: dict[str, list[AddressSource]] = {}
    provider = config.screening.provider
    for name, network in chains.items():
        oracle = config.networks[name].sanctions_oracle
        if oracle is not None and isinstance(network, EvmChain):
            found.setdefault(name, []).append(Oracle(partial(network.is_sanctioned, oracle)))
        if provider is not None:
            found.setdefault(name, []).append(opened_provider(provider))
    return found


def _evm(network: Network, database: Database, clock: Callable[[], datetime]) -> EvmChain:
    assert network.chain_id is not None, "the config wants one"
    counted = database.read(provider_usage.counted, network.name)
    pool = RpcPool(network.rpc, chain_id=network.chain_id, budget=network.budget, clock=clock, counted=counted)
    pool.identity.pins = pins_of(database.read(chain.checkpoints, network.name), network.reorg_horizon)
    return EvmChain(network.name, network.chain_id, network.assets, pool, depth=network.confirmations)


def _sim(network: Network, world: World) -> SimChain:
    return SimChain(network.name, world, confirmations=network.confirmations)


def _world(config: Config, network: Network, clock: Callable[[], datetime]) -> World:
    """The simulated network, as it was when the node stopped, with coins at every gas station."""
    native = network.assets[0].method
    world = open_world(config.node.data_dir / f"sim-{network.name}.json", native, clock)
    for store in config.stores.values():
        address = sim_keys.gas_address(store.account)
        if world.units(address, native) == 0:
            world.fund(address, native, SIM_GAS_UNITS)
    return world


def _api_node(node: Node, progress: Progress, stop: trio.Event) -> ApiNode:
    return ApiNode(
        database=node.database,
        catalogue=node.catalogue,
        derive=node.derive,
        parse_tx_hash=parse_tx_hash,
        clock=node.clock,
        check_outbound=node.outbound.check,
        version=__version__,
        started_at=node.started_at,
        health=progress.report,
        stopping=stop,
        attention=node.attention,
        providers=node.providers,
        simulation=node.simulation,
    )
