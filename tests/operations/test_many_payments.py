"""An address that is paid again and again: what one more payment costs does not grow with those before it."""

from pathlib import Path
from typing import Any

import pytest
from tests.lab.simnode import SimNode

from paynode.domain.invoice import Type
from paynode.operations.loading import DEPOSITS_SHOWN
from paynode.store import database

USDT = "alpha_usdt"
DOLLAR = 10**6
OF_PAYMENTS = ("deposit", "sweep_items")  # the tables that grow with them; what a scanner goes by is another matter


async def rows_read_for_one_more(node: SimNode, invoice_id: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many rows about payments are read from the sight of one until it is collected."""
    count, rows = 0, database.Tx.rows

    def counted(tx: database.Tx, sql: str, values: Any = ()) -> list[tuple[Any, ...]]:
        nonlocal count
        found = rows(tx, sql, values)
        count += len(found) if any(name in sql for name in OF_PAYMENTS) else 0
        return found

    node.pay(invoice_id, 100 * DOLLAR)
    with monkeypatch.context() as patched:
        patched.setattr(database.Tx, "rows", counted)
        await node.turn(12)
    assert {each.sweep_state for each in node.deposits(invoice_id)} == {"swept"}
    return count


async def test_one_more_payment_reads_as_much_after_many_payments_as_after_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = SimNode(tmp_path)
    await node.mine()
    node.fund_gas()
    invoice_id = node.create(None, methods=[USDT], type=Type.REUSABLE)
    counts = []
    for _ in range(2):
        for number in range(DEPOSITS_SHOWN + 1):
            node.pay(invoice_id, (number + 1) * DOLLAR)
        await node.turn(12)
        counts.append(await rows_read_for_one_more(node, invoice_id, monkeypatch))
    assert counts[0] == counts[1]
    node.check_settled()
