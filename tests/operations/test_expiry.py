"""Deadlines: judged by the chains that were asked for money, never by a chain that we cannot see (I26)."""

from dataclasses import replace
from datetime import timedelta

from tests.lab.simnode import BLOCK, SimNode

from paynode.operations.expiry import SURPLUS_PATIENCE, expire_without_address
from paynode.operations.invoices import cancel
from paynode.operations.observations import apply_observation, load_books
from paynode.store import invoices

DOLLAR = 10**6
DEADLINE_PASSES = timedelta(minutes=31)


def expire(node: SimNode) -> int:
    return node.database.write(expire_without_address, node.catalogue, node.clock())


async def test_without_an_address_the_clock_decides(node: SimNode) -> None:
    invoice_id = node.create(provision=False)
    node.clock.advance(timedelta(minutes=25))
    await node.mine(1, "alpha")
    node.clock.now = node.invoice(invoice_id).record.expires_at
    assert expire(node) == 0
    node.clock.advance(timedelta(seconds=1))
    assert (expire(node), expire(node)) == (1, 0)
    assert node.events(invoice_id) == ["invoice.created", "invoice.expired"]


async def test_a_clock_that_every_chain_contradicts_decides_nothing(node: SimNode) -> None:
    invoice_id = node.create(provision=False)
    node.clock.advance(timedelta(days=1))
    assert expire(node) == 0
    node.clock.advance(timedelta(days=-1))
    await node.mine(1, "beta")
    assert node.states(invoice_id)[0] == "open"
    node.clock.advance(DEADLINE_PASSES)
    await node.mine(1, "beta")
    assert expire(node) == 1


async def test_behind_a_chain_a_deadline_and_a_price_count_from_the_newest_block(node: SimNode) -> None:
    await node.mine()
    true_now = node.clock()
    node.clock.advance(timedelta(hours=-1))
    invoice_id, cancelled_id = node.create(), node.create()
    loaded = node.invoice(invoice_id)
    assert loaded.record.created_at == true_now - timedelta(hours=1)
    assert loaded.record.expires_at == true_now + timedelta(minutes=30)
    assert loaded.quotes["alpha_usdt"][-1].holds_at(true_now)
    assert node.act(cancel, cancelled_id).record.cancelled_at == true_now
    node.pay(invoice_id, 10 * DOLLAR)
    node.worlds["alpha"].mine(at=true_now + timedelta(seconds=1))
    await node.look("alpha")
    assert node.states(invoice_id) == ("confirming", "exact")
    assert not node.deposits(invoice_id)[0].is_late


async def test_with_an_address_the_clock_decides_nothing(node: SimNode) -> None:
    invoice_id = node.create()
    node.clock.advance(DEADLINE_PASSES)
    assert expire(node) == 0
    await node.look()  # no block since: the chain has not come so far
    assert node.states(invoice_id)[0] == "open"
    await node.mine(1, "alpha")
    assert node.states(invoice_id)[0] == "expired"


async def test_every_network_that_was_asked_must_have_passed(node: SimNode) -> None:
    invoice_id = node.create(methods=["alpha_usdt", "beta_usdt"])
    node.clock.advance(DEADLINE_PASSES)
    await node.mine(3, "alpha")
    assert node.states(invoice_id)[0] == "open"
    await node.mine(1, "beta")
    assert node.states(invoice_id)[0] == "expired"


async def test_a_network_that_was_not_asked_judges_nothing(node: SimNode) -> None:
    invoice_id = node.create(methods=["alpha_usdt", "beta_usdt"], provision=False)
    node.provision(invoice_id, "alpha_usdt")
    node.clock.advance(DEADLINE_PASSES)
    await node.mine(3, "beta")
    assert node.states(invoice_id)[0] == "open"
    await node.mine(1, "alpha")
    assert node.states(invoice_id)[0] == "expired"


async def test_a_block_of_the_very_deadline_does_not_end_it(node: SimNode) -> None:
    invoice_id = node.create()
    deadline = node.invoice(invoice_id).record.expires_at
    node.pay(invoice_id, 10 * DOLLAR)
    node.worlds["alpha"].mine(at=deadline)
    await node.look("alpha")
    assert node.states(invoice_id) == ("confirming", "exact")
    assert not node.deposits(invoice_id)[0].is_late


async def test_a_block_that_only_one_provider_vouches_for_ends_nothing(node: SimNode) -> None:
    invoice_id = node.create()
    node.worlds["alpha"].mine(at=node.invoice(invoice_id).record.expires_at + timedelta(minutes=1))
    books = node.database.read(load_books, node.catalogue, "alpha")
    assert books.passed_deadline is None
    seen = await node.chains["alpha"].observe(books)
    node.database.write(
        apply_observation, node.catalogue, "alpha", books, replace(seen, agreed_until=None), node.clock()
    )
    assert node.states(invoice_id)[0] == "open"
    assert node.database.read(load_books, node.catalogue, "alpha").passed_deadline is not None
    await node.look("alpha")
    assert node.states(invoice_id)[0] == "expired"


async def test_a_block_after_the_deadline_is_late(node: SimNode) -> None:
    invoice_id = node.create()
    node.pay(invoice_id, 10 * DOLLAR)
    node.worlds["alpha"].mine(at=node.invoice(invoice_id).record.expires_at + timedelta(milliseconds=1))
    await node.look("alpha")
    assert node.states(invoice_id) == ("expired", "exact")
    assert node.deposits(invoice_id)[0].is_late


async def test_money_in_time_that_is_seen_late_pays(node: SimNode) -> None:
    """A week's outage begins before the payment: nothing expires meanwhile, and then the payment is on time."""
    invoice_id = node.create()
    node.clock.advance(timedelta(minutes=5))
    node.pay(invoice_id, 10 * DOLLAR)
    node.worlds["alpha"].mine()
    node.clock.advance(timedelta(days=6))
    expire(node)
    await node.mine(1, "beta")
    assert node.states(invoice_id)[0] == "open"
    await node.mine(2, "alpha")
    assert node.states(invoice_id) == ("paid", "exact")


async def test_a_doubtful_view_ends_nothing(node: SimNode) -> None:
    invoice_id = node.create()
    node.clock.advance(DEADLINE_PASSES)
    node.worlds["alpha"].mine()
    books = node.database.read(load_books, node.catalogue, "alpha")
    observation = replace(await node.chains["alpha"].observe(books), hold="two providers disagree")
    node.database.write(apply_observation, node.catalogue, "alpha", books, observation, node.clock())
    assert node.states(invoice_id)[0] == "open"
    await node.mine(1, "alpha")
    assert node.states(invoice_id)[0] == "expired"


def lay(node: SimNode, invoice_id: str, units: int, method: str = "alpha_usdt") -> None:
    """Change what lies on the invoice's address in a way that no transfer explains."""
    held = node.worlds["alpha"]._past.state.units_by_method.setdefault(node.address(invoice_id), {})
    held[method] = held.get(method, 0) + units


async def test_while_more_lies_there_than_is_explained_nothing_expires(node: SimNode) -> None:
    """It may be the payment, in time, with its evidence to come: `expired` and then `paid` would be told."""
    surplus, other, unasked = node.create(), node.create(), node.create()
    lay(node, surplus, 10 * DOLLAR)
    lay(node, unasked, 10 * DOLLAR, "alpha_usdc")
    node.clock.advance(DEADLINE_PASSES)
    await node.mine(3, "alpha")
    assert [node.states(each)[0] for each in (surplus, other, unasked)] == ["open", "expired", "expired"]
    lay(node, surplus, -10 * DOLLAR)
    await node.mine(1, "alpha")
    assert node.states(surplus)[0] == "expired"


async def test_a_surplus_that_nothing_ever_explains_keeps_no_invoice_open(node: SimNode) -> None:
    invoice_id = node.create()
    lay(node, invoice_id, 10 * DOLLAR)
    node.clock.advance(timedelta(minutes=30) + SURPLUS_PATIENCE - BLOCK)
    await node.mine(1, "alpha")
    assert node.states(invoice_id)[0] == "open"
    await node.mine(1, "alpha")
    assert node.states(invoice_id)[0] == "expired"


async def test_what_is_missing_is_no_payment_and_delays_nothing(node: SimNode) -> None:
    invoice_id = node.create()
    node.pay(invoice_id, 4 * DOLLAR)
    await node.mine(1, "alpha")
    lay(node, invoice_id, -DOLLAR)
    node.clock.advance(DEADLINE_PASSES)
    await node.mine(1, "alpha")
    assert node.states(invoice_id) == ("expired", "partial")


async def test_an_invoice_whose_network_left_the_config_expires_by_the_clock(node: SimNode) -> None:
    invoice_id = node.create(methods=["beta_usdt"])
    node.config = replace(node.config, networks={"alpha": node.config.networks["alpha"]})
    del node.chains["beta"], node.worlds["beta"]
    node.restart()
    node.clock.advance(DEADLINE_PASSES)
    await node.mine(1, "alpha")
    assert expire(node) == 1
    assert node.states(invoice_id)[0] == "expired"


async def test_a_network_that_is_blind_holds_up_the_invoices_of_no_other(node: SimNode) -> None:
    """Goal: nobody starves. Method: more overdue invoices on a blind network than a tick expires at once."""
    blind = [node.create(methods=["beta_usdt"]) for _ in range(invoices.EXPIRED_AT_ONCE_MAX + 1)]
    seen = node.create(methods=["alpha_usdt"], expires_in=timedelta(minutes=31))
    unasked = node.create(provision=False, expires_in=timedelta(minutes=31))
    node.clock.advance(timedelta(hours=1))
    await node.mine(1, "alpha")
    expire(node)
    assert [node.states(invoice_id)[0] for invoice_id in (blind[0], seen, unasked)] == ["open", "expired", "expired"]


async def test_more_than_one_tick_expires_all_of_them(node: SimNode) -> None:
    due = [node.create(provision=False) for _ in range(invoices.EXPIRED_AT_ONCE_MAX + 1)]
    node.clock.advance(DEADLINE_PASSES)
    await node.mine()
    assert [expire(node), expire(node), expire(node)] == [len(due) - 1, 1, 0]
