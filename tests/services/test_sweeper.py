"""The sweeper: prices that cannot be had hold up nothing but what they are the price of."""

from functools import partial
from pathlib import Path

import pytest
import trio
from tests.lab.simnode import SimNode

from paynode.chains.base import Fees, WouldRevert
from paynode.domain.money import Asset
from paynode.services import sweeper

DOLLARS = 10**6


@pytest.fixture
async def node(tmp_path: Path) -> SimNode:
    node = SimNode(tmp_path)
    await node.look()
    node.fund_gas()
    return node


async def paid(node: SimNode, method: str, units: int) -> str:
    invoice_id = node.create("100", methods=[method])
    node.pay(invoice_id, units, method)
    await node.mine(3)
    return invoice_id


async def test_a_fee_that_cannot_be_estimated_delays_its_own_method_only(
    node: SimNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    coins, tokens = await paid(node, "alpha_sim", 5 * 10**16), await paid(node, "alpha_usdt", 100 * DOLLARS)
    network = node.chains["alpha"]
    fees = network.fees

    async def partly(asset: Asset, sender: str, recipient: str) -> Fees:
        if asset.contract is None:
            raise WouldRevert("the treasury takes no coins")
        return await fees(asset, sender, recipient)

    monkeypatch.setattr(network, "fees", partly)
    await node.plan()
    waits = {node.deposits(invoice_id)[0].sweep_wait for invoice_id in (coins, tokens)}
    assert waits == {"fee_unknown", None}
    node.check()


async def test_an_outage_stops_planning_and_not_the_loop(node: SimNode, autojump_clock: trio.testing.MockClock) -> None:
    await paid(node, "alpha_usdt", 100 * DOLLARS)
    beats: list[None] = []
    run = partial(
        sweeper.run,
        node.database,
        node.catalogue,
        node.chains["alpha"],
        clock=node.clock,
        beat=partial(beats.append, None),
    )
    node.worlds["alpha"].outage = True
    with trio.move_on_after(3 * sweeper.ROUND_SECONDS + 1):
        await run()
    assert (len(beats), node.sweeps()) == (4, [])
    node.worlds["alpha"].outage = False
    with trio.move_on_after(1):
        await run()
    assert [sweep.state for sweep in node.sweeps()] == ["queued"]
    node.check()


async def test_nothing_to_collect_asks_the_network_nothing(node: SimNode) -> None:
    node.worlds["alpha"].outage = True
    await sweeper.plan(node.database, node.catalogue, node.chains["alpha"], node.clock)
    assert node.sweeps() == []
