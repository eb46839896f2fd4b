"""What strangers may make us issue, and that it never harms the merchant (D10)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.lab.simnode import SimNode, derive

from paynode.config.shapes import PayerAddresses
from paynode.domain.errors import TooOften
from paynode.operations import invoices
from paynode.store import stores

DOLLAR = 10**6


@pytest.fixture
def capped(node: SimNode) -> SimNode:
    """Three an hour from one place, five a day in all."""
    config, caps = node.catalogue.config, PayerAddresses(per_client_hour=3, per_store_day=5)
    stores = {
        name: replace(store, invoices=replace(store.invoices, payer_addresses=caps))
        for name, store in config.stores.items()
    }
    node.catalogue = replace(node.catalogue, config=replace(config, stores=stores))
    return node


def pick(node: SimNode, client: str | None = "somebody", invoice_id: str | None = None) -> str:
    """A payer picks a method of a new invoice; returns its id."""
    invoice_id = invoice_id or node.create(provision=False, expires_in=timedelta(days=3))
    node.database.write(
        invoices.provision, node.catalogue, invoice_id, "alpha_usdt", derive, node.clock(), client=client
    )
    return invoice_id


def highest(node: SimNode) -> int:
    return node.database.read(stores.accounts)[0].next_index - 1


async def test_one_place_leaves_only_so_many_unpaid_in_an_hour(capped: SimNode) -> None:
    for minutes in (0, 10, 10):
        capped.clock.advance(timedelta(minutes=minutes))
        pick(capped)
    for _ in range(50):
        with pytest.raises(TooOften) as refused:
            pick(capped)
        assert refused.value.wait_seconds == 40 * 60
    assert highest(capped) == 2
    pick(capped, "somebody else")
    capped.clock.advance(timedelta(minutes=40))
    pick(capped)


async def test_all_payers_of_a_store_leave_only_so_many_unpaid_in_a_day(capped: SimNode) -> None:
    for number in range(5):
        pick(capped, f"payer {number}")
        capped.clock.advance(timedelta(hours=1))
    with pytest.raises(TooOften) as refused:
        pick(capped, "another")
    assert refused.value.wait_seconds == 19 * 3600
    capped.clock.advance(timedelta(hours=19))
    pick(capped, "another")


async def test_what_is_paid_does_not_count(capped: SimNode) -> None:
    for _ in range(12):
        capped.pay(pick(capped), DOLLAR)
        await capped.mine()


async def test_the_merchant_issues_addresses_all_the_same(capped: SimNode) -> None:
    for _ in range(3):
        pick(capped)
    refused_id = capped.create(provision=False)
    with pytest.raises(TooOften):
        pick(capped, invoice_id=refused_id)
    pick(capped, client=None, invoice_id=refused_id)
    capped.create(provision=True)
    assert highest(capped) == 4


async def test_picking_again_and_another_coin_of_the_family_is_no_new_address(capped: SimNode) -> None:
    made = [capped.create(methods=["alpha_usdt", "beta_sim"], provision=False) for _ in range(3)]
    for invoice_id in made * 3:
        for method in ("alpha_usdt", "beta_sim"):
            capped.database.write(
                invoices.provision, capped.catalogue, invoice_id, method, derive, capped.clock(), client="somebody"
            )
    assert capped.rows("select count(*) from payer_addresses") == [(3,)]


async def test_what_is_a_day_old_is_forgotten(capped: SimNode) -> None:
    pick(capped)
    capped.clock.advance(timedelta(days=1))
    pick(capped)
    assert capped.rows("select count(*) from payer_addresses") == [(1,)]
