"""How much of everything there is: counts for people who look after a node."""

from datetime import datetime

from paynode.store.database import Tx
from paynode.store.times import to_ms


def open_invoices(tx: Tx) -> int:
    """Invoices that may still be paid in time."""
    return _count(tx.row("select count(*) from invoices where status in ('open', 'confirming')"))


def invoices_set_aside(tx: Tx) -> int:
    """Invoices that could not be judged; a person must look."""
    return _count(tx.row("select count(*) from invoices where set_aside is not null"))


def due_deliveries(tx: Tx, now: datetime) -> int:
    """Webhooks whose time has come and that are not delivered yet."""
    sql = "select count(*) from deliveries where state = 'due' and next_attempt_at <= ?"
    return _count(tx.row(sql, (to_ms(now),)))


def abandoned_deliveries(tx: Tx) -> int:
    """Webhooks that we stopped trying; the operator can revive them."""
    return _count(tx.row("select count(*) from deliveries where state = 'abandoned'"))


def _count(row: tuple[object, ...] | None) -> int:
    assert row is not None, "a count always answers"
    (count,) = row
    assert isinstance(count, int)
    return count
