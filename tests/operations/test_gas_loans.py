"""Coins lent for the fee of a token's transfer: once per transfer, and a loan that left the chain stops nobody."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.lab.simnode import SimNode

from paynode.domain.money import Asset

DOLLARS = 10**6


@pytest.fixture
def node(tmp_path: Path) -> SimNode:
    return SimNode(tmp_path)


async def paid(node: SimNode) -> str:
    """An invoice whose money is ready to be collected."""
    await node.mine()
    node.fund_gas()
    invoice = node.create("1000")
    node.pay(invoice, 1000 * DOLLARS)
    while not node.deposits(invoice) or node.deposits(invoice)[0].stage != "settled":
        await node.mine()
    return invoice


async def test_a_first_loan_that_a_second_one_followed_may_leave_the_chain(node: SimNode) -> None:
    await paid(node)
    world = node.worlds["alpha"]
    await node.plan()
    await node.send()
    await node.mine()
    world.gas_price *= 4
    await node.send()
    assert [record.purpose for record in node.outgoing()] == ["top_up", "top_up"]
    world.reorg(1, keep=False)
    await node.look()
    node.clock.advance(timedelta(minutes=4))
    await node.send()
    await node.turn(40)
    assert [item.state for item in node.items()] == ["completed"]
    node.check_settled()


async def test_a_provider_that_has_not_seen_a_loan_yet_does_not_cause_a_second_one(
    node: SimNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    await paid(node)
    await node.plan()
    await node.send()
    await node.mine()

    async def stale(asset: Asset, address: str) -> int:
        return 0

    with monkeypatch.context() as patched:
        patched.setattr(node.chains["alpha"], "balance_units", stale)
        await node.send()
    assert [record.purpose for record in node.outgoing()] == ["top_up"]
    await node.turn(20)
    assert [item.state for item in node.items()] == ["completed"]
    node.check_settled()


async def test_a_sweep_costs_both_its_transactions_also_after_a_reorganisation(node: SimNode) -> None:
    await paid(node)
    await node.turn(20)
    [item] = node.items()
    cost = sum(record.receipt_fee or 0 for record in node.outgoing())
    assert (item.state, item.fee) == ("completed", cost)
    node.worlds["alpha"].reorg(19, keep=True)
    await node.look()
    assert [item.state for item in node.items()] == ["broadcasting"]
    await node.mine()
    node.resume()
    await node.turn(20)
    [item] = node.items()
    assert (item.state, item.fee) == ("completed", cost)
    node.check_settled()
