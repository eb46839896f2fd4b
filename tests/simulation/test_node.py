"""The whole node on simulated networks, at random: payments, reorganisations, outages, crashes at every commit and
network call, services that interleave at every await. In the end, money in equals money accounted for.

A run is repeated by its seed, which a failure prints.
"""

import random
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from tests.lab.simnode import ETHER, GAS, SimNode

from paynode.chains.base import Unavailable
from paynode.chains.sim.adapter import SimChain
from paynode.chains.sim.world import World
from paynode.domain.errors import Rejected
from paynode.operations import invoices, networks
from paynode.operations.expiry import expire_without_address
from paynode.services import scanner, sweeper
from paynode.store import database as databases
from paynode.store.database import Database

STEPS = 250
SETTLING_TURNS = 60
CHECKED_SHARE = 0.2  # reckoning all books anew takes longer than a step
SEEDS = range(5)
SOAK_SEEDS = range(100, 400)


Life = Callable[[int], Awaitable[None]]


class Crash(BaseException):
    """The process dies here."""


class ShakyChain(SimChain):
    """A network before whose every answer, and after it, anything may happen."""

    def __init__(self, network: str, world: World, *, confirmations: int) -> None:
        super().__init__(network, world, confirmations=confirmations)
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def _reached(self) -> World:
        world = await super()._reached()
        if self.meanwhile is not None:
            await self.meanwhile()
        return world


class Run:
    """One random life of a node."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.path = folder / "paynode.db"
        databases.create(self.path)
        self.crash_chance = 0.0
        self.interleaving = 0.0
        self.depth = 0
        self.crashes = 0
        self.scanning: set[str] = set()
        self.node = SimNode(folder, database=self._open())
        for name in list(self.node.chains):
            world, depth = self.node.worlds[name], self.node.catalogue.networks[name].confirmations
            shaky = ShakyChain(name, world, confirmations=depth)
            shaky.meanwhile = self._meanwhile
            self.node.chains[name] = shaky
        self.node.restart()

    def _open(self) -> Database:
        return databases.open(self.path, before_commit=self._perhaps_crash, after_commit=self._perhaps_crash)

    def _perhaps_crash(self, point: str = "") -> None:
        if self.random.random() < self.crash_chance:
            raise Crash

    async def _meanwhile(self) -> None:
        """While one service awaits the network, others get their turn; and the process may end."""
        self._perhaps_crash()
        if self.depth < 2 and self.random.random() < self.interleaving:
            self.depth += 1
            try:
                await self.serve()
            finally:
                self.depth -= 1

    async def life(self) -> None:
        for name in self.node.chains:
            await self.node.look(name)
            self.node.fund_gas(name)
        self.crash_chance, self.interleaving = 0.01, 0.15
        for _ in range(STEPS):
            action = self.random.choices(*zip(*self.actions(), strict=True))[0]
            await self.survived(action)
            if self.random.random() < CHECKED_SHARE:
                self.node.check()
        self.crash_chance = 0.0
        await self.settle()

    async def survived(self, action: Callable[[], Awaitable[object]]) -> None:
        """Take a step; after a crash, begin again from the file."""
        try:
            with suppress(Rejected):
                await action()
        except Crash:
            self.crashes += 1
            self.scanning.clear()
            self.node.database.close()
            chance, self.crash_chance = self.crash_chance, 0.0
            self.node.start(self._open())
            self.crash_chance = chance

    def actions(self) -> list[tuple[Callable[[], Awaitable[object]], int]]:
        return [
            (self.serve, 40),
            (self.mine, 20),
            (self.create, 8),
            (self.pay, 16),
            (self.provision, 2),
            (self.decide, 3),
            (self.reorganise, 3),
            (self.break_or_mend, 2),
            (self.wait, 3),
            (self.change_prices, 2),
            (self.acknowledge, 2),
            (self.drain_gas, 1),
        ]

    # The services.

    async def serve(self) -> None:
        """One step of one service on one network."""
        node = self.node
        name = self.random.choice(list(node.chains))
        match self.random.randrange(5):
            case 0 | 1:
                await self.scan(name)
            case 2:
                await self.unless_unavailable(
                    lambda: sweeper.plan(node.database, node.catalogue, node.chains[name], node.clock)
                )
            case 3:
                if self.depth == 0:  # a network has one lane, and it is sequential
                    await self.unless_unavailable(node.lanes[name].one_pass)
            case _:
                node.database.write(expire_without_address, node.catalogue, node.clock())

    async def scan(self, name: str) -> None:
        node = self.node
        if name in self.scanning:  # a network has one scanner
            return
        self.scanning.add(name)
        try:
            await scanner.tick(node.database, node.catalogue, node.chains[name], node.clock)
        except Unavailable as trouble:
            node.database.write(networks.note_trouble, node.catalogue, name, str(trouble), node.clock())
        finally:
            self.scanning.discard(name)

    async def unless_unavailable(self, step: Callable[[], Awaitable[object]]) -> None:
        with suppress(Unavailable):
            await step()

    # People.

    async def create(self) -> None:
        methods = self.random.sample(list(self.node.catalogue.assets), self.random.randint(1, 3))
        amount = str(self.random.randint(1, 500))
        self.node.create(amount, methods=methods, provision=self.random.random() < 0.8)

    async def provision(self) -> None:
        if invoice_id := self.an_invoice():
            method = self.random.choice(self.node.invoice(invoice_id).methods).method
            self.node.provision(invoice_id, method)

    async def decide(self) -> None:
        if invoice_id := self.an_invoice():
            self.node.act(self.random.choice([invoices.cancel, invoices.accept, invoices.requote]), invoice_id)

    async def pay(self) -> None:
        """To one or two invoices in one transaction, mostly as they asked."""
        payments = []
        for _ in range(self.random.choice([1, 1, 1, 2])):
            if (payment := self.a_payment()) is not None:
                payments.append(payment)
        network = {method.partition("_")[0] for _, method, _ in payments}
        if len(network) == 1:
            self.node.worlds[network.pop()].pay_many(payments, reverts=self.random.random() < 0.05)

    def a_payment(self) -> tuple[str, str, int] | None:
        invoice_id = self.an_invoice()
        if invoice_id is None:
            return None
        loaded = self.node.invoice(invoice_id)
        if not loaded.addresses:
            return None
        address = next(iter(loaded.addresses.values())).address
        method = self.random.choice(loaded.methods).method
        if self.random.random() < 0.1:
            method = self.random.choice(list(self.node.catalogue.assets))
        units = loaded.quotes[method][-1].units if method in loaded.quotes else self.random.randint(1, 10**7)
        share = self.random.choice([100, 100, 100, 50, 30, 120, 1])
        return address, method, max(units * share // 100, 1)

    def an_invoice(self) -> str | None:
        ids = [row[0] for row in self.node.rows("select id from invoices order by id desc limit 12")]
        return self.random.choice(ids) if ids else None

    async def acknowledge(self) -> None:
        self.node.resume()

    # The world.

    async def mine(self) -> None:
        self.node.clock.advance(timedelta(seconds=self.random.choice([1, 2, 12])))
        self.world().mine(self.random.randint(1, 3))

    async def reorganise(self) -> None:
        world = self.world()
        depth = self.random.randint(1, 6)
        if depth >= world.head.number:
            return
        keep = self.random.choice([True, True, False])
        world.reorg(depth, keep=keep, reordered=self.random.random() < 0.3)

    async def break_or_mend(self) -> None:
        world = self.world()
        world.outage = not world.outage

    async def wait(self) -> None:
        self.node.clock.advance(timedelta(minutes=self.random.choice([1, 4, 20, 60 * 24])))

    async def change_prices(self) -> None:
        world = self.world()
        world.gas_price = max(world.gas_price * self.random.choice([1, 2, 5]) // self.random.choice([1, 2, 6]), 10**8)

    async def drain_gas(self) -> None:
        world = self.world()
        if world.units(GAS, world.native) < ETHER:
            world.fund(GAS, world.native, self.random.choice([10**12, ETHER]))

    def world(self) -> World:
        return self.random.choice(list(self.node.worlds.values()))

    # The end.

    async def settle(self) -> None:
        self.interleaving = 0.0
        node = self.node
        for world in node.worlds.values():
            world.outage = False
            world.gas_price = 10**9
            world.fund(GAS, world.native, 10 * ETHER)
        for _ in range(SETTLING_TURNS):
            node.resume()
            node.clock.advance(timedelta(seconds=20))
            await node.turn()
        node.check_settled()


@pytest.fixture
async def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Awaitable[None]]:
    async def live(seed: int) -> None:
        print(f"seed {seed}")
        run = Run(tmp_path, seed)
        monkeypatch.setattr(secrets, "randbits", run.random.getrandbits)  # ids sort the same way in every run
        await run.life()

    return live


@pytest.mark.parametrize("seed", SEEDS)
async def test_money_in_is_money_accounted_for(live: Life, seed: int) -> None:
    await live(seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", SOAK_SEEDS)
async def test_money_in_is_money_accounted_for_in_many_lives(live: Life, seed: int) -> None:
    await live(seed)
