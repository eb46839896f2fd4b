"""Money counts at the depth that its own method asks for, on whatever network of the family it arrives."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.lab.simnode import SimNode

from paynode.domain.deposit import Stage
from paynode.domain.quote import Rate
from paynode.store import rates

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


DEEPER = NETWORKS.replace(
    "confirmations = 2",
    'confirmations = 2\nconfirmations_from = { "1000 USD" = 5, "20000 USD" = 9, "500 EUR" = 6 }',
    1,
)


@pytest.mark.parametrize(
    ("terms", "depths"),
    [
        ({"amount": "999.99"}, [2, 2]),
        ({"amount": "1000"}, [5, 2]),
        ({"amount": "20000"}, [9, 2]),
        ({"amount": "20000", "confirmations": 3}, [3, 3]),
        ({"amount": "20000", "confirmations": {"beta_usdt": 4}}, [9, 4]),
        ({"amount": "0.5", "currency": "SIM", "methods": ["alpha_sim"]}, [5]),
        ({"amount": "0.4999", "currency": "SIM", "methods": ["alpha_sim"]}, [2]),
        ({"amount": None}, [9, 2]),
    ],
)
async def test_an_amount_with_more_at_stake_needs_more_confirmations(
    tmp_path: Path, terms: dict[str, Any], depths: list[int]
) -> None:
    node = SimNode(tmp_path, DEEPER)
    await node.mine()
    for symbol, price in (("usdt", "0.0001"), ("sim", "0.2")):  # so that euros decide nothing here
        node.database.write(rates.add, Rate(symbol, "EUR", Decimal(price), node.clock(), "test"))
    loaded = node.invoice(node.create(**{"methods": ["alpha_usdt", "beta_usdt"], **terms}))
    assert [entry.confirmations for entry in loaded.methods] == depths


async def test_what_nobody_can_weigh_in_a_tiers_currency_needs_its_confirmations(tmp_path: Path) -> None:
    node = SimNode(tmp_path, DEEPER)
    await node.mine()
    [entry] = node.invoice(node.create("1")).methods
    assert entry.confirmations == 6


async def test_a_payment_that_is_deep_enough_for_less_waits(tmp_path: Path) -> None:
    node = SimNode(tmp_path, DEEPER)
    node.database.write(rates.add, Rate("usdt", "EUR", Decimal("0.0001"), node.clock(), "test"))
    await node.mine()
    invoice_id = node.create("1000")
    node.pay(invoice_id, 1_000_000_000)
    await node.mine(4)
    assert node.states(invoice_id)[0] == "confirming"
    await node.mine()
    assert node.states(invoice_id)[0] == "paid"
    node.check()
