"""Every start brings the database in line with the config, and refuses what contradicts it."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.lab.simnode import GAS, TREASURY, SimNode

from paynode.chains.sim import keys
from paynode.config import Config, Family, Mode
from paynode.operations import startup
from paynode.operations.startup import Branch, StartupProblem
from paynode.store import rates, sweeps
from paynode.store.database import Tx

BRANCH = Branch(Family.SIM, 0, xpub="", gas_address=GAS)
OTHER = "sim1" + "0d" * 20
TABLES = ("node", "stores", "accounts", "rates", "watches", "treasuries", "events")


def with_treasury(config: Config, address: str | None) -> Config:
    networks = {name: replace(network, treasury=address) for name, network in config.networks.items()}
    return replace(config, networks=networks)


def sync(node: SimNode, config: Config, *branches: Branch) -> None:
    node.database.write(startup.sync, config, branches or [BRANCH], node.clock())


async def test_a_second_start_changes_nothing(node: SimNode) -> None:
    before = [node.rows(f"select * from {table}") for table in TABLES]
    node.clock.advance(timedelta(days=1))
    node.restart()
    assert [node.rows(f"select * from {table}") for table in TABLES] == before


async def test_a_start_that_fails_half_way_leaves_nothing(node: SimNode) -> None:
    before = [node.rows(f"select * from {table}") for table in TABLES]

    def broken(tx: Tx) -> None:
        startup.sync(tx, with_treasury(node.config, OTHER), [BRANCH], node.clock())
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        node.database.write(broken)
    assert [node.rows(f"select * from {table}") for table in TABLES] == before


async def test_another_mode_is_refused(node: SimNode) -> None:
    config = replace(node.config, node=replace(node.config.node, mode=Mode.TEST))
    with pytest.raises(StartupProblem, match='belongs to a node with mode "sim"'):
        sync(node, config)


async def test_another_account_of_a_store_is_refused(node: SimNode) -> None:
    config = replace(node.config, stores={"main": replace(node.config.stores["main"], account=7)})
    with pytest.raises(StartupProblem, match="was made with account 0"):
        sync(node, config)


async def test_another_seed_is_refused(node: SimNode) -> None:
    with pytest.raises(StartupProblem, match="another seed"):
        sync(node, node.config, replace(BRANCH, xpub="xpub-of-somebody-else"))


async def test_a_store_without_a_branch_is_told_to_run_init(node: SimNode) -> None:
    second = replace(node.config.stores["main"], id="second", account=1)
    with pytest.raises(StartupProblem, match="paynode init"):
        sync(node, replace(node.config, stores={**node.config.stores, "second": second}))


async def test_a_new_treasury_is_announced_and_waits(node: SimNode) -> None:
    invoice_id = node.create("100", methods=["alpha_sim"])
    node.pay(invoice_id, 50 * 10**15, "alpha_sim")
    await node.mine(3)
    node.config = with_treasury(node.config, OTHER)
    node.restart()
    assert node.events(f"treasury:alpha:{node.store_id}") == ["treasury.changed"]
    await node.turn(3)
    assert node.deposits(invoice_id)[0].sweep_wait == "treasury_announced"
    node.clock.advance(node.catalogue.treasury_change_delay)
    await node.turn(6)
    assert node.worlds["alpha"].units(OTHER, "alpha_sim") > 0
    assert node.worlds["alpha"].units(TREASURY, "alpha_sim") == 0


async def test_a_treasury_put_back_waits_as_well(node: SimNode) -> None:
    """Else a thief who changes it for a moment would have changed it for good, or the owner could not tell."""
    config = node.config
    sync(node, with_treasury(config, OTHER))
    sync(node, config)
    known = node.database.read(sweeps.treasury, "alpha", node.store_id)
    assert known is not None
    assert (known.address, known.effective_at) == (TREASURY, node.clock() + node.catalogue.treasury_change_delay)


async def test_a_plan_for_the_old_treasury_is_given_up(node: SimNode) -> None:
    invoice_id = node.create("100", methods=["alpha_sim"])
    node.pay(invoice_id, 50 * 10**15, "alpha_sim")
    await node.mine(3)
    await node.plan()
    node.config = with_treasury(node.config, OTHER)
    node.restart()
    await node.send()
    assert [(record.state, record.reason) for record in node.outgoing()] == [("failed", "treasury_changed")]
    assert node.deposits(invoice_id)[0].sweep_state == "failed"


@pytest.mark.parametrize("address", [GAS, keys.deposit_address(0, 0)])
async def test_a_treasury_of_our_own_is_refused(node: SimNode, address: str) -> None:
    node.create()
    with pytest.raises(StartupProblem, match="own addresses"):
        sync(node, with_treasury(node.config, address))


async def test_a_changed_static_rate_is_a_new_one_from_now_on(node: SimNode) -> None:
    config = replace(node.config, static_rates={("usdt", "USD"): Decimal("0.99")})
    node.clock.advance(timedelta(minutes=1))
    sync(node, config)
    moment = node.clock()
    before, after = (
        node.database.read(rates.latest, "usdt", "USD", at) for at in (moment - timedelta(seconds=1), moment)
    )
    assert before is not None
    assert after is not None
    assert (before.value, after.value) == (1, Decimal("0.99"))
