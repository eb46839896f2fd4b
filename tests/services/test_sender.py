"""The sender: what holds it up, and what does not."""

from pathlib import Path

import pytest
from tests.lab.simnode import GAS, SimNode

from paynode.chains.base import Outgoing, PlannedTx, SignedTx, Unavailable
from paynode.chains.sim.keys import CUSTOMER, private_key
from paynode.domain.key_paths import deposit_path, gas_path
from paynode.domain.ledger import Account

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


async def test_a_foreign_nonce_pauses_everything_until_an_operator_acknowledges_it(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    await node.mine()
    node.fund_gas()
    network, world = node.chains["alpha"], node.worlds["alpha"]

    async def sent_by_hand() -> None:
        wanted = Outgoing(GAS, CUSTOMER, node.catalogue.native("alpha"), 1, empties_sender=False)
        planned = await network.prepare(wanted, world.pending_nonce(GAS))
        await network.broadcast(network.sign(planned, private_key(gas_path(0))))
        await node.mine()

    async def paid() -> None:
        node.pay(node.create("1000"), 1000 * DOLLARS)
        await node.turn(10)

    await paid()
    await sent_by_hand()
    await paid()
    for _ in ("the coins that went", "the nonce they took"):
        assert node.pauses() == [("alpha", "")]
        node.resume()
        await node.turn(10)
    assert [item.state for item in node.items()] == ["completed", "completed"]
    await sent_by_hand()
    await paid()
    assert node.pauses() == [("alpha", "")]
    assert [item.state for item in node.items()] == ["completed", "completed"], "nothing more is sent"


async def test_what_lost_its_nonce_to_a_stranger_is_given_up_and_its_money_collected_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: a signed transaction ends. Method: ours never leaves the node; a stranger with the key spends its nonce."""
    node = SimNode(tmp_path)
    await node.mine()
    node.fund_gas()
    invoice = node.create("1000")
    node.pay(invoice, 1000 * DOLLARS)
    network, address = node.chains["alpha"], node.address(invoice)
    broadcast = network.broadcast

    async def swallowed(signed: SignedTx) -> None:
        if any(item.state == "broadcasting" for item in node.items()):
            raise Unavailable("no answer")
        await broadcast(signed)

    with monkeypatch.context() as patched:
        patched.setattr(network, "broadcast", swallowed)
        await node.turn(8)
    assert [item.state for item in node.items()] == ["broadcasting"]
    wanted = Outgoing(address, CUSTOMER, node.catalogue.native("alpha"), 1, empties_sender=False)
    planned = await network.prepare(wanted, nonce=0)
    await broadcast(network.sign(planned, private_key(deposit_path(0, 0))))
    await node.turn(4)
    (item,) = node.items()
    assert (item.state, item.reason) == ("failed", "nonce_taken")
    assert node.balance(Account.IN_TRANSIT, "alpha_usdt") == 0
    assert ("alpha", "") in node.pauses()
    node.resume()
    await node.turn(10)
    assert [item.state for item in node.items()] == ["failed", "completed"]
    assert node.balance(Account.TREASURY, "alpha_usdt") == 1000 * DOLLARS
