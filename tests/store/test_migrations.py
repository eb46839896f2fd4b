"""A database that an older version wrote keeps what is in it."""

from fractions import Fraction
from pathlib import Path

import apsw
import pytest

from paynode.store import database as databases
from paynode.store import deposit_totals
from paynode.store.database import Database
from paynode.store.invoices import INVOICE
from paynode.store.outbox import ATTEMPT, DELIVERY

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
OLD_DELIVERY = """
insert into stores values ('sto_1', 'main', 0, 1);
insert into webhook_endpoints (id, store_id, url, events, secret, state, created_at)
    values ('whe_1', 'sto_1', 'https://shop.example', '*', 'whsec_', 'enabled', 0);
insert into events values ('evt_1', 'sto_1', 'ping', 'whe_1', 1, x'7b7d', 5);
insert into deliveries values ('dlv_1', 'sto_1', 'whe_1', 'evt_1', 'due', 1, 7, 5);
insert into delivery_attempts values ('dlv_1', 1, 6, 500, 3, null, 'no');
"""
OLD_DEPOSITS = """
insert into stores values ('sto_1', 'main', 0, 1);
insert into invoice_groups (store_id, type, status, payment_state, sweep_state, screening, is_late, is_archived,
    currency, methods) values ('sto_1', 'reusable', 'open', 'exact', 'swept', 'not_screened', 0, 0, 'USD', ' a_b ');
insert into invoices (serial, group_no, id, store_id, type, status, payment_state, sweep_state, currency, under_percent,
    over_percent, is_late_accepted, quote_seconds, monitor_seconds, created_at, updated_at, min_amount)
    values (1, 1, 'inv_1', 'sto_1', 'reusable', 'open', 'exact', 'swept', 'USD', '0', '0', 0, 900, 604800, 1, 1, '0.1');
insert into chain_rows select value, 'a', 'in', 'log', 'x', 'a_b', '1', null, value, value, value, null, value, 0, '',
    '', null, 0, 1, 2, null from json_each('[1, 2, 3, 4, 5]');
insert into deposits (id, row_id, store_id, invoice_id, address_invoice_id, network, address, method, units, stage,
    worth, seen_at, is_late, detected_at, lost, withdrawn, screening, is_held)
    select 'dep_' || (value ->> 0), value ->> 0, 'sto_1', 'inv_1', 'inv_1', 'a', 'x', 'a_b', '1', 'settled',
    value ->> 1, 1, 0, 1, '0', '0', 'not_screened', 0 from json_each('[[1, "1/10"], [2, "{just_less}"], [3, "{much}"],
    [4, "{much}"], [5, null]]');
"""


def migrated(folder: Path, monkeypatch: pytest.MonkeyPatch, rows: str, made_by: str) -> Database:
    """A database with these rows from before the migration that has `made_by` in it, migrated."""
    path, every = folder / "paynode.db", databases._migrations()
    before = next(number for number, sql in enumerate(every) if made_by in sql)
    monkeypatch.setattr(databases, "_migrations", lambda: every[:before])
    databases.create(path)
    connection = apsw.Connection(str(path))
    for _ in connection.execute(rows):
        pass
    connection.close()
    monkeypatch.setattr(databases, "_migrations", lambda: every)
    return databases.open(path)


def test_invoices_keep_all_that_refers_to_them_when_their_table_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = migrated(tmp_path, monkeypatch, OLD_ROWS, "create table invoices_before")
    row = database.read(lambda tx: tx.row(f"select {INVOICE.sql} from invoices"))
    assert row is not None
    record = INVOICE.decode(row)
    assert (record.id, record.type, record.name, str(record.amount)) == ("inv_1", "one_time", "Order 1", "19.99")
    assert database.read(lambda tx: tx.rows("pragma foreign_key_check")) == []
    with pytest.raises(apsw.ConstraintError, match="FOREIGN KEY"):
        database.write(lambda tx: tx.run("delete from invoices"))
    database.close()


def test_deliveries_keep_their_attempts_when_callbacks_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = migrated(tmp_path, monkeypatch, OLD_DELIVERY, "create table deliveries_before")
    row = database.read(lambda tx: tx.row(f"select {DELIVERY.sql} from deliveries"))
    assert row is not None
    delivery = DELIVERY.decode(row)
    assert (delivery.endpoint_id, delivery.callback_of, delivery.lane) == ("whe_1", None, "whe_1")
    assert (delivery.state, delivery.attempt_count) == ("due", 1)
    row = database.read(lambda tx: tx.row(f"select {ATTEMPT.sql} from delivery_attempts"))
    assert row is not None
    attempt = ATTEMPT.decode(row)
    assert (attempt.delivery_id, attempt.status, attempt.response_excerpt) == ("dlv_1", 500, "no")
    assert database.read(lambda tx: tx.rows("pragma foreign_key_check")) == []
    database.close()


def test_deposits_are_counted_exactly_when_their_totals_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = OLD_DEPOSITS.format(just_less=f"{10**29 - 1}/{10**30}", much=f"{10**40 + 1}/7")
    database = migrated(tmp_path, monkeypatch, rows, "create table deposit_totals")
    found = {(each.worth, each.count, each.is_too_small) for each in database.read(deposit_totals.of_invoice, "inv_1")}
    assert found == {
        (Fraction(1, 10), 1, False),
        (Fraction(10**29 - 1, 10**30), 1, True),
        (Fraction(2 * 10**40 + 2, 7), 2, False),
        (None, 1, False),
    }
    assert database.read(deposit_totals.first_difference) is None
    database.close()
