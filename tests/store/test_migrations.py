"""A database that an older version wrote keeps what is in it."""

from pathlib import Path

import apsw
import pytest

from paynode.store import database as databases
from paynode.store.invoices import INVOICE

OLD_ROWS = """
insert into stores values ('sto_1', 'main', 0, 1);
insert into invoices (id, store_id, type, status, payment_state, sweep_state, amount, currency, under_percent,
    over_percent, is_late_accepted, name, quote_seconds, monitor_seconds, created_at, updated_at, expires_at,
    monitor_until) values ('inv_1', 'sto_1', 'one_time', 'open', 'none', 'not_applicable', '19.99', 'USD', '0', '0', 0,
    'Order 1', 900, 604800, 1, 1, 2, 3);
insert into invoice_methods (invoice_id, position, method, network, confirmations) values ('inv_1', 0, 'a_b', 'a', 2);
insert into quotes (invoice_id, method, units, rate, locked_at, valid_until) values ('inv_1', 'a_b', '1', '1', 1, 2);
insert into addresses (address, family, account, hd_index, invoice_id, issued_at) values ('x', 'sim', 0, 0, 'inv_1', 1);
insert into watches (network, address, store_id, invoice_id, depth, floor) values ('a', 'x', 'sto_1', 'inv_1', 2, 1);
"""


def test_invoices_keep_all_that_refers_to_them_when_their_table_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, every = tmp_path / "paynode.db", databases._migrations()
    before = next(number for number, sql in enumerate(every) if "create table invoices_before" in sql)
    monkeypatch.setattr(databases, "_migrations", lambda: every[:before])
    databases.create(path)
    connection = apsw.Connection(str(path))
    for _ in connection.execute(OLD_ROWS):
        pass
    connection.close()
    monkeypatch.setattr(databases, "_migrations", lambda: every)
    database = databases.open(path)
    row = database.read(lambda tx: tx.row(f"select {INVOICE.sql} from invoices"))
    assert row is not None
    record = INVOICE.decode(row)
    assert (record.id, record.type, record.name, str(record.amount)) == ("inv_1", "one_time", "Order 1", "19.99")
    assert database.read(lambda tx: tx.rows("pragma foreign_key_check")) == []
    with pytest.raises(apsw.ConstraintError, match="FOREIGN KEY"):
        database.write(lambda tx: tx.run("delete from invoices"))
    database.close()
