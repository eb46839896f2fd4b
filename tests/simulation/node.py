"""The node of the detection simulation: its real operations, store and services, step by step, over networks in memory.

Nothing runs by itself. A crash leaves what was committed, and nothing that was only remembered.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from tests.simulation.evmnet import Net, SimulatedEvm, pool_of

from paynode.chains.base import DeepReorg, Unavailable
from paynode.chains.evm.wire import checksummed
from paynode.config import Config, Family, load_config
from paynode.domain.addresses import AddressPolicy
from paynode.operations import invoices, loading, networks, outflows, pace, startup
from paynode.operations.catalogue import Catalogue
from paynode.operations.creating import CreateInvoice, create_invoice
from paynode.operations.expiry import expire_without_address
from paynode.operations.loading import LoadedInvoice
from paynode.services import scanner, sweeper
from paynode.services.sender import Lane
from paynode.store import database as databases

TREASURY = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
GAS = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
CONTRACTS = {"usdt": "0x" + "71" * 20, "fee": "0x" + "72" * 20, "iss": "0x" + "73" * 20}

NETWORK = """
[networks.{name}]
family = "evm"
chain_id = {chain_id}
rpc = [{rpc}]
treasury = "{treasury}"
confirmations = {depth}
reorg_horizon = 40
tick_seconds = 120
native = {{ symbol = "eth", decimals = 18 }}
tokens = {{ {tokens} }}
"""
REST = """
[node]
mode = "test"
[invoices]
monitor_for = "1h"
[rates]
static = { "usdt/USD" = "1", "fee/USD" = "1", "iss/USD" = "1", "eth/USD" = "2000" }
"""


class Crash(BaseException):
    """The process dies here."""


def config_of(folder: Path, nets: Sequence[Net]) -> Config:
    tokens = ", ".join(f'{name} = {{ contract = "{each}", decimals = 6 }}' for name, each in CONTRACTS.items())
    parts = [
        NETWORK.format(
            name=net.name,
            chain_id=number,
            rpc=", ".join(f'"http://127.0.0.1:{port + 1}"' for port in range(len(net.views))),
            treasury=TREASURY,
            depth=net.depth,
            tokens=tokens,
        )
        for number, net in enumerate(nets, start=1)
    ]
    path = folder / "paynode.toml"
    path.write_text("".join([REST, *parts]))
    return load_config(path, environ={}, require_mnemonic=False)


@cache
def derive(family: str, account: int, index: int) -> str:
    return checksummed(f"0x{(0xA << 156) + index:040x}")


class Node:
    """One node, and what its services would do if they ran."""

    def __init__(self, folder: Path, nets: Sequence[Net], clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.nets = {net.name: net for net in nets}
        self.config = config_of(folder, nets)
        self.pools = {net.name: pool_of(net, number, clock) for number, net in enumerate(nets, start=1)}
        self.crash_at: Callable[[str], bool] = lambda point: False
        self.database = databases.in_memory(
            before_commit=lambda: self.passing("before commit"), after_commit=lambda: self.passing("after commit")
        )
        self.restart()

    def passing(self, point: str) -> None:
        if self.crash_at(point):
            self.crash_at = lambda point: False
            raise Crash

    def die(self) -> None:
        raise Crash

    def restart(self) -> None:
        """Begin from what is committed; what was remembered is lost."""
        branch = startup.Branch(Family.EVM, 0, xpub="", gas_address=GAS)
        self.catalogue: Catalogue = self.database.write(startup.sync, self.config, [branch], self.clock())
        self.chains = {
            name: SimulatedEvm(net, 1, self.catalogue.networks[name].assets, self.pools[name], depth=net.depth)
            for name, net in self.nets.items()
        }
        self.lanes = {
            name: Lane(self.database, self.catalogue, chain, lambda path: b"", self.clock, lambda point: None)
            for name, chain in self.chains.items()
        }

    async def aclose(self) -> None:
        for pool in self.pools.values():
            await pool.aclose()
        self.database.close()

    # What services do.

    async def look(self, name: str, *, is_wide: bool) -> None:
        """One turn of a network's scanner."""
        chain = self.chains[name]
        try:
            await scanner.tick(self.database, self.catalogue, chain, self.clock, is_wide=is_wide)
        except DeepReorg as reorg:
            self.database.write(networks.stop, self.catalogue, name, str(reorg), self.clock())
        except Unavailable as trouble:
            self.database.write(networks.note_trouble, self.catalogue, name, str(trouble), self.clock())

    async def send(self, name: str) -> None:
        """One round of the sweeper and of the sender."""
        with suppress(Unavailable):
            await sweeper.plan(self.database, self.catalogue, self.chains[name], self.clock)
            await self.lanes[name].one_pass()

    def tick_timers(self) -> None:
        self.database.write(expire_without_address, self.catalogue, self.clock())

    def pause_seconds(self, name: str) -> float:
        return self.database.read(pace.pause_seconds, self.catalogue, name, self.clock(), is_watched=False)

    def is_urgent(self, name: str) -> bool:
        return self.database.read(pace.is_urgent, name, self.clock())

    # What people do.

    @property
    def store_id(self) -> str:
        return next(iter(self.catalogue.store_keys))

    def create(
        self, amount: int, methods: Sequence[str], expires_in: timedelta, policy: AddressPolicy | None = None
    ) -> LoadedInvoice:
        command = CreateInvoice(
            Decimal(amount), "USD", methods, expires_in=expires_in, provision=True, address_policy=policy
        )
        made = self.database.write(create_invoice, self.catalogue, self.store_id, command, derive, self.clock())
        return made.loaded

    def cancel(self, invoice_id: str) -> None:
        self.database.write(invoices.cancel, self.catalogue, invoice_id, self.clock())

    def pause(self, name: str) -> None:
        self.database.write(outflows.pause, self.catalogue, name, "", "somebody wants to look first", self.clock())

    def resume(self) -> None:
        self.database.write(outflows.resume, self.catalogue, self.clock())

    # What there is.

    def invoice(self, invoice_id: str) -> LoadedInvoice:
        return self.database.read(loading.load, invoice_id)

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return self.database.read(lambda tx: tx.rows(sql, values))
