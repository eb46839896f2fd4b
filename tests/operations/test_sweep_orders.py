"""Sweeps that a person asks for: what goes, what does not and why, and what is called off."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.lab.simnode import TREASURY, SimNode

from paynode.domain.errors import Conflict, Invalid, NotFound
from paynode.domain.sweep import Wait
from paynode.operations import outgoing, sweep_orders
from paynode.operations.outflows import pause
from paynode.operations.sweep_orders import Judged, Selection

DOLLAR = 10**6
UNKNOWN = "01JZ8Q4M9C3V5T7X1B2D4F6H8K"
PATIENT = """
[networks.alpha]
family = "sim"
tokens = { usdt = { decimals = 6, stable = true }, usdc = { decimals = 6, stable = true } }
sweep = { min_value = "50 USD", every = "1h" }
[rates]
static = { "usdt/USD" = "1", "usdc/USD" = "1", "sim/USD" = "2000" }
"""


@pytest.fixture
async def node(tmp_path: Path) -> SimNode:
    """One that collects by itself only what is worth 50 dollars, once an hour."""
    node = SimNode(tmp_path, PATIENT)
    await node.look()
    node.fund_gas()
    await node.mine(2)
    return node


async def paid(node: SimNode, dollars: int = 10) -> str:
    invoice_id = node.create(str(dollars))
    node.pay(invoice_id, dollars * DOLLAR)
    await node.mine(3)
    return invoice_id


def judged(node: SimNode, **named: Any) -> Judged:
    return node.database.read(sweep_orders.judge, node.catalogue, Selection(node.store_id, **named), node.clock())


def ordered(node: SimNode, **named: Any) -> list[str]:
    selection = Selection(node.store_id, **named)
    made, _ = node.database.write(sweep_orders.order, node.catalogue, selection, node.clock())
    return [record.id for record in made]


def cancel(node: SimNode, sweep_id: str) -> str:
    return node.database.write(sweep_orders.cancel, node.catalogue, sweep_id, node.clock()).state


def reasons(found: Judged) -> Mapping[str | None, Wait | None]:
    return {each.deposit.invoice_id: each.reason for each in found.outlooks}


async def test_an_order_collects_what_does_not_pay_yet(node: SimNode) -> None:
    invoice_id, other = await paid(node), await paid(node)
    await node.plan()
    assert (node.sweeps(), node.deposits(invoice_id)[0].sweep_wait) == ([], "below_min_value")
    found = judged(node, invoice_ids=[invoice_id])
    assert reasons(found) == {invoice_id: None}
    [(network, pile, fee)] = found.piles
    assert (network, pile.units, fee) == ("alpha", 10 * DOLLAR, node.worlds["alpha"].fee_units)
    [sweep_id] = ordered(node, invoice_ids=[invoice_id])
    await node.turn(9)
    assert node.events(sweep_id) == ["sweep.queued", "sweep.broadcast", "sweep.completed"]
    assert node.worlds["alpha"].units(TREASURY, "alpha_usdt") == 10 * DOLLAR
    assert node.deposits(other)[0].sweep_state == "unswept"
    node.check_settled()


async def test_what_is_not_named_is_all_of_the_store(node: SimNode) -> None:
    invoices = {await paid(node), await paid(node)}
    await node.plan()
    assert reasons(judged(node)) == dict.fromkeys(invoices)
    assert len(judged(node).piles) == 2
    assert reasons(judged(node, method="alpha_usdc")) == {}
    assert len(ordered(node, method="alpha_usdt")) == 1
    assert reasons(judged(node)) == dict.fromkeys(invoices, Wait.UNDER_WAY)


async def test_everything_says_why_it_would_not_go(node: SimNode) -> None:
    young = node.create("10")
    node.pay(young, 10 * DOLLAR)
    await node.mine()
    assert reasons(judged(node, invoice_ids=[young])) == {young: Wait.NOT_FINAL}
    await node.mine(3)
    assert reasons(judged(node, invoice_ids=[young])) == {young: Wait.FEE_UNKNOWN}
    await node.plan()
    assert reasons(judged(node, invoice_ids=[young])) == {young: None}
    node.clock.advance(timedelta(minutes=6))
    assert reasons(judged(node, invoice_ids=[young])) == {young: Wait.FEE_UNKNOWN}
    node.clock.advance(-timedelta(minutes=6))
    node.run("update deposits set is_held = 1")
    assert reasons(judged(node, invoice_ids=[young])) == {young: Wait.HELD}
    node.run("update deposits set is_held = 0")
    node.database.write(pause, node.catalogue, "alpha", "", "somebody wants to look first", node.clock())
    assert reasons(judged(node, invoice_ids=[young])) == {young: Wait.OUTFLOWS_PAUSED}
    with pytest.raises(Conflict, match=r"nothing_to_sweep.*outflows_paused"):
        ordered(node, invoice_ids=[young])
    node.resume()
    ordered(node, invoice_ids=[young])
    await node.turn(9)
    [swept] = judged(node, invoice_ids=[young]).outlooks
    assert (swept.deposit.sweep_state, swept.reason) == ("swept", None)
    with pytest.raises(Conflict, match="nothing_to_sweep"):
        ordered(node, invoice_ids=[young])


async def test_a_days_gas_and_the_gas_station_bound_an_order_too(node: SimNode, tmp_path: Path) -> None:
    invoice_id = await paid(node)
    await node.plan()
    node.run("update sweep_prices set gas = ?", (f'{{"{node.store_id}": "1"}}',))
    assert reasons(judged(node)) == {invoice_id: Wait.NO_GAS}
    await node.plan()
    toml = PATIENT.replace('every = "1h"', 'every = "1h", gas_budget_per_day = "0.000001"')
    frugal = SimNode(tmp_path, toml, database=node.database)
    frugal.clock = node.clock
    assert reasons(judged(frugal)) == {invoice_id: Wait.GAS_BUDGET_SPENT}


async def test_what_lies_on_one_address_in_one_coin_goes_together(node: SimNode) -> None:
    invoice_id = node.create("10")
    for _ in range(2):
        node.pay(invoice_id, 5 * DOLLAR)
    await node.mine(3)
    await node.plan()
    first, _ = node.deposits(invoice_id)
    ordered(node, deposit_ids=[first.id])
    assert [item.units for item in node.items()] == [10 * DOLLAR]


async def test_what_is_anothers_or_nowhere_is_refused(node: SimNode) -> None:
    invoice_id = await paid(node)
    deposit_id = node.deposits(invoice_id)[0].id
    for named in ({"invoice_ids": [f"inv_{UNKNOWN}"]}, {"deposit_ids": [deposit_id, f"dep_{UNKNOWN}"]}):
        with pytest.raises(Invalid):
            judged(node, **named)
    stranger = Selection(f"sto_{UNKNOWN}", deposit_ids=[deposit_id])
    with pytest.raises(Invalid):
        node.database.read(sweep_orders.judge, node.catalogue, stranger, node.clock())
    with pytest.raises(NotFound):
        cancel(node, f"swp_{UNKNOWN}")


async def test_what_is_called_off_stays_and_waits_for_the_next_round(node: SimNode) -> None:
    invoice_id = await paid(node, 100)
    await node.plan()
    [sweep] = node.sweeps()
    assert cancel(node, sweep.id) == cancel(node, sweep.id) == "cancelled"
    assert node.events(sweep.id) == ["sweep.queued", "sweep.cancelled"]
    await node.turn(4)
    [deposit] = node.deposits(invoice_id)
    assert (deposit.sweep_state, deposit.sweep_wait, node.outgoing()) == ("unswept", "next_round", [])
    assert node.invoice(invoice_id).record.sweep_state == "unswept"
    ordered(node, invoice_ids=[invoice_id])
    await node.turn(9)
    assert node.worlds["alpha"].units(TREASURY, "alpha_usdt") == 100 * DOLLAR
    node.check_settled()


async def test_what_is_called_off_while_its_fee_is_lent_leaves_the_loan_for_the_next_sweep(node: SimNode) -> None:
    invoice_id = await paid(node, 100)
    await node.plan()
    await node.send()
    [sweep] = node.sweeps()
    assert [item.state for item in node.items()] == ["funding"]
    assert cancel(node, sweep.id) == "cancelled"
    await node.turn(3)
    assert [record.purpose for record in node.outgoing()] == ["top_up"]
    ordered(node, invoice_ids=[invoice_id])
    await node.turn(9)
    assert [record.purpose for record in node.outgoing()] == ["top_up", "sweep"]
    assert node.worlds["alpha"].units(TREASURY, "alpha_usdt") == 100 * DOLLAR
    node.check_settled()


async def test_what_is_signed_is_not_called_off(node: SimNode) -> None:
    await paid(node, 100)
    await node.turn(3)
    [sweep] = node.sweeps()
    assert [item.state for item in node.items()] == ["confirming"]
    with pytest.raises(Conflict, match="sweep_signed"):
        cancel(node, sweep.id)
    await node.turn(9)
    assert node.worlds["alpha"].units(TREASURY, "alpha_usdt") == 100 * DOLLAR


async def test_what_is_called_off_while_the_sender_asks_the_network_is_not_planned(node: SimNode) -> None:
    await paid(node, 100)
    await node.plan()
    [work] = node.database.read(outgoing.items_to_move, node.catalogue, "alpha")
    cancel(node, work.sweep.id)
    node.database.write(outgoing.plan_top_up, node.catalogue, work, 1, node.clock())
    assert node.database.write(outgoing.plan_transfer, work, node.clock()) is None
    node.database.write(outgoing.fail_item, node.catalogue, work, "would_revert", node.clock())
    assert (node.outgoing(), [item.state for item in node.items()]) == ([], ["cancelled"])
