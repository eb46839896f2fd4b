"""A node in process: its database, its services' single steps, and the simulated networks it follows.

Nothing runs by itself: a test moves the clock, makes blocks and lets each service take one step. `check` is what
must hold at any moment, whatever happened before.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.lab.one_by_one import check_judged
from tests.lab.shop import Clock, sim_config

from paynode.chains.base import Chain
from paynode.chains.sim import keys
from paynode.chains.sim.adapter import SimChain
from paynode.chains.sim.world import World
from paynode.config import Family
from paynode.domain.ledger import ON_CHAIN, Account
from paynode.operations import invoices as operations
from paynode.operations import loading, outflows, startup
from paynode.operations.audit import audit
from paynode.operations.catalogue import Catalogue
from paynode.operations.creating import CreateInvoice, create_invoice
from paynode.operations.expiry import expire_without_address
from paynode.operations.loading import LoadedInvoice
from paynode.services import scanner, sweeper
from paynode.services.sender import Lane
from paynode.store import chain, deposits, ledger, outgoing
from paynode.store import database as databases
from paynode.store.database import Database
from paynode.store.deposits import DepositRecord
from paynode.store.outgoing import OutgoingRecord, VersionRecord
from paynode.store.sweeps import ITEM, SWEEP, ItemRecord, SweepRecord

ETHER = 10**18
BLOCK = timedelta(seconds=2)
TREASURY = "sim1" + "7e" * 20
GAS = keys.gas_address(0)

TWO_NETWORKS = """
[networks.alpha]
family = "sim"
tokens = { usdt = { decimals = 6, stable = true }, usdc = { decimals = 6, stable = true } }
sweep = { every = "0s" }

[networks.beta]
family = "sim"
confirmations = 3
sweep = { every = "0s" }

[rates]
static = { "usdt/USD" = "1", "usdc/USD" = "1", "sim/USD" = "2000" }
"""


def derive(family: str, account: int, index: int) -> str:
    assert family == Family.SIM
    return keys.deposit_address(account, index)


class SimNode:
    """One node and its world."""

    def __init__(self, folder: Path, toml: str = TWO_NETWORKS, *, database: Database | None = None) -> None:
        self.clock = Clock()
        self.config = sim_config(folder, toml)
        self.worlds = {
            network.name: World(network.assets[0].method, self.clock, seed=network.name)
            for network in self.config.enabled_networks
        }
        self.chains: dict[str, Chain] = {
            network.name: SimChain(network.name, self.worlds[network.name], confirmations=network.confirmations)
            for network in self.config.enabled_networks
        }
        self.passed: list[str] = []  # the sender's points
        self.start(databases.in_memory() if database is None else database)

    def start(self, database: Database) -> None:
        """Begin anew from what the database holds, as after a crash."""
        self.database = database
        branch = startup.Branch(Family.SIM, 0, xpub="", gas_address=GAS)
        self.catalogue: Catalogue = database.write(startup.sync, self.config, [branch], self.clock())
        self.lanes = {name: self.lane(network) for name, network in self.chains.items()}

    def restart(self) -> None:
        self.start(self.database)

    def fix_rate(self, symbol: str, value: str) -> None:
        """Begin anew with another fixed rate in dollars."""
        fixed = {**self.config.static_rates, (symbol, "USD"): Decimal(value)}
        self.config = replace(self.config, static_rates=fixed)
        self.restart()

    def lane(self, network: Chain) -> Lane:
        return Lane(self.database, self.catalogue, network, keys.private_key, self.clock, self.passed.append)

    @property
    def store_id(self) -> str:
        return next(iter(self.catalogue.store_keys))

    # What merchants and payers do.

    def create(
        self, amount: str | None = "10", currency: str = "USD", methods: Sequence[str] = ("alpha_usdt",), **terms: Any
    ) -> str:
        """An invoice with its addresses, unless the terms say otherwise; returns its id."""
        asked = None if amount is None else Decimal(amount)
        command = CreateInvoice(asked, currency, methods, **{"provision": True, **terms})
        made = self.database.write(create_invoice, self.catalogue, self.store_id, command, derive, self.clock())
        return made.loaded.record.id

    def provision(self, invoice_id: str, method: str) -> LoadedInvoice:
        return self.database.write(operations.provision, self.catalogue, invoice_id, method, derive, self.clock())

    def act(self, operation: Callable[..., LoadedInvoice], invoice_id: str) -> LoadedInvoice:
        """Cancel, accept or requote."""
        return self.database.write(operation, self.catalogue, invoice_id, self.clock())

    def resume(self) -> None:
        self.database.write(outflows.resume, self.catalogue, self.clock())

    def pay(self, invoice_id: str, units: int, method: str = "alpha_usdt", **options: Any) -> str:
        return self.worlds[method.partition("_")[0]].pay(self.address(invoice_id), method, units, **options)

    def fund_gas(self, network: str = "alpha", units: int = 10 * ETHER) -> None:
        self.worlds[network].fund(GAS, f"{network}_sim", units)

    # What time does.

    async def look(self, *networks: str) -> None:
        for name in networks or self.chains:
            await scanner.tick(self.database, self.catalogue, self.chains[name], self.clock)

    async def mine(self, count: int = 1, *networks: str) -> None:
        """Blocks on the networks, each looked at."""
        for _ in range(count):
            self.clock.advance(BLOCK)
            for name in networks or self.chains:
                self.worlds[name].mine()
            await self.look(*networks)

    async def plan(self) -> None:
        for network in self.chains.values():
            await sweeper.plan(self.database, self.catalogue, network, self.clock)

    async def send(self) -> None:
        for lane in self.lanes.values():
            await lane.one_pass()

    async def turn(self, count: int = 1) -> None:
        """A block, and a step of every service."""
        for _ in range(count):
            await self.mine()
            self.database.write(expire_without_address, self.catalogue, self.clock())
            await self.plan()
            await self.send()

    # What there is.

    def invoice(self, invoice_id: str) -> LoadedInvoice:
        return self.database.read(loading.load, invoice_id)

    def states(self, invoice_id: str) -> tuple[str, str]:
        record = self.invoice(invoice_id).record
        return record.status, record.payment_state

    def address(self, invoice_id: str) -> str:
        return self.invoice(invoice_id).addresses[Family.SIM].address

    def deposits(self, invoice_id: str) -> list[DepositRecord]:
        return [placed.deposit for placed in self.database.read(deposits.of_invoice, invoice_id)]

    def every_deposit(self) -> list[DepositRecord]:
        sql = f"select {deposits.DEPOSIT.sql} from deposits order by id"
        return [deposits.DEPOSIT.decode(row) for row in self.rows(sql)]

    def sweeps(self) -> list[SweepRecord]:
        return [SWEEP.decode(row) for row in self.rows(f"select {SWEEP.sql} from sweeps order by id")]

    def items(self) -> list[ItemRecord]:
        return [ITEM.decode(row) for row in self.rows(f"select {ITEM.sql} from sweep_items order by id")]

    def outgoing(self) -> list[OutgoingRecord]:
        sql = f"select {outgoing.OUTGOING.sql} from outgoing order by id"
        return [outgoing.OUTGOING.decode(row) for row in self.rows(sql)]

    def versions(self, outgoing_id: str) -> list[VersionRecord]:
        return self.database.read(outgoing.versions, outgoing_id)

    def pauses(self) -> list[tuple[str, str]]:
        return [(record.network, record.method) for record in self.database.read(outgoing.pauses)]

    def events(self, subject: str) -> list[str]:
        sql = "select type from events where subject = ? order by sequence"
        return [kind for (kind,) in self.rows(sql, (subject,))]

    def balance(self, account: Account, method: str) -> int:
        found = self.database.read(ledger.balances)
        return sum(entry.units for entry in found if (entry.account, entry.method) == (account, method))

    def rows(self, sql: str, values: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
        return self.database.read(lambda tx: tx.rows(sql, values))

    def run(self, sql: str, values: tuple[str | int, ...] = ()) -> None:
        """Reach behind the node's back."""
        self.database.write(lambda tx: tx.run(sql, values))

    # What must hold.

    def check(self) -> None:
        """The books balance, events have no gap, every status is what its facts give, nothing is credited twice."""
        mismatches = self.database.read(audit, self.catalogue)
        assert not mismatches, "; ".join(map(str, mismatches))
        sequences = self.rows("select subject, count(*), min(sequence), max(sequence) from events group by subject")
        assert [row for row in sequences if (row[2], row[3]) != (1, row[1])] == []
        for (invoice_id,) in self.rows("select id from invoices where set_aside is null"):
            check_judged(self.catalogue, self.invoice(invoice_id), self.deposits(invoice_id), self.clock())
        for name, world in self.worlds.items():
            if self.database.read(chain.network, name).head_hash == world.head.hash:  # else a reorganisation is unseen
                self._check_against(name, world)

    def _check_against(self, name: str, world: World) -> None:
        """Nothing is credited that did not happen, and nothing twice."""
        assert not Counter(self._credited(name)) - Counter(self._truth(world))
        for method in self.catalogue.methods_of(name):
            assert self.balance(Account.TREASURY, method) <= self._collected(world, method)

    def _collected(self, world: World, method: str) -> int:
        """What lies in every treasury that there ever was."""
        treasuries = {TREASURY} | {address for (address,) in self.rows("select treasury from sweeps")}
        return sum(world.units(address, method) for address in treasuries)

    def check_settled(self) -> None:
        """Every canonical transfer is credited exactly once, and every coin of ours is in the books."""
        self.check()
        for name, world in self.worlds.items():
            assert sorted(self._truth(world)) == sorted(self._credited(name))
            for method in self.catalogue.methods_of(name):
                assert self.balance(Account.TREASURY, method) == self._collected(world, method)
                addresses = [
                    address for (address,) in self.rows("select address from watches where network = ?", (name,))
                ]
                booked = sum(self.balance(account, method) for account in ON_CHAIN)
                assert booked == sum(world.units(address, method) for address in addresses)

    def _truth(self, world: World) -> Iterator[tuple[str, str, str, int]]:
        """Customers' transfers to the addresses we gave out, by transaction."""
        ours = {address for (address,) in self.rows("select address from addresses")}
        for block in world.blocks_above(-1):
            for mined in block.mined:
                if mined.tx.is_keyed or not mined.succeeded:
                    continue
                native: dict[str, int] = {}
                for move in mined.tx.moves:
                    if move.recipient in ours and move.method == world.native:
                        native[move.recipient] = native.get(move.recipient, 0) + move.units
                    elif move.recipient in ours:
                        yield mined.tx.hash, move.recipient, move.method, move.units
                yield from ((mined.tx.hash, to, world.native, units) for to, units in native.items())

    def _credited(self, network: str) -> list[tuple[str, str, str, int]]:
        sql = (
            "select r.tx_hash, d.address, d.method, d.units from deposits d join chain_rows r on r.id = d.row_id "
            "where d.network = ? and d.stage = 'settled'"
        )
        return [
            (tx_hash, address, method, int(units)) for tx_hash, address, method, units in self.rows(sql, (network,))
        ]
