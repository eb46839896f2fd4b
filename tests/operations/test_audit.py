"""The audit finds every way in which books can be wrong (I17)."""

from pathlib import Path

import pytest
from tests.lab.simnode import SimNode

from paynode.operations.audit import audit

DOLLAR = 10**6


@pytest.mark.parametrize(
    ("forgery", "told"),
    [
        ("update ledger_balances set units = '11000000' where account = 'deposits'", "balance of deposits"),
        ("update ledger_entries set units = '11000000' where account = 'deposits'", "balance of deposits"),
        ("delete from ledger_entries where account = 'customers'", "balance of customers"),
        ("delete from ledger_balances where account = 'customers'", "sum of all accounts"),
        ("update chain_rows set credit = '9000000' where method = 'alpha_usdt'", "on our addresses by final rows"),
        ("update deposits set lost = '10000001'", "collected or gone of deposit"),
        ("update chain_rows set voided_at = 1 where method = 'alpha_usdt'", "on our addresses by final rows"),
    ],
)
async def test_each_forgery_is_found(node: SimNode, forgery: str, told: str) -> None:
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine(2)
    assert node.database.read(audit, node.catalogue) == []
    tables = ("ledger_balances", "ledger_entries", "chain_rows", "deposits")
    [table] = [table for table in tables if table in forgery.split()[1:3]]
    kept = node.rows(f"select * from {table}")
    node.run(forgery)
    found = node.database.read(audit, node.catalogue)
    assert any(told in str(mismatch) and mismatch.method == "alpha_usdt" for mismatch in found)
    marks = ", ".join("?" * len(kept[0]))
    for row in kept:
        node.run(f"insert or replace into {table} values ({marks})", row)


@pytest.mark.parametrize(
    ("forgery", "told"),
    [
        ("update deposit_totals set count = 2", "count of its settled deposits: expected 1, found 2"),
        (
            "update deposit_totals set numerator = '11'",
            "worth of its settled deposits, in parts: expected 10, found 11",
        ),
        ("delete from deposit_totals", "count of its settled deposits: expected 1, found 0"),
        ("update deposits set worth = '9/1'", "worth of its settled deposits, in parts: expected 9, found 10"),
    ],
)
async def test_an_invoice_that_is_judged_by_other_deposits_than_its_own_is_found(
    tmp_path: Path, forgery: str, told: str
) -> None:
    node = SimNode(tmp_path)
    await node.mine()
    invoice_id = node.create("10")
    node.pay(invoice_id, 10 * DOLLAR)
    await node.mine(2)
    node.check()
    node.run(forgery)
    assert [str(each) for each in node.database.read(audit, node.catalogue)] == [f"{invoice_id}: {told}"]
