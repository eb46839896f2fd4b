"""A deep reorganisation drops a deposit and its sweep, and the customer pays again: the bytes that are out take it."""

from pathlib import Path

import pytest
from tests.lab.simnode import ETHER, TREASURY, SimNode

from paynode.domain.ledger import Account
from paynode.services.sender import RESEND_AFTER

COIN, USDT = "alpha_sim", "alpha_usdt"
DOLLAR = 10**6


@pytest.fixture
def node(tmp_path: Path) -> SimNode:
    return SimNode(tmp_path)


async def swept_and_lost(node: SimNode, units: int, method: str) -> str:
    """An invoice whose payment was collected for good, until the chain forgot both."""
    await node.mine()
    node.fund_gas()
    await node.look()
    height = node.worlds["alpha"].head.number
    invoice = node.create("100", methods=[method])
    node.pay(invoice, units, method)
    await node.turn(9)
    assert [item.state for item in node.items()] == ["completed"]
    lose(node, height)
    await node.look()
    node.resume()
    node.clock.advance(RESEND_AFTER)
    return invoice


def lose(node: SimNode, height: int) -> None:
    """Replace every block above `height`; nobody remembers what was in them."""
    world = node.worlds["alpha"]
    world.reorg(world.head.number - height, keep=False)


async def settle(node: SimNode) -> None:
    """Turns in which lost bytes are sent again and a pause of the reorganisation is acknowledged."""
    for _ in range(25):
        node.clock.advance(RESEND_AFTER)
        await node.turn()
        node.check()
        node.resume()


def standing(node: SimNode, invoice: str) -> list[str]:
    return [str(each.sweep_state) for each in node.deposits(invoice) if each.stage != "orphaned"]


@pytest.mark.parametrize(("method", "units"), [(USDT, 100 * DOLLAR), (COIN, ETHER)])
async def test_money_paid_again_is_collected_once_by_the_bytes_that_are_out(
    node: SimNode, method: str, units: int
) -> None:
    invoice = await swept_and_lost(node, units, method)
    node.pay(invoice, units, method)
    await settle(node)
    assert standing(node, invoice) == ["swept"]
    assert [item.state for item in node.items()] == ["completed"]
    assert node.balance(Account.DEPOSITS, method) == 0
    node.check_settled()


async def test_what_is_paid_beyond_what_the_lost_sweep_takes_is_collected_by_the_next(node: SimNode) -> None:
    invoice = await swept_and_lost(node, 100 * DOLLAR, USDT)
    node.pay(invoice, 130 * DOLLAR)
    await settle(node)
    assert standing(node, invoice) == ["swept"]
    assert [(item.state, item.units) for item in node.items()] == [
        ("completed", 100 * DOLLAR),
        ("completed", 30 * DOLLAR),
    ]
    assert node.worlds["alpha"].units(TREASURY, USDT) == 130 * DOLLAR
    node.check_settled()


async def test_what_is_paid_again_in_parts_is_given_to_the_lost_sweep_oldest_first(node: SimNode) -> None:
    invoice = await swept_and_lost(node, 100 * DOLLAR, USDT)
    for part in (60, 30, 20):
        node.pay(invoice, part * DOLLAR)
        await node.mine()
    await settle(node)
    assert standing(node, invoice) == ["swept"] * 3
    assert [item.units for item in node.items()] == [100 * DOLLAR, 10 * DOLLAR]
    node.check_settled()


async def test_less_paid_again_makes_the_lost_sweep_fail_and_is_collected_by_the_next(node: SimNode) -> None:
    invoice = await swept_and_lost(node, 100 * DOLLAR, USDT)
    node.pay(invoice, 70 * DOLLAR)
    await settle(node)
    assert standing(node, invoice) == ["swept"]
    assert node.worlds["alpha"].units(TREASURY, USDT) == 70 * DOLLAR
    node.check_settled()


async def test_the_first_payment_that_comes_back_after_it_was_replaced_is_collected_too(node: SimNode) -> None:
    """Both payments are mined in the end; the sweep that is out takes one of them."""
    await node.mine()
    node.fund_gas()
    await node.look()
    world = node.worlds["alpha"]
    height = world.head.number
    invoice = node.create("100")
    first = node.pay(invoice, 100 * DOLLAR)
    await node.turn(9)
    waiting = world.find(first)
    assert waiting is not None
    lose(node, height)
    await node.look()
    node.pay(invoice, 100 * DOLLAR)
    node.resume()
    await settle(node)
    assert standing(node, invoice) == ["swept"]
    world._past.mempool.append(waiting[1].tx)
    await settle(node)
    assert standing(node, invoice) == ["swept", "swept"]
    assert world.units(TREASURY, USDT) == 200 * DOLLAR
    node.check_settled()


async def test_a_sweep_planned_for_money_that_an_older_one_takes_is_given_up(node: SimNode) -> None:
    """The second sweep is planned and waits, when the reorganisation brings the first one back."""
    await node.mine()
    node.fund_gas()
    await node.look()
    world = node.worlds["alpha"]
    height = world.head.number
    invoice = node.create("200")
    node.pay(invoice, 100 * DOLLAR)
    await node.turn(9)
    second = node.pay(invoice, 100 * DOLLAR)
    await node.mine(3)
    await node.plan()
    assert [item.state for item in node.items()] == ["completed", "queued"]
    world.reorg(world.head.number - height, keep={second})
    await node.look()
    node.resume()
    await settle(node)
    assert standing(node, invoice) == ["swept"]
    assert [item.state for item in node.items()] == ["completed", "failed"]
    assert world.units(TREASURY, USDT) == 100 * DOLLAR
    node.check_settled()
