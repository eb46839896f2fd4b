"""What a tick's observation does to deposits, invoices and books; reorganisations before and after the fact."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.lab.simnode import BLOCK, SimNode

from paynode.chains.base import DeepReorg
from paynode.domain.chain import Books, Observation, RowKind
from paynode.domain.ledger import Account
from paynode.domain.quote import Rate
from paynode.domain.signing import Secret
from paynode.operations.audit import audit
from paynode.operations.observations import apply_observation, load_books
from paynode.store import invoices, outbox, outgoing, rates
from paynode.store.database import Tx
from paynode.store.ids import new_id
from paynode.store.outbox import EndpointRecord

DOLLAR = 10**6


async def observed(node: SimNode, network: str = "alpha") -> tuple[Books, Observation]:
    """One tick's reads, not stored."""
    books = node.database.read(load_books, node.catalogue, network)
    return books, await node.chains[network].observe(books)


def apply(node: SimNode, books: Books, observation: Observation, network: str = "alpha") -> None:
    node.database.write(apply_observation, node.catalogue, network, books, observation, node.clock())


async def paid(node: SimNode, dollars: int = 10) -> str:
    """A paid invoice."""
    invoice_id = node.create(str(dollars))
    node.pay(invoice_id, dollars * DOLLAR)
    await node.mine(2)
    assert node.states(invoice_id) == ("paid", "exact")
    return invoice_id


async def test_money_is_detected_confirmed_and_booked_once(node: SimNode) -> None:
    invoice_id = await paid(node)
    assert node.events(invoice_id) == [
        "invoice.created",
        "invoice.deposit_detected",
        "invoice.confirming",
        "invoice.deposit_confirmed",
        "invoice.paid",
    ]
    assert node.balance(Account.DEPOSITS, "alpha_usdt") == 10 * DOLLAR
    assert node.balance(Account.CUSTOMERS, "alpha_usdt") == -10 * DOLLAR


@pytest.mark.parametrize("blocks", [1, 2, 3])
async def test_the_same_observation_twice_is_once(node: SimNode, blocks: int) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine(blocks - 1)
    node.worlds["alpha"].mine()
    books, observation = await observed(node)
    apply(node, books, observation)
    before, balances = node.events(invoice_id), node.rows("select * from ledger_entries")
    apply(node, books, observation)
    assert (node.events(invoice_id), node.rows("select * from ledger_entries")) == (before, balances)


async def test_an_observation_that_fails_before_its_commit_never_was(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR)
    node.worlds["alpha"].mine()
    books, observation = await observed(node)
    tables = ("chain_rows", "deposits", "events", "checkpoints", "networks")
    before = [node.rows(f"select * from {table}") for table in tables]

    def broken(tx: Tx) -> None:
        apply_observation(tx, node.catalogue, "alpha", books, observation, node.clock())
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        node.database.write(broken)
    assert [node.rows(f"select * from {table}") for table in tables] == before


async def test_events_are_owed_to_every_endpoint_that_wants_them(node: SimNode) -> None:
    secret = Secret.from_key(bytes(32)).reveal()
    for patterns in ("*", "invoice.paid", "sweep.*"):
        record = EndpointRecord(
            new_id("whe", node.clock()),
            node.store_id,
            "https://a.example",
            patterns,
            secret,
            "enabled",
            None,
            node.clock(),
        )
        node.database.write(outbox.add_endpoint, record)
    await paid(node)
    owed = node.rows(
        "select w.events, count(*) from deliveries d join webhook_endpoints w on w.id = d.endpoint_id "
        "group by w.events order by w.events"
    )
    assert owed == [("*", 5), ("invoice.paid", 1)]


async def test_a_token_nobody_asked_for_is_unattributed_and_booked(node: SimNode) -> None:
    invoice_id = node.create("10", methods=["alpha_usdt"])
    node.pay(invoice_id, 10 * DOLLAR, "alpha_usdc")
    await node.mine(3)
    assert node.states(invoice_id) == ("open", "none")
    [deposit] = node.every_deposit()
    assert (deposit.invoice_id, deposit.stage, deposit.worth) == (None, "settled", None)
    assert node.events(deposit.id) == ["deposit.unattributed"]
    assert node.balance(Account.DEPOSITS, "alpha_usdc") == 10 * DOLLAR


async def test_money_on_the_right_address_on_the_wrong_network_is_seen(node: SimNode) -> None:
    invoice_id = node.create("10", methods=["alpha_usdt"])
    node.pay(invoice_id, 10 * DOLLAR, "beta_usdt")
    await node.mine(3)
    assert [deposit.invoice_id for deposit in node.every_deposit()] == [None]


async def test_two_deposits_of_one_transaction_are_two(node: SimNode) -> None:
    one, two = node.create("10"), node.create("5")
    node.worlds["alpha"].pay_many(
        [(node.address(to), "alpha_usdt", dollars * DOLLAR) for to, dollars in [(one, 4), (one, 6), (two, 5)]]
    )
    await node.mine(2)
    assert (node.states(one), node.states(two)) == (("paid", "exact"), ("paid", "exact"))
    assert sorted(deposit.units for deposit in node.deposits(one)) == [4 * DOLLAR, 6 * DOLLAR]


async def test_a_payment_that_failed_on_chain_is_none(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR, reverts=True)
    await node.mine(3)
    assert node.states(invoice_id) == ("open", "none")


async def test_coins_for_the_gas_station_are_the_owners(node: SimNode) -> None:
    assert node.balance(Account.GAS, "alpha_sim") == -node.balance(Account.OWNER, "alpha_sim") == 10**19
    assert node.every_deposit() == []


async def test_a_reorganisation_before_depth_takes_the_status_back(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine()
    node.worlds["alpha"].reorg(1, keep=False)
    await node.look()
    assert node.states(invoice_id) == ("open", "none")
    assert node.deposits(invoice_id)[0].stage == "orphaned"
    assert node.events(invoice_id)[-2:] == ["deposit.orphaned", "invoice.updated"]
    assert node.pauses() == []


async def test_a_reorganisation_after_paid_reverses_loudly(node: SimNode) -> None:
    invoice_id = await paid(node)
    node.worlds["alpha"].reorg(2, keep=False)
    await node.look()
    assert node.states(invoice_id) == ("reversed", "none")
    assert node.events(invoice_id)[-2:] == ["deposit.orphaned", "invoice.reversed"]
    assert node.pauses() == [("alpha", "alpha_usdt")]
    (pause,) = node.database.read(outgoing.pauses)
    assert pause.reason.startswith("10 usdt in 0x")
    assert node.balance(Account.DEPOSITS, "alpha_usdt") == 0
    assert node.balance(Account.REVERSED, "alpha_usdt") == 10 * DOLLAR
    node.resume()
    assert node.pauses() == []
    assert node.events("outflows:alpha") == ["outflows.paused", "outflows.resumed"]


async def test_a_final_partial_payment_that_leaves_pauses_outflows_too(node: SimNode) -> None:
    """I6 speaks of every credited transfer, not only of those that paid an invoice."""
    invoice_id = node.create("10")
    node.pay(invoice_id, 3 * DOLLAR)
    await node.mine(2)
    node.worlds["alpha"].reorg(2, keep=False)
    await node.look()
    assert node.states(invoice_id) == ("open", "none")
    assert node.pauses() == [("alpha", "alpha_usdt")]


async def test_a_payment_mined_again_elsewhere_replaces_the_orphaned_one(node: SimNode) -> None:
    invoice_id = await paid(node)
    node.worlds["alpha"].reorg(2, keep=True)
    await node.look()
    orphan, again = node.deposits(invoice_id)
    assert (orphan.stage, again.replaces, again.units) == ("orphaned", orphan.id, orphan.units)
    await node.mine(2)
    assert node.states(invoice_id) == ("paid", "exact")
    assert node.balance(Account.DEPOSITS, "alpha_usdt") == 10 * DOLLAR


async def test_a_payment_mined_again_after_the_deadline_is_still_on_time(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine()
    node.clock.advance(timedelta(minutes=31))
    node.worlds["alpha"].reorg(1, keep=True)
    await node.mine(2)
    again = node.deposits(invoice_id)[-1]
    assert again.replaces is not None
    assert not again.is_late
    assert node.states(invoice_id) == ("paid", "exact")


async def test_the_very_block_that_left_may_come_back(node: SimNode) -> None:
    """A row is unique among those that stand, so the same block makes a new one."""
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine()
    before = node.worlds["alpha"].snapshot()
    node.worlds["alpha"].reorg(1, keep=False)
    await node.look()
    books = node.database.read(load_books, node.catalogue, "alpha")
    node.worlds["alpha"].restore(before)
    node.clock.advance(BLOCK)
    node.worlds["alpha"].mine(3)
    observation = await node.chains["alpha"].observe(books)
    apply(node, books, observation)
    await node.mine(2)
    assert node.states(invoice_id) == ("paid", "exact")
    assert [deposit.stage for deposit in node.deposits(invoice_id)] == ["orphaned", "settled"]


async def test_below_the_horizon_the_network_is_not_followed(node: SimNode) -> None:
    invoice_id = await paid(node)
    await node.mine(70, "alpha")
    node.worlds["alpha"].reorg(72, keep=False)
    with pytest.raises(DeepReorg):
        await node.look("alpha")
    assert node.states(invoice_id) == ("paid", "exact")


async def test_nothing_becomes_final_on_a_doubtful_view(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine()
    node.worlds["alpha"].mine()
    books, observation = await observed(node)
    apply(node, books, replace(observation, hold="two providers disagree", checkpoint=None))
    assert node.states(invoice_id) == ("confirming", "exact")
    await node.mine()
    assert node.states(invoice_id) == ("paid", "exact")


async def test_a_transfer_that_credits_less_is_worth_less(tmp_path: Path) -> None:
    """A token that takes a fee: what arrived is known only at depth."""
    node = SimNode(tmp_path)
    await node.look()
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine()
    node.worlds["alpha"].mine()
    books, observation = await observed(node)
    [row_id] = observation.confirmed
    apply(node, books, replace(observation, confirmed={row_id: 9 * DOLLAR}))
    [deposit] = node.deposits(invoice_id)
    assert (deposit.units, deposit.worth) == (9 * DOLLAR, 9)
    assert node.states(invoice_id) == ("open", "partial")
    assert node.balance(Account.DEPOSITS, "alpha_usdt") == 9 * DOLLAR
    assert node.database.read(audit, node.catalogue) == []


async def test_a_transfer_that_credits_nothing_at_first_and_all_in_the_end_counts(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR)
    node.worlds["alpha"].mine()
    books, observation = await observed(node)
    [row] = observation.rows
    apply(node, books, replace(observation, rows=(replace(row, credit=0),), disputes={}))
    [deposit] = node.deposits(invoice_id)
    assert (deposit.units, deposit.worth) == (0, 0)
    node.worlds["alpha"].mine()
    books, observation = await observed(node)
    [stored] = [row for row in books.rows if row.kind is RowKind.IN and row.method == "alpha_usdt"]
    assert stored.id is not None
    apply(node, books, replace(observation, confirmed={stored.id: 10 * DOLLAR}, disputes={}))
    assert node.states(invoice_id) == ("paid", "exact")


async def test_a_step_that_is_not_lawful_sets_the_invoice_aside(node: SimNode) -> None:
    invoice_id, other = node.create("10"), node.create("10")
    node.pay(invoice_id, DOLLAR)
    await node.mine()
    node.run("update invoices set status = 'cancelled' where id = ?", (invoice_id,))  # nobody cancelled it
    await node.mine()
    record = node.invoice(invoice_id).record
    assert (record.status, record.set_aside is None) == ("cancelled", False)
    assert node.pauses() == [("alpha", "")]
    node.pay(other, 10 * DOLLAR, "alpha_usdt")
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine(3)
    assert node.states(other) == ("paid", "exact")
    assert node.invoice(invoice_id).record.status == "cancelled"
    assert node.balance(Account.DEPOSITS, "alpha_usdt") == 21 * DOLLAR
    assert node.events(invoice_id).count("invoice.deposit_confirmed") == 2


async def test_a_reorganisation_lowers_the_cursor_and_the_floors(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine()
    node.worlds["alpha"].reorg(2, keep=False)
    await node.look()
    books = node.database.read(load_books, node.catalogue, "alpha")
    assert books.cursor == node.worlds["alpha"].head
    [watch] = [watch for watch in books.watches if watch.address == node.address(invoice_id)]
    assert books.floor(watch, "alpha_usdt") == node.worlds["alpha"].head.number - 3


async def test_a_watch_outlives_an_outage_longer_than_itself(node: SimNode) -> None:
    """The clock must not close a watch that the chain was not seen to outlast: the money came during the outage."""
    invoice_id = node.create("10")
    world = node.worlds["alpha"]
    node.clock.advance(timedelta(minutes=5))
    node.pay(invoice_id, 10 * DOLLAR)
    world.mine()
    node.clock.advance(timedelta(days=30))
    world.mine(5)
    await node.look("alpha")
    await node.mine()
    assert node.states(invoice_id) == ("paid", "exact")


async def test_a_watch_ends_once_the_chain_was_seen_past_it(node: SimNode) -> None:
    address = node.address(node.create("10"))
    node.clock.advance(timedelta(days=8))
    await node.mine(2)
    assert address in {watch.address for watch in node.database.read(load_books, node.catalogue, "alpha").watches}
    await node.mine(3)  # deep enough that its blocks stay, and read once more
    books = node.database.read(load_books, node.catalogue, "alpha")
    assert address not in {watch.address for watch in books.watches}


async def test_what_may_still_be_reorganised_stays_watched(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.clock.advance(timedelta(days=6, hours=23, minutes=59))
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine()
    node.clock.advance(timedelta(days=1))
    await node.turn(12)
    assert [deposit.sweep_state for deposit in node.deposits(invoice_id)] == ["swept"]
    node.worlds["alpha"].reorg(14, keep=False)
    await node.look()
    assert [deposit.stage for deposit in node.deposits(invoice_id)] == ["orphaned"]
    assert node.pauses() == [("alpha", "alpha_usdt")]


async def test_rates_do_not_change_what_is_booked(node: SimNode) -> None:
    invoice_id = await paid(node)
    node.database.write(rates.add, Rate("usdt", "USD", Decimal(2), node.clock(), "test"))
    await node.mine(2)
    assert node.deposits(invoice_id)[0].worth == 10


async def test_dust_is_a_thousandth_of_what_an_invoice_asks_for_in_coins(node: SimNode) -> None:
    asking, other = node.create("10", methods=["alpha_sim"]), node.create("10", methods=["alpha_usdt"])
    (quote,) = node.database.read(invoices.quotes, asking)["alpha_sim"]
    books, _ = await observed(node)
    dust = {watch.address: watch.dust_units for watch in books.watches}
    assert dust[node.address(asking)] == quote.units // 1000 > 0
    assert dust[node.address(other)] == 0
