"""The carousel under pressure: no invoice is paid by another's money, and all money is visible and swept (I9, A14).

Method: a shop sells at a few prices, so twins are common, and lets addresses rest for ten minutes only. Each transfer
is noted with the invoice that its payer means. Payers are on time, late, late after their address was passed on, slow,
or wrong about the coin; the chain reorganises, and blocks are made that nobody has looked at. What the node says in the
end is held against what the payers meant.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from tests.lab.simnode import SimNode

from paynode.domain.addresses import AddressMode, AddressPolicy
from paynode.operations.assigning import assign
from paynode.store import deposits
from paynode.store.database import Tx
from paynode.store.deposits import PlacedDeposit

DOLLAR = 10**6
PRICES = (101, 103, 107, 109)  # no half of one is another
SHORT = AddressPolicy(AddressMode.REUSE, timedelta(minutes=10))
ORDERS_PER_ROUND = 25
TURNS_MAX = 20  # until all is collected

ONE_NETWORK = """
[networks.alpha]
family = "sim"
confirmations = 2
tokens = { usdt = { decimals = 6, stable = true }, usdc = { decimals = 6, stable = true } }
sweep = { every = "0s" }

[rates]
static = { "usdt/USD" = "1", "usdc/USD" = "1", "sim/USD" = "2000" }
"""


@dataclass(frozen=True)
class Order:
    invoice_id: str
    address: str
    price: int


@dataclass
class Town:
    """A shop, its payers, and what they mean."""

    node: SimNode
    random: Random
    orders: list[Order] = field(default_factory=list)
    meant: dict[str, str] = field(default_factory=dict)  # transaction -> invoice
    on_time: list[str] = field(default_factory=list)  # invoices that were paid exactly and in time
    late: list[Order] = field(default_factory=list)  # whose payers will send their money when it is too late

    def sell(self) -> Order:
        price = self.random.choice(PRICES)
        invoice_id = self.node.create(str(price), address_policy=SHORT)
        order = Order(invoice_id, self.node.address(invoice_id), price)
        self.orders.append(order)
        return order

    def pay(self, order: Order, units: int, method: str = "alpha_usdt") -> None:
        tx_hash = self.node.worlds["alpha"].pay(order.address, method, units)
        self.meant[tx_hash] = order.invoice_id

    async def round(self) -> None:
        """An hour of business."""
        new = [self.sell() for _ in range(ORDERS_PER_ROUND)]
        slow = []
        for order in new:
            match self.random.choices(["pays", "slow", "late", "wrong coin"], [6, 1, 3, 1])[0]:
                case "pays":
                    self.pay(order, order.price * DOLLAR)
                    self.on_time.append(order.invoice_id)
                case "slow":
                    self.pay(order, order.price * DOLLAR // 2)
                    slow.append(order)
                case "late":
                    self.late.append(order)
                case _:
                    self.pay(order, order.price * DOLLAR, "alpha_usdc")
        self.some_late_ones_pay(0.2)  # in the same block as everybody else
        await self.node.mine()
        if self.random.random() < 0.3:
            self.node.worlds["alpha"].reorg(self.random.randint(1, 2), keep=True)
        for order in slow:
            self.pay(order, order.price * DOLLAR - order.price * DOLLAR // 2)
        await self.collect()
        self.node.clock.advance(timedelta(minutes=30))
        self.some_late_ones_pay(0.2)  # before their addresses are passed on, most of them
        await self.node.turn()
        if self.random.random() < 0.5:
            await self.collect()
        self.node.clock.advance(timedelta(minutes=11))
        await self.node.mine()
        if self.random.random() < 0.5:  # and some in blocks that the node has not seen when it passes addresses on
            self.some_late_ones_pay(0.2)
            self.node.clock.advance(timedelta(seconds=self.random.randint(0, 90)))
            self.node.worlds["alpha"].mine()
            self.node.clock.advance(timedelta(seconds=self.random.randint(0, 90)))

    def some_late_ones_pay(self, share: float) -> None:
        for order in [order for order in self.late if self.random.random() < share]:
            self.late.remove(order)
            self.pay(order, order.price * DOLLAR)

    async def close(self) -> None:
        self.some_late_ones_pay(1)
        await self.collect()

    async def collect(self) -> None:
        for _ in range(TURNS_MAX):
            await self.node.turn()
            if not self.node.rows("select 1 from deposits where stage <> 'orphaned' and sweep_state <> 'swept'"):
                return
        raise AssertionError("the money is not collected")

    def every_deposit(self) -> list[PlacedDeposit]:
        def read(tx: Tx) -> list[PlacedDeposit]:
            return [deposits.placed(tx, deposit_id) for (deposit_id,) in tx.rows("select id from deposits order by id")]

        return [placed for placed in self.node.database.read(read) if placed.deposit.stage != "orphaned"]


@pytest.mark.parametrize(("rounds", "seed"), [(16, 1), (3, 2), (3, 3), (3, 4)])
async def test_no_invoice_is_paid_by_anothers_money(tmp_path: Path, rounds: int, seed: int) -> None:
    node = SimNode(tmp_path, ONE_NETWORK)
    await node.look()
    node.fund_gas()
    await node.mine(2)
    town = Town(node, Random(seed))
    for _ in range(rounds):
        await town.round()
    await town.close()

    found = town.every_deposit()
    assert {placed.row.tx_hash for placed in found} == town.meant.keys()
    taken = [placed for placed in found if placed.deposit.invoice_id not in {None, town.meant[placed.row.tx_hash]}]
    assert taken == []
    assert {placed.deposit.sweep_state for placed in found} == {"swept"}
    assert {node.states(invoice_id) for invoice_id in town.on_time} == {("paid", "exact")}
    strays = [placed for placed in found if placed.deposit.invoice_id is None]
    (told,) = node.rows("select count(distinct subject) from events where type = 'deposit.unattributed'")
    assert told[0] >= len(strays) > 0
    node.check_settled()

    addresses = {order.address for order in town.orders}
    assert len(addresses) < len(town.orders)
    (reused,) = node.rows("select count(*) from events where type = 'address.reused'")
    assert reused == (len(town.orders) - len(addresses),)
    assert all(
        node.worlds["alpha"].units(each, method) == 0 for each in addresses for method in ("alpha_usdt", "alpha_usdc")
    )

    for placed in strays:
        node.database.write(assign, node.catalogue, placed.deposit.id, town.meant[placed.row.tx_hash], node.clock())
    node.check_settled()
    assert {node.states(order.invoice_id)[1] for order in town.orders} == {"exact"}
