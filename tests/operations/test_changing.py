"""What becomes of an invoice after it was made: changed, archived, deleted, withdrawn by its payer."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.lab.simnode import TWO_NETWORKS, SimNode

from paynode.domain.errors import Conflict, Invalid, NotFound
from paynode.domain.invoice import Type
from paynode.operations import assigning, changing, invoices
from paynode.operations.changing import ChangeInvoice
from paynode.operations.loading import LoadedInvoice
from paynode.store import watches
from paynode.store.database import Tx
from paynode.store.packing import unpacked

DOLLAR = 10**6


def changed(node: SimNode, invoice_id: str, **changes: Any) -> LoadedInvoice:
    return node.database.write(
        changing.change, node.catalogue, invoice_id, ChangeInvoice(**changes), node.clock(), node.store_id
    )


def delete(node: SimNode, invoice_id: str) -> None:
    node.database.write(changing.delete, node.catalogue, invoice_id, node.clock())


async def test_labels_are_changed_and_cleared_and_told_once(node: SimNode) -> None:
    invoice_id = node.create(name="one", description="two")
    for _ in range(2):
        record = changed(node, invoice_id, labels={"name": "three", "description": None}).record
    assert (record.name, record.description) == ("three", None)
    assert node.events(invoice_id) == ["invoice.created", "invoice.updated"]
    [(payload,)] = node.rows("select payload from events where type = 'invoice.updated'")
    assert b'"previous":{"name":"one","description":"two"}' in unpacked(payload)


async def test_metadata_is_merged_key_by_key(node: SimNode) -> None:
    invoice_id = node.create(metadata={"a": "1", "b": "2"})
    assert changed(node, invoice_id, metadata={"b": "", "c": "3"}).record.metadata == '{"a": "1", "c": "3"}'
    with pytest.raises(Invalid, match="at most 50"):
        changed(node, invoice_id, metadata={str(number): "x" for number in range(49)})
    assert changed(node, invoice_id, metadata=None).record.metadata == "{}"


async def test_a_later_deadline_keeps_the_invoice_open_and_its_address_under_watch(node: SimNode) -> None:
    invoice_id = node.create("10")
    record = changed(node, invoice_id, expires_in=timedelta(days=2)).record
    assert record.expires_at == node.clock() + timedelta(days=2)
    assert record.monitor_until == node.clock() + timedelta(days=9)
    watch = node.database.read(watches.watch, "beta", node.address(invoice_id))
    assert watch is not None
    assert watch.watch_until == record.monitor_until
    node.clock.advance(timedelta(days=1))
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine(3)
    assert node.states(invoice_id) == ("paid", "exact")
    assert not node.invoice(invoice_id).record.is_late


async def test_a_sooner_deadline_holds(node: SimNode) -> None:
    invoice_id = node.create()
    changed(node, invoice_id, expires_in=timedelta(minutes=2))
    node.clock.advance(timedelta(minutes=3))
    await node.mine()
    assert node.states(invoice_id) == ("expired", "none")


async def test_no_deadline_ends_a_watch_that_something_else_asked_for(node: SimNode) -> None:
    invoice_id = node.create()
    later = node.clock() + timedelta(days=30)
    node.database.write(reopened, "alpha", node.address(invoice_id), later)
    changed(node, invoice_id, expires_in=timedelta(minutes=2))
    watch = node.database.read(watches.watch, "alpha", node.address(invoice_id))
    assert watch is not None
    assert watch.watch_until == later


def reopened(tx: Tx, network: str, address: str, until: datetime) -> None:
    """As somebody does who looks for money that left the chain, or who may still be paid late on a shared address."""
    watch = watches.watch(tx, network, address)
    assert watch is not None
    watches.reopen(tx, replace(watch, watch_until=until))


async def test_what_is_closed_or_has_no_deadline_gets_no_new_one(node: SimNode) -> None:
    cancelled, reusable = node.create(), node.create(None, type=Type.REUSABLE)
    node.act(invoices.cancel, cancelled)
    with pytest.raises(Conflict, match="invoice_cancelled"):
        changed(node, cancelled, expires_in=timedelta(days=1))
    with pytest.raises(Invalid, match="no deadline"):
        changed(node, reusable, expires_in=timedelta(days=1))
    overdue = node.create()
    node.clock.advance(timedelta(minutes=31))
    with pytest.raises(Conflict, match="invoice_expired"):
        changed(node, overdue, expires_in=timedelta(days=1))


async def test_an_order_that_may_have_one_invoice_is_not_given_to_a_second(node: SimNode) -> None:
    taken, second = (node.create(order_id=order_id, is_order_id_unique=True) for order_id in ("1", "2"))
    with pytest.raises(Conflict, match=taken):
        changed(node, second, labels={"order_id": "1"})
    assert changed(node, second, labels={"order_id": "3"}).record.order_id == "3"
    assert changed(node, second, labels={"order_id": "3", "name": "x"}).record.name == "x"


async def test_an_archived_invoice_is_paid_like_any_other(node: SimNode) -> None:
    invoice_id = node.create("10")
    node.act(changing.archive, invoice_id)
    node.act(changing.archive, invoice_id)
    assert node.events(invoice_id) == ["invoice.created", "invoice.updated"]
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine(3)
    record = node.invoice(invoice_id).record
    assert (record.status, record.is_archived) == ("paid", True)
    assert not node.act(changing.unarchive, invoice_id).record.is_archived


async def test_what_never_had_an_address_is_deleted_and_its_events_stay(node: SimNode) -> None:
    invoice_id = node.create(provision=False)
    delete(node, invoice_id)
    with pytest.raises(NotFound):
        delete(node, invoice_id)
    assert node.rows("select 1 from invoice_methods union all select 1 from quotes") == []
    assert node.events(invoice_id) == ["invoice.created", "invoice.deleted"]


async def test_what_had_an_address_or_a_deposit_is_kept(node: SimNode) -> None:
    shown, given = node.create(), node.create(provision=False)
    with pytest.raises(Conflict, match="invoice_in_use"):
        delete(node, shown)
    node.pay(shown, 10 * DOLLAR, "alpha_usdc")  # not offered: unattributed
    await node.mine(3)
    [stray] = node.every_deposit()
    node.database.write(assigning.assign, node.catalogue, stray.id, given, node.clock())
    with pytest.raises(Conflict, match="invoice_in_use"):
        delete(node, given)


async def payer_node(folder: Path, *, may_cancel: bool) -> SimNode:
    node = SimNode(folder, f"{TWO_NETWORKS}\n[stores.main]\npayer_may_cancel = {str(may_cancel).lower()}\n")
    await node.look()
    return node


async def test_a_payer_cancels_what_nobody_has_begun_to_pay(tmp_path: Path) -> None:
    node = await payer_node(tmp_path, may_cancel=True)
    invoice_id = node.create()
    for _ in range(2):
        assert node.act(invoices.cancel_by_payer, invoice_id).record.status == "cancelled"
    begun = node.create()
    node.pay(begun, 1)
    await node.mine()
    with pytest.raises(Conflict, match="invoice_has_deposits"):
        node.act(invoices.cancel_by_payer, begun)
    for type_ in (Type.POOL, Type.REUSABLE):
        shared = node.create(None if type_ is Type.REUSABLE else "10", type=type_)
        with pytest.raises(Conflict, match="cancel_not_allowed"):
            node.act(invoices.cancel_by_payer, shared)
    node.check()


async def test_a_payer_cancels_nothing_where_the_store_does_not_want_it(tmp_path: Path) -> None:
    node = await payer_node(tmp_path, may_cancel=False)
    with pytest.raises(Conflict, match="cancel_not_allowed"):
        node.act(invoices.cancel_by_payer, node.create())
