"""Stores and the branches of the key tree they derive addresses from."""

from dataclasses import dataclass
from datetime import datetime

from paynode.store.database import Tx
from paynode.store.ids import new_id
from paynode.store.records import Columns
from paynode.store.times import to_ms


@dataclass(frozen=True, slots=True)
class StoreRecord:
    id: str
    name: str
    account: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """One branch in one chain family."""

    family: str
    account: int
    xpub: str
    gas_address: str
    next_index: int


STORE = Columns(StoreRecord)
ACCOUNT = Columns(AccountRecord)


def set_node(tx: Tx, mode: str, now: datetime) -> str:
    """Remember the node's mode the first time; returns the mode it was made with."""
    row = tx.row("select mode from node")
    if row is None:
        tx.run("insert into node (id, mode, created_at) values (1, ?, ?)", (mode, to_ms(now)))
        return mode
    return str(row[0])


def by_name(tx: Tx, name: str) -> StoreRecord | None:
    row = tx.row(f"select {STORE.sql} from stores where name = ?", (name,))
    return None if row is None else STORE.decode(row)


def by_id(tx: Tx, store_id: str) -> StoreRecord | None:
    row = tx.row(f"select {STORE.sql} from stores where id = ?", (store_id,))
    return None if row is None else STORE.decode(row)


def account_number(tx: Tx, store_id: str) -> int:
    """The store's branch of the key tree, also of one that left the config."""
    row = tx.row("select account from stores where id = ?", (store_id,))
    assert row is not None, "stores are never deleted"
    return int(row[0])


def all_stores(tx: Tx) -> list[StoreRecord]:
    return [STORE.decode(row) for row in tx.rows(f"select {STORE.sql} from stores order by id")]


def add(tx: Tx, name: str, account: int, now: datetime) -> StoreRecord:
    record = StoreRecord(new_id("sto", now), name, account, now)
    tx.run(STORE.insert("stores"), STORE.encode(record))
    return record


def account(tx: Tx, family: str, number: int) -> AccountRecord | None:
    row = tx.row(f"select {ACCOUNT.sql} from accounts where family = ? and account = ?", (family, number))
    return None if row is None else ACCOUNT.decode(row)


def add_account(tx: Tx, record: AccountRecord) -> None:
    tx.run(ACCOUNT.insert("accounts"), ACCOUNT.encode(record))


def set_gas_address(tx: Tx, family: str, number: int, address: str) -> None:
    tx.run("update accounts set gas_address = ? where family = ? and account = ?", (address, family, number))


def take_index(tx: Tx, family: str, number: int) -> int:
    """The next deposit address's index, taken for good: it is never handed out again (I25)."""
    row = tx.row(
        "update accounts set next_index = next_index + 1 where family = ? and account = ? returning next_index - 1",
        (family, number),
    )
    assert row is not None, "an account is made with its store"
    return int(row[0])


def gas_addresses(tx: Tx, family: str) -> list[str]:
    """The gas stations of every branch in one family."""
    found = tx.rows("select gas_address from accounts where family = ? and gas_address <> ''", (family,))
    return [address for (address,) in found]


def accounts(tx: Tx) -> list[AccountRecord]:
    return [ACCOUNT.decode(row) for row in tx.rows(f"select {ACCOUNT.sql} from accounts order by family, account")]
