"""The sender: what the network answers badly about one transaction holds up no other."""

from pathlib import Path

import pytest
from tests.lab.simnode import SimNode

from paynode.chains.base import Outgoing, PlannedTx, Unavailable

DOLLARS = 10**6


async def test_a_transaction_that_the_network_keeps_failing_delays_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: no row stops a network. Method: five sweeps, the four oldest of which get no usable answer."""
    node = SimNode(tmp_path)
    await node.mine()
    node.fund_gas()
    paid = [node.create("1000") for _ in range(5)]
    for invoice in paid:
        node.pay(invoice, 1000 * DOLLARS)
    await node.mine(3)
    network = node.chains["alpha"]
    prepare = network.prepare
    hopeless = {node.address(invoice) for invoice in paid[:4]}

    async def half_deaf(wanted: Outgoing, nonce: int) -> PlannedTx:
        if wanted.sender in hopeless:
            raise Unavailable("execution timeout")
        return await prepare(wanted, nonce)

    with monkeypatch.context() as patched:
        patched.setattr(network, "prepare", half_deaf)
        await node.turn(20)
    assert [item.state for item in node.items()].count("completed") == 1
    await node.turn(20)
    assert {item.state for item in node.items()} == {"completed"}
    node.check_settled()
