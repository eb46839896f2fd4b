"""Money that no invoice asked for, given to the invoice it was meant for."""

from datetime import timedelta

import pytest
from tests.lab.simnode import SimNode

from paynode.domain.errors import Conflict, NotFound
from paynode.operations import invoices
from paynode.operations.assigning import assign
from paynode.store.database import Tx
from paynode.store.deposits import PlacedDeposit

DOLLAR = 10**6
UNKNOWN = "01JZ8Q4M9C3V5T7X1B2D4F6H8K"


async def stray(node: SimNode, invoice_id: str, units: int = 10 * DOLLAR, method: str = "alpha_usdc") -> str:
    """A final deposit in a coin that the invoice does not offer; returns its id."""
    node.pay(invoice_id, units, method)
    await node.mine(4)
    (deposit,) = [each for each in node.every_deposit() if each.invoice_id is None and each.stage == "settled"]
    return deposit.id


def given(node: SimNode, deposit_id: str, invoice_id: str) -> PlacedDeposit:
    return node.database.write(assign, node.catalogue, deposit_id, invoice_id, node.clock())


@pytest.mark.parametrize("method", ["alpha_usdc", "beta_usdt"], ids=["another token", "another network"])
async def test_a_wrong_payment_pays_its_invoice_once_it_is_assigned(node: SimNode, method: str) -> None:
    invoice_id = node.create("10")
    deposit_id = await stray(node, invoice_id, method=method)
    booked = node.rows("select * from ledger_entries")
    placed = given(node, deposit_id, invoice_id)
    assert (placed.deposit.invoice_id, placed.deposit.worth) == (invoice_id, 10)
    assert node.states(invoice_id) == ("paid", "exact")
    assert node.events(invoice_id) == [
        "invoice.created",
        "invoice.deposit_detected",
        "invoice.deposit_confirmed",
        "invoice.paid",
    ]
    assert node.rows("select * from ledger_entries") == booked


async def test_assigning_twice_is_once(node: SimNode) -> None:
    invoice_id = node.create("10")
    deposit_id = await stray(node, invoice_id)
    given(node, deposit_id, invoice_id)
    events = node.rows("select * from events")
    given(node, deposit_id, invoice_id)
    assert node.rows("select * from events") == events


async def test_an_assignment_that_fails_before_its_commit_never_was(node: SimNode) -> None:
    invoice_id = node.create("10")
    deposit_id = await stray(node, invoice_id)

    def broken(tx: Tx) -> None:
        assign(tx, node.catalogue, deposit_id, invoice_id, node.clock())
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        node.database.write(broken)
    assert node.states(invoice_id) == ("open", "none")
    assert [each.invoice_id for each in node.every_deposit()] == [None]


async def test_it_is_worth_the_rate_of_its_own_moment(node: SimNode) -> None:
    invoice_id = node.create("10", expires_in=timedelta(days=1))
    deposit_id = await stray(node, invoice_id)
    node.clock.advance(timedelta(hours=2))
    node.fix_rate("usdc", "0.5")
    assert given(node, deposit_id, invoice_id).deposit.worth == 10


async def test_what_no_rate_prices_is_priced_once_one_is_known(node: SimNode) -> None:
    invoice_id = node.create("10")
    deposit_id = await stray(node, invoice_id)
    node.run("update rates set base = 'gone' where base = 'usdc'")
    assert given(node, deposit_id, invoice_id).deposit.worth is None
    assert node.states(invoice_id) == ("open", "none")
    node.run("update rates set base = 'usdc' where base = 'gone'")
    await node.mine()
    assert node.states(invoice_id) == ("paid", "exact")


async def test_money_that_came_in_time_pays_an_invoice_that_has_expired(node: SimNode) -> None:
    invoice_id = node.create("10")
    deposit_id = await stray(node, invoice_id)
    node.clock.advance(timedelta(hours=1))
    await node.mine()
    assert node.states(invoice_id) == ("expired", "none")
    given(node, deposit_id, invoice_id)
    assert node.states(invoice_id) == ("paid", "exact")


async def test_money_that_came_late_stays_late(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.clock.advance(timedelta(hours=1))
    deposit_id = await stray(node, invoice_id)
    assert given(node, deposit_id, invoice_id).deposit.is_late
    assert node.states(invoice_id) == ("expired", "exact")
    assert {"deposit.late", "invoice.paid_late"} <= set(node.events(invoice_id))
    node.act(invoices.accept, invoice_id)
    assert node.states(invoice_id) == ("paid", "exact")


async def test_it_may_be_given_to_another_invoice_than_the_one_whose_address_it_came_to(node: SimNode) -> None:
    paid_to, meant = node.create("10"), node.create("10", methods=["alpha_usdc"])
    placed = given(node, await stray(node, paid_to), meant)
    assert placed.deposit.address_invoice_id == paid_to
    assert (node.states(paid_to), node.states(meant)) == (("open", "none"), ("paid", "exact"))


async def test_what_counts_for_one_invoice_is_not_given_to_another(node: SimNode) -> None:
    one, other = node.create("10"), node.create("10")
    deposit_id = await stray(node, one)
    given(node, deposit_id, one)
    with pytest.raises(Conflict) as refused:
        given(node, deposit_id, other)
    assert refused.value.code == "deposit_assigned"


async def test_what_the_chain_took_back_is_not_given(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR, "alpha_usdc")
    await node.mine()
    node.worlds["alpha"].reorg(1, keep=False)
    await node.mine()
    (deposit,) = node.every_deposit()
    with pytest.raises(Conflict) as refused:
        given(node, deposit.id, invoice_id)
    assert refused.value.code == "deposit_orphaned"


async def test_an_assigned_deposit_that_is_mined_again_in_another_block_stays_assigned(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR, "alpha_usdc")
    await node.mine()
    given(node, node.every_deposit()[0].id, invoice_id)
    assert node.states(invoice_id) == ("confirming", "exact")
    node.worlds["alpha"].reorg(1, keep=True)
    await node.mine(4)
    before, after = node.every_deposit()
    assert (before.stage, after.stage, after.replaces) == ("orphaned", "settled", before.id)
    assert after.invoice_id == invoice_id
    assert node.states(invoice_id) == ("paid", "exact")


async def test_what_is_anothers_is_not_there(node: SimNode) -> None:
    invoice_id = node.create("10")
    deposit_id = await stray(node, invoice_id)
    for its_deposit, its_invoice, store_id in (
        (deposit_id, invoice_id, f"sto_{UNKNOWN}"),
        (f"dep_{UNKNOWN}", invoice_id, node.store_id),
        (deposit_id, f"inv_{UNKNOWN}", node.store_id),
    ):
        with pytest.raises(NotFound):
            node.database.write(assign, node.catalogue, its_deposit, its_invoice, node.clock(), store_id=store_id)
