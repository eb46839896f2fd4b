"""Lists of deposits, sweeps and ledger entries: every filter means what it says, and is served by an index."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.lab.simnode import ETHER, SimNode

from paynode.domain.ledger import Account
from paynode.store import deposit_lists, ledger_lists, sweep_lists
from paynode.store.deposit_lists import DepositFilter
from paynode.store.ledger_lists import EntryFilter
from paynode.store.pages import Conditions, Page
from paynode.store.sweep_lists import SweepFilter

WHOLE = Page(100)
DOLLAR = 10**6


@pytest.fixture
async def node(tmp_path: Path) -> SimNode:
    """Three paid invoices of 1000, 20 and 3 dollars, minutes apart, the last in coins, and all of it collected."""
    node = SimNode(tmp_path)
    await node.mine()
    node.fund_gas()
    for amount, method, units in (("1000", "alpha_usdt", 1000 * DOLLAR), ("20", "alpha_usdc", 20 * DOLLAR)):
        node.pay(node.create(amount, methods=[method]), units, method)
        await node.turn(4)
        node.clock.advance(timedelta(minutes=1))
    node.pay(node.create("2000", methods=["alpha_sim"]), ETHER, "alpha_sim")
    await node.turn(20)
    return node


def methods(node: SimNode, **wanted: Any) -> list[str]:
    found = node.database.read(deposit_lists.page_of, DepositFilter(**wanted), WHOLE)
    assert node.database.read(deposit_lists.count, DepositFilter(**wanted)) == (len(found.entries), True)
    return [placed.deposit.method for placed in found.entries]


async def test_deposits_are_found_by_everything_that_they_are(node: SimNode) -> None:
    everything = ["alpha_sim", "alpha_usdc", "alpha_usdt"]
    first = node.database.read(deposit_lists.page_of, DepositFilter(), Page(1, ascending=True)).entries[0]
    made_at = first.deposit.detected_at
    assert methods(node) == everything
    assert methods(node, methods=["alpha_usdc", "beta_sim"]) == ["alpha_usdc"]
    assert methods(node, networks=["beta"]) == []
    assert methods(node, stages=["settled"], sweep_states=["swept"], is_late=False) == everything
    assert (
        methods(node, stages=["detected"]) == methods(node, is_late=True) == methods(node, is_unattributed=True) == []
    )
    assert methods(node, store_ids=[node.store_id]) == methods(node, store_ids=["sto_0", node.store_id]) == everything
    assert methods(node, store_ids=[]) == []
    assert methods(node, invoice_id=first.deposit.invoice_id) == ["alpha_usdt"]
    assert methods(node, invoice_id=first.deposit.invoice_id, store_ids=["sto_0"]) == []
    assert methods(node, tx_hash=first.row.tx_hash.upper()) == ["alpha_usdt"]
    assert methods(node, address=first.deposit.address.swapcase(), networks=["alpha"]) == ["alpha_usdt"]
    assert methods(node, created_before=made_at) == []
    assert methods(
        node, created_after=made_at - timedelta(seconds=1), created_before=made_at + timedelta(seconds=1)
    ) == ["alpha_usdt"]
    assert methods(node, created_after=made_at) == ["alpha_sim", "alpha_usdc"]


async def test_units_are_compared_as_numbers_however_many_digits_they_have(node: SimNode) -> None:
    assert methods(node, units_min=20 * DOLLAR, units_max=1000 * DOLLAR) == ["alpha_usdc", "alpha_usdt"]
    assert methods(node, units_min=20 * DOLLAR + 1, units_max=1000 * DOLLAR - 1) == []
    assert methods(node, units_min=10**18) == ["alpha_sim"]
    assert methods(node, units_max=10**30) == ["alpha_sim", "alpha_usdc", "alpha_usdt"]


async def test_sweeps_are_found_by_everything_that_they_are(node: SimNode) -> None:
    def found(**wanted: Any) -> list[str]:
        page = node.database.read(sweep_lists.page_of, SweepFilter(**wanted), Page(100, ascending=True))
        assert node.database.read(sweep_lists.count, SweepFilter(**wanted)) == (len(page.entries), True)
        return [record.method for record in page.entries]

    everything = ["alpha_usdt", "alpha_usdc", "alpha_sim"]
    [(deposit_id,)] = node.rows("select id from deposits where method = 'alpha_usdc'")
    assert found() == found(states=["completed"]) == found(networks=["alpha"]) == everything
    assert found(store_ids=[node.store_id]) == everything
    assert found(states=["failed"]) == found(store_ids=["sto_0"]) == []
    assert found(methods=["alpha_usdc"]) == found(deposit_id=deposit_id) == ["alpha_usdc"]
    assert found(deposit_id=deposit_id, store_ids=["sto_0"]) == []
    assert len(found(created_after=node.clock() - timedelta(days=1))) == 3
    assert found(created_after=node.clock()) == []


async def test_the_entries_of_the_ledger_are_found_page_by_page(node: SimNode) -> None:
    def found(page: Page = WHOLE, **wanted: Any) -> Iterator[tuple[Account, int]]:
        for record in node.database.read(ledger_lists.page_of, EntryFilter(**wanted), page).entries:
            yield record.account, record.units

    number = node.database.read(ledger_lists.count, EntryFilter())[0]
    everything = list(found())
    assert len(everything) == number > 8
    walked: list[tuple[Account, int]] = []
    after = None
    while True:
        page = node.database.read(ledger_lists.page_of, EntryFilter(), Page(3, after=after))
        walked += [(record.account, record.units) for record in page.entries]
        if not page.has_more:
            break
        after = page.cursor
    assert walked == everything
    assert list(found(methods=["alpha_usdt"], accounts=["customers"])) == [(Account.CUSTOMERS, -1000 * DOLLAR)]
    [(cause,)] = node.rows("select cause from ledger_entries where reason = 'deposit_confirmed' limit 1")
    assert sum(units for _, units in found(cause=cause)) == 0 < len(list(found(cause=cause)))
    assert list(found(cause=cause, store_ids=["sto_0"])) == list(found(reasons=["none"])) == []
    assert list(found(store_ids=[node.store_id])) == everything
    early = list(found(before=node.clock() - timedelta(minutes=1)))
    late = list(found(after=node.clock() - timedelta(minutes=1) - timedelta(milliseconds=1)))
    assert [*late, *early] == everything
    assert 0 < len(early) < number


def plan(node: SimNode, source: str, conditions: Conditions, key: str) -> str:
    sql = f"explain query plan select {key} from {source} where {' and '.join(conditions.sought) or '1'} order by {key}"
    return "; ".join(row[3] for row in node.database.read(lambda tx: tx.rows(sql, conditions.values)))


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (DepositFilter(), "sqlite_autoindex_deposits_1"),
        (DepositFilter(store_ids=["sto_1"], stages=["settled"]), "deposits_of_store"),
        (DepositFilter(store_ids=["sto_1"], invoice_id="inv_1"), "deposits_of_invoice"),
        (DepositFilter(address="0x1", store_ids=["sto_1"]), "deposits_of_address"),
        (DepositFilter(tx_hash="0x1", is_late=True), "chain_rows_of_tx"),
    ],
)
async def test_deposits_are_sought_by_the_narrowest_index(tmp_path: Path, wanted: DepositFilter, index: str) -> None:
    steps = plan(SimNode(tmp_path), "deposits d", deposit_lists._conditions(wanted), "d.id")
    assert index in steps
    assert "SCAN d " not in steps or "SCAN d USING" in steps


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (EntryFilter(), "SCAN e"),  # in the order of its numbers
        (EntryFilter(store_ids=["sto_1"], methods=["alpha_usdt"]), "ledger_entries_of_store"),
        (EntryFilter(store_ids=["sto_1"], cause="dep_1"), "ledger_entries_of_cause"),
    ],
)
async def test_entries_are_sought_by_the_narrowest_index(tmp_path: Path, wanted: EntryFilter, index: str) -> None:
    steps = plan(SimNode(tmp_path), "ledger_entries e", ledger_lists._conditions(wanted), "e.id")
    assert index in steps
    assert "TEMP B-TREE" not in steps
