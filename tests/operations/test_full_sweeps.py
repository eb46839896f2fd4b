"""A round collects everything that is due, however many sweeps that takes."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.lab.simnode import SimNode

from paynode.operations import weighing

HOURLY = """
[networks.alpha]
family = "sim"
tokens = { usdt = { decimals = 6, stable = true } }

[rates]
static = { "usdt/USD" = "1", "sim/USD" = "2000" }
"""


async def test_what_did_not_fit_into_a_sweep_need_not_wait_for_the_next_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weighing, "ITEMS_MAX", 2)
    node = SimNode(tmp_path, HOURLY)
    await node.mine()
    node.fund_gas()
    paid = [node.create("1000") for _ in range(5)]
    for invoice in paid:
        node.pay(invoice, 1000 * 10**6)
    await node.turn(12)
    assert [len(node.rows("select 1 from sweep_items where sweep_id = ?", (each.id,))) for each in node.sweeps()] == [
        *(2, 2, 1)
    ]
    late = node.create("1000")
    node.pay(late, 1000 * 10**6)
    await node.turn(12)
    assert [each.sweep_wait for each in node.deposits(late)] == ["next_round"]
    node.clock.advance(timedelta(hours=1))
    await node.turn(12)
    assert {each.sweep_state for each in node.every_deposit()} == {"swept"}
