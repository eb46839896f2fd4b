"""A deposit that no rate can tell the worth of yet: announced once, priced once a rate is known."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from tests.lab.simnode import SimNode


async def test_a_rate_that_comes_late_prices_a_deposit_and_confirms_it_only_once(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    await node.mine()
    invoice = node.create(expires_in=timedelta(days=1))
    node.clock.advance(timedelta(hours=1))
    node.run("update rates set base = 'gone' where base = 'usdt'")
    node.pay(invoice, 10_000_000)
    await node.mine(4)
    [before] = node.deposits(invoice)
    assert (before.stage, before.worth) == ("settled", None)
    node.run("update rates set base = 'usdt' where base = 'gone'")
    await node.mine()
    [after] = node.deposits(invoice)
    assert after.confirmed_at == before.confirmed_at
    assert node.states(invoice) == ("paid", "exact")
    assert node.events(invoice).count("invoice.deposit_confirmed") == 1


async def test_a_deposit_without_a_rate_whose_asset_left_the_config_stops_nobody(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    await node.mine()
    invoice = node.create(expires_in=timedelta(days=1))
    node.clock.advance(timedelta(hours=1))
    node.run("update rates set base = 'gone' where base = 'usdt'")
    node.pay(invoice, 10_000_000)
    await node.mine(4)
    left = {method: asset for method, asset in node.catalogue.assets.items() if method != "alpha_usdt"}
    node.catalogue = replace(node.catalogue, assets=left)
    await node.mine()
    assert node.states(invoice) == ("open", "none")
