"""Collecting: what the economist lets go, what forbids it, and the reason on every deposit that waits."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.lab.simnode import TREASURY, TWO_NETWORKS, SimNode

from paynode.chains.base import Outgoing, PlannedTx, WouldRevert
from paynode.domain.ledger import Account
from paynode.domain.sweep import ATTEMPTS_MAX
from paynode.operations.observations import apply_observation, load_books
from paynode.operations.outflows import pause
from paynode.operations.sweeps import plan_due_sweeps
from paynode.operations.weighing import Prices
from paynode.store.database import Tx

DOLLAR = 10**6
FINNEY = 10**15
MALLORY = "sim1" + "66" * 20


async def paid(node: SimNode, units: int = 100 * DOLLAR, method: str = "alpha_usdt", price: str = "100") -> str:
    """An invoice whose money is final and not collected."""
    invoice_id = node.create(price, methods=[method])
    node.pay(invoice_id, units, method)
    await node.mine(3)
    return invoice_id


def waits(node: SimNode, invoice_id: str) -> tuple[str, str | None]:
    [deposit] = node.deposits(invoice_id)
    return deposit.sweep_state, deposit.sweep_wait


async def test_a_token_is_collected_with_coins_lent_for_the_fee(node: SimNode) -> None:
    invoice_id = await paid(node)
    seen = []
    for _ in range(9):
        await node.turn()
        if (state := node.invoice(invoice_id).record.sweep_state) not in seen:
            seen.append(state)
    assert seen == ["sweeping", "swept"]
    assert node.worlds["alpha"].units(TREASURY, "alpha_usdt") == 100 * DOLLAR
    [sweep] = node.sweeps()
    assert node.events(sweep.id) == ["sweep.queued", "sweep.broadcast", "sweep.completed"]
    assert [(record.purpose, record.state) for record in node.outgoing()] == [
        ("top_up", "confirmed"),
        ("sweep", "confirmed"),
    ]
    node.check_settled()


async def test_coins_are_collected_by_themselves_less_the_fee(node: SimNode) -> None:
    await paid(node, 50 * FINNEY, "alpha_sim")
    await node.turn(6)
    fee = node.worlds["alpha"].fee_units
    assert node.worlds["alpha"].units(TREASURY, "alpha_sim") == 50 * FINNEY - fee
    assert node.balance(Account.FEES, "alpha_sim") == fee
    node.check_settled()


async def test_lent_coins_that_are_left_over_travel_with_the_next_collection_of_coins(node: SimNode) -> None:
    invoice_id = node.create("100", methods=["alpha_usdt", "alpha_sim"])
    node.pay(invoice_id, 40 * DOLLAR)
    await node.mine(3)
    await node.turn(9)
    address = node.address(invoice_id)
    left = node.worlds["alpha"].units(address, "alpha_sim")
    assert left > 0
    gas_before = node.balance(Account.GAS, "alpha_sim")
    node.pay(invoice_id, 30 * FINNEY, "alpha_sim")
    await node.mine(3)
    await node.turn(6)
    fee = node.worlds["alpha"].fee_units
    assert node.worlds["alpha"].units(TREASURY, "alpha_sim") == 30 * FINNEY + left - fee
    assert node.balance(Account.GAS, "alpha_sim") == gas_before - left
    assert node.worlds["alpha"].units(address, "alpha_sim") == 0
    node.check_settled()


async def test_a_coin_and_a_token_of_one_address_are_collected_one_after_the_other(node: SimNode) -> None:
    """At once, the coins' sweep would take what the token's fee needs, and one of the two could never be mined."""
    invoice_id = node.create("100", methods=["alpha_usdt", "alpha_sim"])
    node.pay(invoice_id, 40 * DOLLAR)
    node.pay(invoice_id, 30 * FINNEY, "alpha_sim")
    await node.mine(3)
    await node.plan()
    await node.send()
    assert sorted(record.state for record in node.outgoing()) == ["broadcast", "planned"]
    await node.turn(20)
    assert {item.state for item in node.items()} == {"completed"}
    assert node.worlds["alpha"].units(TREASURY, "alpha_usdt") == 40 * DOLLAR
    node.check_settled()


async def test_several_deposits_of_one_address_are_one_item(node: SimNode) -> None:
    invoice_id = node.create("100")
    node.pay(invoice_id, 40 * DOLLAR)
    node.pay(invoice_id, 60 * DOLLAR)
    await node.mine(3)
    await node.turn(9)
    [item] = node.items()
    assert (item.units, item.moved, item.state) == (100 * DOLLAR, 100 * DOLLAR, "completed")


async def test_planning_twice_is_planning_once(node: SimNode) -> None:
    invoice_id = await paid(node)
    await node.plan()
    await node.plan()
    assert len(node.sweeps()) == 1
    assert waits(node, invoice_id) == ("scheduled", None)


async def test_unattributed_money_is_collected_too(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 100 * DOLLAR, "alpha_usdc")
    await node.mine(3)
    await node.turn(9)
    assert node.worlds["alpha"].units(TREASURY, "alpha_usdc") == 100 * DOLLAR
    node.check_settled()


def _paused(node: SimNode) -> None:
    node.database.write(pause, node.catalogue, "alpha", "alpha_usdt", "a test", node.clock())


def _other_asset_paused(node: SimNode) -> None:
    node.database.write(pause, node.catalogue, "alpha", "alpha_usdc", "a test", node.clock())


def _treasury_edited(node: SimNode) -> None:
    node.run("update treasuries set address = ?", (MALLORY,))


def _treasury_announced(node: SimNode) -> None:
    node.run("update treasuries set effective_at = effective_at + 86400000 * 365")


def _treasury_gone(node: SimNode) -> None:
    networks = {name: replace(network, treasury=None) for name, network in node.config.networks.items()}
    node.catalogue = replace(node.catalogue, config=replace(node.config, networks=networks))


def _store_gone(node: SimNode) -> None:
    node.catalogue = replace(node.catalogue, store_keys={})


def _asset_gone(node: SimNode) -> None:
    assets = {method: asset for method, asset in node.catalogue.assets.items() if method != "alpha_usdt"}
    node.catalogue = replace(node.catalogue, assets=assets)


def _rich_fee(node: SimNode) -> None:
    node.worlds["alpha"].gas_price = 10**15


@pytest.mark.parametrize(
    ("happens", "wait"),
    [
        (_paused, "outflows_paused"),
        (_other_asset_paused, None),
        (_treasury_edited, "no_treasury"),
        (_treasury_announced, "treasury_announced"),
        (_treasury_gone, "no_treasury"),
        (_store_gone, "no_treasury"),
        (_asset_gone, "not_offered"),
        (_rich_fee, "not_worth_fee"),
    ],
)
async def test_every_deposit_says_why_it_waits(
    node: SimNode, happens: Callable[[SimNode], None], wait: str | None
) -> None:
    invoice_id = await paid(node)
    happens(node)
    await node.plan()
    assert waits(node, invoice_id) == ("unswept" if wait else "scheduled", wait)
    assert len(node.sweeps()) == (0 if wait else 1)


async def test_a_gas_station_that_cannot_lend_is_the_reason(tmp_path: Path) -> None:
    node = SimNode(tmp_path)
    await node.look()
    node.fund_gas(units=3 * node.worlds["alpha"].fee_units - 1)
    invoice_id = await paid(node)
    await node.plan()
    assert waits(node, invoice_id) == ("unswept", "no_gas")
    node.fund_gas(units=1)
    await node.mine()
    await node.turn(12)
    assert waits(node, invoice_id) == ("swept", None)
    node.check_settled()


async def test_what_is_not_final_says_so(node: SimNode) -> None:
    invoice_id = node.create("100")
    node.pay(invoice_id, 100 * DOLLAR)
    await node.mine()
    assert waits(node, invoice_id) == ("unswept", "not_final")


@pytest.mark.parametrize(
    ("limit", "wait"),
    [
        ('min_value = "100.01 USD"', "below_min_value"),
        ('min_value = "100 USD"', None),
        ('min_value = "1 CHF"', "no_rate"),
        ('max_fee_gwei = "0.5"', "fee_too_high"),
        ('gas_budget_per_day = "0.00002"', "gas_budget_spent"),
    ],
)
async def test_the_merchants_limits_hold(tmp_path: Path, limit: str, wait: str | None) -> None:
    toml = TWO_NETWORKS.replace('sweep = { every = "0s" }', f'sweep = {{ every = "0s", {limit} }}', 1)
    node = SimNode(tmp_path, toml)
    await node.look()
    node.fund_gas()
    invoice_id = await paid(node)
    await node.plan()
    assert waits(node, invoice_id)[1] == wait
    node.check()


async def test_what_is_planned_and_not_signed_yet_is_part_of_the_days_gas(tmp_path: Path) -> None:
    toml = TWO_NETWORKS.replace(
        'sweep = { every = "0s" }', 'sweep = { every = "0s", gas_budget_per_day = "0.00003" }', 1
    )
    node = SimNode(tmp_path, toml)
    await node.look()
    node.fund_gas()
    first, second = await paid(node), await paid(node, method="alpha_usdc")
    await node.plan()
    await node.plan()
    assert [waits(node, each)[1] for each in (first, second)] == [None, "gas_budget_spent"]
    node.check()


async def test_rounds_keep_their_distance(tmp_path: Path) -> None:
    node = SimNode(tmp_path, TWO_NETWORKS.replace('every = "0s"', 'every = "1h"'))
    await node.look()
    node.fund_gas()
    await paid(node)
    await node.plan()
    second = await paid(node)
    await node.plan()
    assert waits(node, second)[1] == "next_round"
    node.clock.advance(timedelta(hours=1))
    await node.plan()
    assert waits(node, second) == ("scheduled", None)
    node.check()


async def test_a_clock_that_was_set_back_puts_no_round_off(tmp_path: Path) -> None:
    node = SimNode(tmp_path, TWO_NETWORKS.replace('every = "0s"', 'every = "1h"'))
    await node.look()
    node.fund_gas()
    ahead = timedelta(days=1)
    first = await paid(node)
    node.clock.advance(ahead)
    await node.plan()
    assert waits(node, first) == ("scheduled", None)
    node.clock.advance(-ahead)
    second = await paid(node)
    await node.plan()
    assert waits(node, second) == ("scheduled", None)


async def test_a_disputed_balance_is_not_collected(node: SimNode) -> None:
    invoice_id = await paid(node)
    node.run(
        "insert into disputes (network, address, method, since_number, since_hash, since_at, expected, observed, "
        "reason) values ('alpha', ?, 'alpha_usdt', 1, '0x', 0, '0', '1', 'a test')",
        (node.address(invoice_id),),
    )
    await node.plan()
    assert waits(node, invoice_id)[1] == "disputed"


async def test_on_a_doubtful_view_nothing_is_planned(node: SimNode) -> None:
    invoice_id = await paid(node)
    books = node.database.read(load_books, node.catalogue, "alpha")
    observation = replace(await node.chains["alpha"].observe(books), hold="two providers disagree")
    node.database.write(apply_observation, node.catalogue, "alpha", books, observation, node.clock())
    await node.plan()
    assert waits(node, invoice_id)[1] == "outflows_paused"


async def test_a_plan_that_fails_before_its_commit_leaves_nothing(node: SimNode) -> None:
    await paid(node)
    prices = Prices(1, {"alpha_usdt": 1}, {node.store_id: 10**18})

    def broken(tx: Tx) -> None:
        plan_due_sweeps(tx, node.catalogue, "alpha", prices, node.clock())
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        node.database.write(broken)
    assert (node.sweeps(), node.items()) == ([], [])


async def test_a_collection_that_would_revert_fails_and_is_tried_again_a_few_times(
    node: SimNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen address: the simulation of its transfer fails, and fails, until a person has to look."""
    invoice_id = await paid(node)
    network = node.chains["alpha"]

    async def frozen(wanted: Outgoing) -> None:
        raise WouldRevert("blacklisted")

    monkeypatch.setattr(network, "dry_run", frozen)
    await node.turn(20)
    assert [(item.state, item.reason) for item in node.items()] == [
        ("failed", "would_revert: blacklisted")
    ] * ATTEMPTS_MAX
    assert [sweep.state for sweep in node.sweeps()] == ["failed"] * ATTEMPTS_MAX
    assert waits(node, invoice_id) == ("failed", "failed_before")
    assert node.invoice(invoice_id).record.sweep_state == "failed"
    assert node.outgoing() == [], "nothing is lent to an address that it cannot leave"
    monkeypatch.undo()
    node.clock.advance(timedelta(days=1))
    await node.turn(12)
    assert waits(node, invoice_id) == ("swept", None)
    node.check_settled()


async def test_an_address_frozen_after_the_loan_fails_too(node: SimNode, monkeypatch: pytest.MonkeyPatch) -> None:
    invoice_id = await paid(node)
    network = node.chains["alpha"]
    prepare = network.prepare

    async def frozen(wanted: Outgoing, nonce: int) -> PlannedTx:
        if wanted.asset.contract is not None:
            raise WouldRevert("blacklisted")
        return await prepare(wanted, nonce)

    monkeypatch.setattr(network, "prepare", frozen)
    await node.turn(20)
    assert waits(node, invoice_id) == ("failed", "failed_before")
    assert [record.purpose for record in node.outgoing()].count("top_up") == 1


async def test_a_second_sweep_of_an_address_waits_for_the_first(node: SimNode) -> None:
    invoice_id = await paid(node)
    await node.plan()
    node.pay(invoice_id, 5 * DOLLAR)
    await node.mine(3)
    await node.plan()
    assert node.deposits(invoice_id)[-1].sweep_wait == "under_way"
    await node.turn(20)
    assert {deposit.sweep_state for deposit in node.deposits(invoice_id)} == {"swept"}
    assert len(node.items()) == 2
    node.check_settled()


async def test_a_finished_sweep_that_is_reorganised_away_may_run_beside_the_next_one(node: SimNode) -> None:
    invoice_id = await paid(node)
    await node.turn(9)
    node.pay(invoice_id, 7 * DOLLAR)
    await node.mine(3)
    await node.plan()
    assert [item.state for item in node.items()] == ["completed", "queued"]
    height = next(record.receipt_block for record in node.outgoing() if record.purpose == "sweep")
    assert height is not None
    world = node.worlds["alpha"]
    world.reorg(world.head.number - height + 1, keep=True)
    await node.look()
    assert node.items()[0].state in {"broadcasting", "confirming"}
    node.resume()
    await node.turn(25)
    assert {item.state for item in node.items()} == {"completed"}
    assert node.worlds["alpha"].units(TREASURY, "alpha_usdt") == 107 * DOLLAR
    node.check_settled()


async def test_money_collected_and_mined_again_elsewhere_is_collected_once(node: SimNode) -> None:
    """Deposit and sweep are both thrown back and mined again: the new deposit takes over the sweep of the old one."""
    invoice_id = await paid(node)
    await node.turn(9)
    world = node.worlds["alpha"]
    world.reorg(world.head.number - 3, keep=True)
    await node.look()
    orphan, again = node.deposits(invoice_id)
    assert again.replaces == orphan.id
    node.resume()
    await node.turn(12)
    assert node.deposits(invoice_id)[-1].sweep_state == "swept"
    assert len(node.sweeps()) == 1
    node.check_settled()
