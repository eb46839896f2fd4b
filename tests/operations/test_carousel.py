"""Addresses that serve one invoice after another: when they are passed on, and whose the money on them is (I9, A14)."""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import apsw
import pytest
from tests.lab.simnode import SimNode, derive

from paynode.domain.addresses import SIGHT_MAX, AddressMode, AddressPolicy
from paynode.domain.chain import RowSource
from paynode.domain.invoice import Type
from paynode.domain.rescue import Asker
from paynode.operations.assigning import assign
from paynode.operations.creating import CreateInvoice, create_invoice
from paynode.operations.invoices import cancel
from paynode.operations.observations import apply_observation, load_books
from paynode.operations.rescue import check, claim, claim_view
from paynode.store import holdings, rescues
from paynode.store.database import Tx
from paynode.store.deposits import DepositRecord

DOLLAR = 10**6
SHORT = AddressPolicy(AddressMode.REUSE, timedelta(minutes=10))
DEFAULT = AddressPolicy(AddressMode.REUSE)
REST_OVER = timedelta(minutes=41)  # an invoice's thirty minutes, and its addresses' ten


def order(node: SimNode, amount: str | None, policy: AddressPolicy = SHORT, **terms: Any) -> str:
    return node.create(amount, address_policy=policy, **terms)


async def rest(node: SimNode, span: timedelta = REST_OVER) -> None:
    """Let time pass on our clock and on the chains."""
    node.clock.advance(span)
    await node.mine()


async def paid_and_rested(node: SimNode, amount: str = "10") -> str:
    """An invoice that is paid and collected, and whose address may serve again; returns its id."""
    invoice_id = order(node, amount)
    node.pay(invoice_id, int(amount) * DOLLAR)
    await node.turn(12)
    assert node.states(invoice_id) == ("paid", "exact")
    await rest(node)
    return invoice_id


async def unpaid_and_rested(node: SimNode, amount: str = "10") -> str:
    invoice_id = order(node, amount)
    await rest(node)
    assert node.states(invoice_id) == ("expired", "none")
    return invoice_id


def only_deposit(node: SimNode) -> DepositRecord:
    (deposit,) = node.every_deposit()
    return deposit


async def test_an_address_that_is_collected_and_rested_serves_the_next_invoice(node: SimNode) -> None:
    first = await paid_and_rested(node)
    second = order(node, "10")
    assert node.address(second) == node.address(first)
    assert node.events(f"address:sim:{node.address(first)}") == ["address.reused"]
    assert node.invoice(first).addresses["sim"].passed_on_at == node.clock()
    node.pay(second, 10 * DOLLAR)
    await node.turn(12)
    assert node.states(second) == ("paid", "exact")
    assert len(node.deposits(first)) == len(node.deposits(second)) == 1
    assert node.database.read(holdings.present, "sim", node.address(first)).invoice_id == second
    node.check_settled()


@pytest.mark.parametrize("policy", [None, AddressPolicy()], ids=["by default", "asked for"])
async def test_an_invoice_with_fresh_addresses_neither_takes_nor_leaves_any(
    node: SimNode, policy: AddressPolicy | None
) -> None:
    first = await paid_and_rested(node)
    fresh = node.create("11", address_policy=policy)
    assert node.address(fresh) != node.address(first)
    order(node, "12")  # which takes the first one's
    await rest(node, timedelta(days=30))
    assert node.address(order(node, "13")) != node.address(fresh)


async def collected_but_not_rested(node: SimNode) -> None:
    node.pay(order(node, "10"), 10 * DOLLAR)
    await node.turn(12)
    await rest(node, timedelta(minutes=39))


async def paid_and_not_collected(node: SimNode) -> None:
    node.pay(order(node, "10"), 10 * DOLLAR)
    await rest(node)
    await node.mine(3)


async def open_as_one_chain_stands_still(node: SimNode) -> None:
    order(node, "10", methods=["alpha_usdt", "beta_sim"])
    node.clock.advance(REST_OVER)
    await node.mine(1, "alpha")
    await node.look()


async def with_code(node: SimNode) -> None:
    await paid_and_rested(node)
    node.run("update watches set coded_at = 1 where invoice_id is not null")


async def with_money_of_another_network(node: SimNode) -> None:
    invoice_id = await paid_and_rested(node)
    node.pay(invoice_id, 5, "beta_sim")
    await node.mine()


async def disputed(node: SimNode) -> None:
    invoice_id = await paid_and_rested(node)
    node.run(
        "insert into disputes (network, address, method, since_number, since_hash, since_at, expected, reason) "
        "values ('beta', ?, 'beta_sim', 1, '', 1, '0', 'unknown')",
        (node.address(invoice_id),),
    )


async def with_a_network_out_of_sight(node: SimNode) -> None:
    await paid_and_rested(node)
    node.clock.advance(SIGHT_MAX)
    await node.mine(1, "alpha")


async def with_a_doubtful_network(node: SimNode) -> None:
    await paid_and_rested(node)
    node.run("update networks set hold = 'two providers disagree' where network = 'beta'")


async def with_a_network_that_seems_ahead(node: SimNode) -> None:
    await paid_and_rested(node)
    node.run("update networks set head_at = head_at + 60000 where network = 'beta'")


async def set_aside(node: SimNode) -> None:
    invoice_id = await paid_and_rested(node)
    node.run("update invoices set set_aside = 'a person must look' where id = ?", (invoice_id,))


async def rested_by_a_clock_that_jumped(node: SimNode) -> None:
    order(node, "10")
    await node.mine()
    node.clock.advance(timedelta(minutes=14))
    for world in node.worlds.values():
        world.mine(at=node.clock() - timedelta(minutes=14))
    await node.look()
    node.clock.advance(timedelta(minutes=14))


@pytest.mark.parametrize(
    "state",
    [
        collected_but_not_rested,
        paid_and_not_collected,
        open_as_one_chain_stands_still,
        with_code,
        with_money_of_another_network,
        disputed,
        with_a_network_out_of_sight,
        with_a_doubtful_network,
        with_a_network_that_seems_ahead,
        set_aside,
        rested_by_a_clock_that_jumped,
    ],
)
async def test_an_address_is_not_passed_on(node: SimNode, state: Callable[[SimNode], Awaitable[None]]) -> None:
    await state(node)
    order(node, "11")
    assert node.rows("select max(turn) from holdings") == [(0,)]
    node.run("delete from disputes")


async def test_what_does_not_fit_now_is_asked_again_later_and_hides_no_other(node: SimNode) -> None:
    dusty = [order(node, "10") for _ in range(25)]
    node.clock.advance(timedelta(seconds=1))
    clean = order(node, "10")
    for invoice_id in dusty:
        node.pay(invoice_id, 1)
    await rest(node)
    await node.mine(3)
    assert node.address(order(node, "11")) not in {node.address(each) for each in [*dusty, clean]}
    assert node.address(order(node, "11")) == node.address(clean)


async def test_by_default_an_address_rests_as_long_as_it_is_watched(node: SimNode) -> None:
    first = order(node, "10", DEFAULT)
    assert node.invoice(first).record.rest_seconds == 7 * 86400
    await rest(node, timedelta(days=7))
    assert node.address(order(node, "10", DEFAULT)) != node.address(first)
    await rest(node, timedelta(minutes=31))
    second = order(node, "10", DEFAULT)
    assert node.address(second) == node.address(first)
    node.pay(second, 3 * DOLLAR)
    await node.mine()
    assert node.states(second) == ("open", "partial")


async def test_money_from_before_belongs_to_the_one_before_though_it_is_seen_after(node: SimNode) -> None:
    """Nobody looked for minutes; what the chain did then is told by its own times."""
    first = await unpaid_and_rested(node)
    node.pay(first, 10 * DOLLAR)
    node.worlds["alpha"].mine()
    node.clock.advance(timedelta(minutes=5))
    node.worlds["alpha"].mine()
    second = order(node, "20")
    await node.mine(4)
    deposit = only_deposit(node)
    assert (deposit.invoice_id, deposit.address_invoice_id) == (None, second)  # nobody saw who had it then
    assert node.events(deposit.id) == ["deposit.unattributed"]
    assert (node.states(first), node.states(second)) == (("expired", "none"), ("open", "none"))


async def test_money_that_was_seen_before_stays_the_one_befores_however_the_chain_moves_it(node: SimNode) -> None:
    first = await paid_and_rested(node)
    second = order(node, "20")
    node.pay(second, 20 * DOLLAR)
    await node.mine()
    for keep_depth in (1, 2):
        node.worlds["alpha"].reorg(keep_depth, keep=True)
        await node.mine()
    await node.turn(12)
    assert (node.states(first), node.states(second)) == (("paid", "exact"), ("paid", "exact"))
    node.check_settled()


async def test_what_left_the_chain_and_comes_back_without_a_hash_is_not_the_present_holders(node: SimNode) -> None:
    """Coins that a contract sent have no transaction to be known by; the one before is not paid without them."""
    first = order(node, "10")
    tx_hash = node.pay(first, 10 * DOLLAR)
    await node.turn(12)
    await rest(node)
    second = order(node, "20")
    assert node.address(second) == node.address(first)
    node.run("update chain_rows set tx_hash = '', source = 'internal' where tx_hash = ?", (tx_hash,))
    node.clock.advance(timedelta(minutes=1))
    world = node.worlds["alpha"]
    world.reorg(world.head.number - 3, keep={tx_hash}, reordered=True)
    books = node.database.read(load_books, node.catalogue, "alpha")
    seen = await node.chains["alpha"].observe(books)
    (again,) = [row for row in seen.rows if row.tx_hash == tx_hash]
    seen = replace(seen, rows=[replace(again, tx_hash="", source=RowSource.INTERNAL)])
    node.database.write(apply_observation, node.catalogue, "alpha", books, seen, node.clock())
    assert node.states(first)[0] == "reversed"
    assert node.states(second) == ("open", "none")
    assert node.every_deposit()[-1].invoice_id is None


async def test_a_late_payment_to_the_one_before_is_its_own_until_the_address_is_passed_on(node: SimNode) -> None:
    first = await unpaid_and_rested(node)
    node.pay(first, 10 * DOLLAR)
    await node.mine()
    second = order(node, "20")
    assert node.address(second) != node.address(first)
    deposit = only_deposit(node)
    assert (deposit.invoice_id, deposit.is_late) == (first, True)


async def test_after_that_it_counts_for_nobody(node: SimNode) -> None:
    first = await unpaid_and_rested(node)
    second = order(node, "20")
    assert node.address(second) == node.address(first)
    node.pay(first, 10 * DOLLAR)
    await node.turn(12)
    deposit = only_deposit(node)
    assert (deposit.invoice_id, deposit.address_invoice_id) == (None, second)
    assert node.events(deposit.id) == ["deposit.unattributed"]
    assert (node.states(first), node.states(second)) == (("expired", "none"), ("open", "none"))
    assert deposit.sweep_state == "swept"
    node.check_settled()


async def test_the_merchant_assigns_it_to_either(node: SimNode) -> None:
    first = await unpaid_and_rested(node)
    second = order(node, "20")
    node.pay(first, 10 * DOLLAR)
    await node.turn(6)
    node.database.write(assign, node.catalogue, only_deposit(node).id, first, node.clock())
    assert node.states(first) == ("expired", "exact")
    assert "invoice.paid_late" in node.events(first)
    node.pay(second, 5 * DOLLAR)
    await node.turn(6)
    stray = node.every_deposit()[-1]
    node.database.write(assign, node.catalogue, stray.id, second, node.clock())
    assert node.states(second) == ("open", "partial")
    node.pay(second, 15 * DOLLAR)  # which is then exactly what is owed
    await node.turn(6)
    assert node.states(second) == ("paid", "exact")


async def test_the_exact_amount_pays_the_present_holder(node: SimNode) -> None:
    await unpaid_and_rested(node)
    second = order(node, "20")
    node.pay(second, 19 * DOLLAR)
    node.pay(second, 20 * DOLLAR)
    node.pay(second, 20 * DOLLAR)
    await node.turn(12)
    assert [each.units for each in node.deposits(second)] == [20 * DOLLAR]
    assert node.states(second) == ("paid", "exact")
    assert len([each for each in node.every_deposit() if each.invoice_id is None]) == 2
    node.check_settled()


async def test_an_address_is_not_passed_on_to_a_twin_while_the_one_before_may_be_paid_late(node: SimNode) -> None:
    first = await unpaid_and_rested(node)
    twin, other = order(node, "10"), order(node, "11")
    assert node.address(twin) != node.address(first)
    assert node.address(other) == node.address(first)


@pytest.mark.parametrize("terms", [{"amount": None}, {"amount": "20", "type": Type.POOL}], ids=["top-up", "pool"])
async def test_an_invoice_whose_payers_decide_how_much_shares_an_address_with_nobody_who_waits(
    node: SimNode, terms: dict[str, Any]
) -> None:
    unpaid, paid = order(node, "10"), order(node, "10")
    node.pay(paid, 10 * DOLLAR)
    await node.turn(12)
    await rest(node)
    made = [order(node, **terms) for _ in range(2)]
    assert node.address(made[0]) == node.address(paid)
    assert node.address(made[1]) != node.address(unpaid)
    node.pay(made[0], 3 * DOLLAR)
    await node.mine()
    assert len(node.deposits(made[0])) == 1


async def test_a_reusable_invoice_neither_takes_an_address_nor_gives_its_own_back(node: SimNode) -> None:
    first = await paid_and_rested(node)
    reusable = order(node, None, type=Type.REUSABLE)
    assert node.address(reusable) != node.address(first)
    node.act(cancel, reusable)
    await rest(node, timedelta(days=400))
    assert [node.address(order(node, "10")) == node.address(each) for each in (first, reusable)] == [True, False]


async def test_an_invoice_that_became_a_twin_later_is_paid_by_nobodys_money(node: SimNode) -> None:
    """Its price was renewed, and is what the one before asked for."""
    first = await unpaid_and_rested(node)
    second = order(node, "20", expires_in=timedelta(days=1))
    assert node.address(second) == node.address(first)
    node.fix_rate("usdt", "2")
    node.clock.advance(timedelta(hours=1))
    await node.mine()
    node.provision(second, "alpha_usdt")
    assert node.invoice(second).quotes["alpha_usdt"][-1].units == 10 * DOLLAR
    node.pay(second, 10 * DOLLAR)
    await node.mine()
    assert only_deposit(node).invoice_id is None


async def test_a_cancelled_invoice_leaves_its_address_after_its_rest(node: SimNode) -> None:
    first = order(node, "10")
    node.act(cancel, first)
    await node.mine()
    assert node.address(order(node, "11")) != node.address(first)
    await rest(node)
    assert node.address(order(node, "12")) == node.address(first)


async def test_the_watch_goes_on_as_deep_and_as_low_as_before(node: SimNode) -> None:
    first = order(node, "10", confirmations=9)
    before = node.rows("select network, floor from watches where invoice_id = ?", (first,))
    await rest(node)
    second = order(node, "11", confirmations=2)
    assert node.address(second) == node.address(first)
    found = node.rows("select network, floor, depth, watch_until from watches where invoice_id = ?", (second,))
    assert [(network, floor) for network, floor, _, _ in found] == before
    assert [depth for _, _, depth, _ in found] == [9, 3]
    assert {until for _, _, _, until in found} == {int(node.invoice(second).record.monitor_until.timestamp() * 1000)}
    assert node.rows("select count(*) from watches where invoice_id = ?", (first,)) == [(0,)]


async def test_a_check_of_the_one_before_leaves_the_watch_to_the_present_holder(node: SimNode) -> None:
    first = await unpaid_and_rested(node)
    second = order(node, "20")
    node.run("delete from watches where network = 'beta' and invoice_id = ?", (second,))
    node.database.write(check, node.catalogue, first, Asker.MERCHANT, node.clock())
    assert node.rows("select network from watches where invoice_id = ?", (second,)) == [("alpha",), ("beta",)]


async def test_the_payer_of_the_one_before_learns_nothing_of_money_that_counts_for_the_present_holder(
    node: SimNode,
) -> None:
    first = await unpaid_and_rested(node)
    second = order(node, "20")
    tx_hash = node.pay(second, 20 * DOLLAR)
    await node.mine()
    claimed = node.database.write(
        claim, node.catalogue, first, tx_hash, Asker.PAYER, _parse, node.clock(), network="alpha"
    )
    await node.mine()
    record = node.database.read(rescues.claim_of, first, tx_hash)
    assert record is not None
    answered = node.database.read(claim_view, record)
    assert (claimed.deposits, answered.deposits, answered.state) == ([], [], "not_found")
    assert answered.reason == "it counts for another invoice"


def _parse(family: str, text: str) -> str:
    return text


async def test_each_store_has_a_carousel_of_its_own(node: SimNode) -> None:
    first = await paid_and_rested(node)
    node.run("update addresses set account = 1")
    assert node.address(order(node, "10")) != node.address(first)


async def test_two_creators_at_once_can_never_be_given_one_address(node: SimNode) -> None:
    """Method: both read that it is free, and both take it."""
    first, second, third = await paid_and_rested(node), node.create("1"), node.create("2")
    has_it = node.database.read(holdings.present, "sim", node.address(first))
    for invoice_id, refuses in ((second, False), (third, True)):
        taken = replace(has_it, turn=has_it.turn + 1, invoice_id=invoice_id)
        node.run("delete from holdings where invoice_id = ?", (invoice_id,))
        with pytest.raises(apsw.ConstraintError) if refuses else nullcontext():
            node.database.write(holdings.hold, taken, {})


async def test_a_commit_that_fails_passes_nothing_on(node: SimNode) -> None:
    first = await paid_and_rested(node)
    address = node.address(first)
    command = CreateInvoice(Decimal(10), "USD", ["alpha_usdt"], address_policy=SHORT, provision=True)

    def broken(tx: Tx) -> None:
        made = create_invoice(tx, node.catalogue, node.store_id, command, derive, node.clock())
        assert made.loaded.addresses["sim"].address == address
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        node.database.write(broken)
    assert node.rows("select max(turn) from holdings") == [(0,)]
    assert node.events(f"address:sim:{address}") == []
    assert node.address(order(node, "10")) == address
