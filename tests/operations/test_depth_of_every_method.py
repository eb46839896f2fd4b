"""Money counts at the depth that its own method asks for, on whatever network of the family it arrives."""

from pathlib import Path

from tests.lab.simnode import SimNode

from paynode.domain.deposit import Stage

NETWORKS = """
[networks.alpha]
family = "sim"
confirmations = 2
tokens = { usdt = { decimals = 6, stable = true } }

[networks.beta]
family = "sim"
confirmations = 2
tokens = { usdt = { decimals = 6, stable = true } }

[rates]
static = { "usdt/USD" = "1", "sim/USD" = "2000" }
"""


async def test_a_method_that_nobody_picked_keeps_the_confirmations_that_the_merchant_asked_for(tmp_path: Path) -> None:
    node = SimNode(tmp_path, NETWORKS)
    await node.mine()
    methods = ["alpha_usdt", "beta_usdt"]
    invoice = node.create(methods=methods, provision=False, confirmations={"beta_usdt": 9})
    node.provision(invoice, "alpha_usdt")
    node.pay(invoice, 10_000_000, "beta_usdt")
    await node.mine(8)
    [deposit] = node.deposits(invoice)
    assert deposit.stage is Stage.CONFIRMING
    assert node.states(invoice)[0] == "confirming"
    await node.mine(2)
    assert node.states(invoice)[0] == "paid"
