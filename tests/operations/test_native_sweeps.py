"""Sweeps of the native coin take what their deposits brought and what we lent, and nothing that is another's."""

from pathlib import Path

import pytest
from tests.lab.simnode import ETHER, SimNode

from paynode.domain.ledger import Account

COIN = "alpha_sim"


@pytest.fixture
def node(tmp_path: Path) -> SimNode:
    return SimNode(tmp_path)


async def test_a_deposit_that_becomes_final_after_the_plan_is_left_to_the_next_sweep(node: SimNode) -> None:
    await node.mine()
    invoice = node.create("4000", methods=[COIN])
    node.pay(invoice, ETHER, COIN)
    await node.mine()
    node.pay(invoice, ETHER, COIN)
    while node.deposits(invoice)[0].stage != "settled":
        await node.mine()
    await node.plan()
    await node.mine()
    assert [each.stage for each in node.deposits(invoice)] == ["settled", "settled"]
    await node.send()
    await node.turn(20)
    assert [each.sweep_state for each in node.deposits(invoice)] == ["swept", "swept"]
    assert node.balance(Account.DEPOSITS, COIN) == 0
    assert node.balance(Account.GAS, COIN) == 0
    node.check_settled()


async def test_a_plan_whose_deposit_the_chain_took_back_is_given_up(node: SimNode) -> None:
    await node.mine()
    invoice = node.create("4000", methods=[COIN])
    node.pay(invoice, ETHER, COIN)
    while not node.deposits(invoice) or node.deposits(invoice)[0].stage != "settled":
        await node.mine()
    await node.plan()
    assert node.deposits(invoice)[0].sweep_state == "scheduled"
    node.worlds["alpha"].reorg(2, keep=False)
    await node.look()
    node.pay(invoice, ETHER // 2, COIN)
    await node.mine(15)
    node.resume()
    await node.turn(20)
    assert [each.sweep_state for each in node.deposits(invoice) if each.stage == "settled"] == ["swept"]
    assert [item.state for item in node.items()] == ["failed", "completed"]
    assert node.balance(Account.DEPOSITS, COIN) == 0
    assert node.balance(Account.GAS, COIN) == 0
    node.check_settled()
