"""Looking again: money after the watch, on another network, in another coin; and transactions that somebody claims."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from msgspec import to_builtins
from tests.lab.simnode import ETHER, SimNode

from paynode.chains.sim import keys
from paynode.domain.chain import Observation, Row, RowKind, RowSource
from paynode.domain.errors import Conflict, Invalid, NotFound, TooOften
from paynode.domain.rescue import ALLOWANCES, ASK_FOR, Asker
from paynode.operations import rescue
from paynode.operations.assigning import assign
from paynode.operations.observations import apply_observation, load_books
from paynode.operations.pace import HEARTBEAT_SECONDS, pause_seconds
from paynode.operations.views.shapes import moment
from paynode.store import rescues
from paynode.store.database import Tx
from paynode.store.pages import Page
from paynode.store.times import to_ms

DOLLAR = 10**6
NOWHERE = "0x" + "ab" * 32


def parse(family: str, text: str) -> str:
    return keys.parse_tx_hash(text)


def check(node: SimNode, invoice_id: str, asker: Asker = Asker.MERCHANT) -> Any:
    return to_builtins(node.database.write(rescue.check, node.catalogue, invoice_id, asker, node.clock()))


def claim(node: SimNode, invoice_id: str, tx_hash: str, asker: Asker = Asker.MERCHANT, **more: Any) -> Any:
    claimed = node.database.write(rescue.claim, node.catalogue, invoice_id, tx_hash, asker, parse, node.clock(), **more)
    return to_builtins(claimed)


def claims(node: SimNode, invoice_id: str) -> list[Any]:
    def shown(tx: Tx) -> list[Any]:
        found = rescues.claims_of(tx, invoice_id, Page(limit=100)).entries
        return [to_builtins(rescue.claim_view(tx, record)) for record in found]

    return node.database.read(shown)


async def forgotten(node: SimNode) -> str:
    """An invoice whose addresses are no longer watched."""
    invoice_id = node.create("10")
    node.clock.advance(timedelta(days=30))
    await node.mine(2)
    await node.mine(4)  # deep enough that its watch ends
    await node.mine(node.catalogue.networks["alpha"].reorg_horizon)  # and that nothing may be undone
    assert node.rows("select is_closed from watches where invoice_id is not null") == [(1,), (1,)]
    assert node.states(invoice_id) == ("expired", "none")
    return invoice_id


async def test_money_after_the_watch_is_found_by_a_check_and_is_late(node: SimNode) -> None:
    invoice_id = await forgotten(node)
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine(3)
    assert node.deposits(invoice_id) == []
    seen = check(node, invoice_id)
    assert [each["network"] for each in seen["networks"]] == ["alpha", "beta"]
    assert {each["address"] for each in seen["networks"]} == {node.address(invoice_id)}
    await node.mine(3)
    assert [(each.stage, each.is_late) for each in node.deposits(invoice_id)] == [("settled", True)]
    assert node.states(invoice_id) == ("expired", "exact")


async def test_a_checked_address_is_watched_again_for_as_long_as_was_said(node: SimNode) -> None:
    invoice_id = await forgotten(node)
    seen = check(node, invoice_id)
    assert seen["networks"][0]["watched_until"] == moment(node.clock() + timedelta(days=1))
    await node.mine(2)
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine(3)
    assert len(node.deposits(invoice_id)) == 1
    node.clock.advance(timedelta(days=2))
    await node.mine(6)
    assert node.rows("select is_closed from watches where invoice_id is not null") == [(1,), (1,)]


def unseen(node: SimNode, invoice_id: str) -> list[tuple[Any, ...]]:
    sql = "select network, unseen_since from watches where invoice_id = ? and unseen_since is not null"
    return node.rows(sql, (invoice_id,))


async def test_a_watch_opened_again_knows_since_when_nobody_looked_until_somebody_has(node: SimNode) -> None:
    invoice_id = await forgotten(node)
    monitor_until = to_ms(node.invoice(invoice_id).record.monitor_until)
    for _ in range(2):
        check(node, invoice_id)
        assert unseen(node, invoice_id) == [("alpha", monitor_until), ("beta", monitor_until)]
        books = node.database.read(load_books, node.catalogue, "alpha")
        assert books.unseen == {node.address(invoice_id): node.invoice(invoice_id).record.monitor_until}
    await node.mine(1, "alpha")
    assert unseen(node, invoice_id) == [("beta", monitor_until)]
    node.run("delete from watches where network = 'alpha' and invoice_id = ?", (invoice_id,))
    check(node, invoice_id)
    issued_at = to_ms(node.invoice(invoice_id).addresses["sim"].issued_at)
    assert unseen(node, invoice_id) == [("alpha", issued_at), ("beta", monitor_until)]


async def test_coins_of_which_nothing_tells_when_they_came_are_judged_as_early_as_they_can_be(node: SimNode) -> None:
    invoice_id = node.create("10", methods=["alpha_sim"], expires_in=timedelta(hours=1))
    node.clock.advance(timedelta(hours=2))
    block = replace(node.worlds["alpha"].mine(), at=node.clock())
    row = Row(RowKind.IN, RowSource.UNPLACED, node.address(invoice_id), "alpha_sim", ETHER // 200, block)
    books = node.database.read(load_books, node.catalogue, "alpha")
    seen = Observation(block, block, rows=(row,))
    node.database.write(apply_observation, node.catalogue, "alpha", books, seen, node.clock())
    (deposit,) = node.deposits(invoice_id)
    assert (deposit.is_late, deposit.seen_at) == (False, node.invoice(invoice_id).record.created_at)


async def test_a_check_is_over_with_the_tick_that_served_it_and_not_before(node: SimNode) -> None:
    invoice_id = node.create("10")
    check(node, invoice_id)
    books = node.database.read(load_books, node.catalogue, "alpha")
    observation = await node.chains["alpha"].observe(books)

    def broken(tx: Tx) -> None:
        apply_observation(tx, node.catalogue, "alpha", books, observation, node.clock())
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        node.database.write(broken)
    assert node.rows("select network from checks order by network") == [("alpha",), ("beta",)]
    node.database.write(apply_observation, node.catalogue, "alpha", books, observation, node.clock())
    assert node.rows("select network from checks") == [("beta",)]


def pause(node: SimNode) -> float:
    """How long the scanner rests now."""
    return node.database.read(pause_seconds, node.catalogue, "alpha", node.clock(), is_watched=False)


@pytest.mark.parametrize("asker", Asker)
async def test_only_the_merchants_check_reads_logs_where_the_balance_is_right(node: SimNode, asker: Asker) -> None:
    """Logs may cost tens of calls, so nobody with a mere link may have them read."""
    invoice_id = node.create("10")
    check(node, invoice_id, asker)
    books = node.database.read(load_books, node.catalogue, "alpha")
    address = node.address(invoice_id)
    assert address in {watch.address for watch in books.watches}
    assert books.touched == (frozenset({address}) if asker is Asker.MERCHANT else frozenset())
    await node.look("alpha")
    assert node.rows("select network from checks") == [("beta",)]


async def test_a_deep_check_that_comes_during_a_tick_is_left_for_the_next(node: SimNode) -> None:
    invoice_id = node.create("10")
    check(node, invoice_id, Asker.PAYER)
    books = node.database.read(load_books, node.catalogue, "alpha")
    observation = await node.chains["alpha"].observe(books)
    check(node, invoice_id, Asker.MERCHANT)
    node.database.write(apply_observation, node.catalogue, "alpha", books, observation, node.clock())
    assert node.database.read(load_books, node.catalogue, "alpha").touched == {node.address(invoice_id)}


async def test_a_check_is_served_soon(node: SimNode) -> None:
    invoice_id = await forgotten(node)
    check(node, invoice_id, Asker.PAYER)
    assert pause(node) < HEARTBEAT_SECONDS
    await node.look()
    assert pause(node) == HEARTBEAT_SECONDS


async def test_an_invoices_link_does_not_keep_an_idle_network_busy(node: SimNode) -> None:
    invoice_id = await forgotten(node)
    assert pause(node) == HEARTBEAT_SECONDS
    claim(node, invoice_id, NOWHERE, Asker.PAYER, network="alpha")
    asked_at, looks = node.clock(), 0
    while claims(node, invoice_id)[0]["state"] == "pending":
        node.clock.advance(timedelta(seconds=pause(node)))
        await node.look("alpha")
        looks += 1
    assert ASK_FOR / 2 < node.clock() - asked_at < 2 * ASK_FOR
    assert looks < 30, "every quarter of a minute would be hundreds"


async def test_a_network_that_was_enabled_after_the_address_was_issued_is_looked_at_too(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.run("delete from watches where network = 'beta'")
    node.run("delete from checkpoints where network = 'beta'")
    node.pay(invoice_id, 10 * DOLLAR, "beta_usdt")
    await node.mine(3)
    assert node.every_deposit() == []
    check(node, invoice_id)
    await node.mine(4)
    (deposit,) = node.every_deposit()
    assert (deposit.method, deposit.stage, deposit.invoice_id) == ("beta_usdt", "settled", None)


async def test_no_clock_that_ran_ahead_hides_money_from_a_check(node: SimNode) -> None:
    """The address is issued with the clock an hour ahead, and paid at once; the network is enabled later."""
    true_now = node.clock()
    node.clock.advance(timedelta(hours=1))
    invoice_id = node.create("10")
    node.clock.now = true_now
    node.run("delete from watches where network = 'beta' and invoice_id = ?", (invoice_id,))
    node.pay(invoice_id, 10 * DOLLAR, "beta_usdt")
    await node.mine(5)
    check(node, invoice_id)
    await node.mine(4)
    assert [deposit.stage for deposit in node.every_deposit()] == ["settled"]


async def test_a_claim_finds_a_late_payment_and_shows_its_deposit(node: SimNode) -> None:
    invoice_id = await forgotten(node)
    tx_hash = node.pay(invoice_id, 10 * DOLLAR)
    await node.mine(3)
    made = claim(node, invoice_id, f" {tx_hash.upper().replace('X', 'x')} ")
    assert (made["state"], made["tx_hash"], made["deposits"]) == ("pending", tx_hash, [])
    await node.mine(3)
    (deposit,) = node.deposits(invoice_id)
    (shown,) = claims(node, invoice_id)
    assert (shown["state"], shown["deposits"], shown["reason"]) == ("found", [deposit.id], None)
    assert {each["network"]: each["answer"] for each in shown["networks"]} == {"alpha": "booked", "beta": "unknown"}
    assert deposit.stage == "settled"


async def test_claiming_twice_is_once_and_adds_nothing(node: SimNode) -> None:
    invoice_id = node.create("10")
    tx_hash = node.pay(invoice_id, 10 * DOLLAR)
    await node.mine(3)
    first = claim(node, invoice_id, tx_hash)
    await node.mine()
    again = claim(node, invoice_id, tx_hash)
    await node.mine()
    assert first["id"] == again["id"]
    assert again["state"] == "found"
    assert node.states(invoice_id) == ("paid", "exact")
    assert len(node.deposits(invoice_id)) == len(claims(node, invoice_id)) == 1


async def test_a_claim_that_fails_before_its_commit_never_was(node: SimNode) -> None:
    invoice_id = node.create("10")
    before = node.rows("select * from watches")

    def broken(tx: Tx) -> None:
        rescue.claim(tx, node.catalogue, invoice_id, NOWHERE, Asker.PAYER, parse, node.clock())
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        node.database.write(broken)
    assert claims(node, invoice_id) == node.rows("select * from rescue_requests") == []
    assert node.rows("select * from watches") == before


async def test_a_payment_on_the_wrong_network_is_found_and_says_that_it_must_be_assigned(node: SimNode) -> None:
    invoice_id = await forgotten(node)
    tx_hash = node.pay(invoice_id, 10 * DOLLAR, "beta_usdt")
    await node.mine()
    claim(node, invoice_id, tx_hash)
    await node.mine(4)
    (shown,) = claims(node, invoice_id)
    (deposit,) = node.every_deposit()
    assert (shown["state"], shown["deposits"]) == ("found", [deposit.id])
    assert "must assign" in shown["reason"]
    node.database.write(assign, node.catalogue, deposit.id, invoice_id, node.clock())
    assert claims(node, invoice_id)[0]["reason"] is None
    assert node.states(invoice_id) == ("expired", "exact")


async def test_what_is_no_payment_to_this_invoice_says_why(node: SimNode) -> None:
    invoice_id, other = node.create("10"), node.create("10")
    failed = node.pay(invoice_id, 10 * DOLLAR, reverts=True)
    to_other = node.pay(other, 10 * DOLLAR)
    await node.mine()
    for tx_hash in (failed, to_other):
        claim(node, invoice_id, tx_hash, network="alpha")
    await node.mine(3)
    shown = {each["tx_hash"]: (each["state"], each["reason"]) for each in claims(node, invoice_id)}
    assert shown[failed] == ("not_found", "the transaction failed and moved nothing")
    assert shown[to_other] == (
        "not_found",
        "the transaction brings no coin that is taken here to the invoice's address",
    )
    assert node.states(invoice_id) == ("open", "none")


async def test_an_unknown_transaction_is_asked_for_ever_more_seldom_and_then_no_more(node: SimNode) -> None:
    invoice_id = node.create("10")
    claim(node, invoice_id, NOWHERE, network="alpha")
    began = node.clock()
    asked_at: list[timedelta] = []
    while node.clock() - began < 2 * ASK_FOR:
        if node.database.read(rescues.due_claims, "alpha"):
            asked_at.append(node.clock() - began)
        await node.look("alpha")
        node.clock.advance(timedelta(seconds=15))
    assert asked_at[0] == timedelta(0)
    assert 5 <= len(asked_at) <= 10
    gaps = [later - sooner for sooner, later in pairwise(asked_at)]
    assert gaps[1:] == sorted(gaps[1:])
    (shown,) = claims(node, invoice_id)
    assert (shown["state"], shown["networks"][0]["answer"]) == ("not_found", "unknown")
    claim(node, invoice_id, NOWHERE, network="alpha")
    assert claims(node, invoice_id)[0]["state"] == "pending"


async def test_a_claim_made_before_the_payment_is_mined_finds_it(node: SimNode) -> None:
    invoice_id = await forgotten(node)
    tx_hash = node.pay(invoice_id, 10 * DOLLAR)
    claim(node, invoice_id, tx_hash)
    await node.look()
    assert claims(node, invoice_id)[0]["state"] == "pending"
    await node.mine(4)
    assert claims(node, invoice_id)[0]["state"] == "found"


async def test_a_claimed_payment_whose_block_leaves_the_chain_is_found_no_more(node: SimNode) -> None:
    invoice_id = await forgotten(node)
    tx_hash = node.pay(invoice_id, 10 * DOLLAR)
    await node.mine()
    claim(node, invoice_id, tx_hash)
    await node.look()
    assert claims(node, invoice_id)[0]["state"] == "found"
    node.worlds["alpha"].reorg(1, keep=False)
    node.clock.advance(2 * ASK_FOR)
    await node.mine(2)
    (shown,) = claims(node, invoice_id)
    assert (shown["state"], shown["reason"]) == ("not_found", "the chain took its block back")


@pytest.mark.parametrize("asker", Asker)
async def test_asking_is_limited_by_the_hour_for_each_kind_and_asker(node: SimNode, asker: Asker) -> None:
    invoice_id, allowance = node.create("10"), ALLOWANCES[asker]
    for _ in range(allowance.checks_per_hour):
        check(node, invoice_id, asker)
        node.clock.advance(timedelta(minutes=1))
    with pytest.raises(TooOften) as refused:
        check(node, invoice_id, asker)
    assert refused.value.wait_seconds == (60 - allowance.checks_per_hour) * 60
    for _ in range(allowance.claims_per_hour):
        claim(node, invoice_id, NOWHERE, asker)
    with pytest.raises(TooOften):
        claim(node, invoice_id, NOWHERE, asker)
    other = Asker.PAYER if asker is Asker.MERCHANT else Asker.MERCHANT
    check(node, invoice_id, other)
    check(node, node.create("10"), asker)
    node.clock.advance(timedelta(seconds=refused.value.wait_seconds))
    check(node, invoice_id, asker)
    with pytest.raises(TooOften):
        check(node, invoice_id, asker)


async def test_what_cannot_be_asked_is_refused_and_not_counted(node: SimNode) -> None:
    invoice_id, unpaid = node.create("10"), node.create("10", provision=False)
    for tx_hash in ("", "0x12", "ab" * 32, f"0x{'g' * 64}"):
        with pytest.raises(Invalid) as invalid:
            claim(node, invoice_id, tx_hash)
        assert [problem.pointer for problem in invalid.value.problems] == ["/tx_hash"]
    with pytest.raises(Invalid):
        claim(node, invoice_id, NOWHERE, network="gamma")
    for ask in (check, lambda node, id_: claim(node, id_, NOWHERE)):
        with pytest.raises(Conflict) as refused:
            ask(node, unpaid)
        assert refused.value.code == "no_address"
    enabled, node.catalogue = node.catalogue, replace(node.catalogue, networks={})
    with pytest.raises(Conflict) as refused:
        check(node, invoice_id)
    assert refused.value.code == "method_disabled"
    node.catalogue = enabled
    with pytest.raises(NotFound):
        claim(node, invoice_id, NOWHERE, store_id="sto_01JZ8Q4M9C3V5T7X1B2D4F6H8K")
    assert node.rows("select * from rescue_requests") == []
