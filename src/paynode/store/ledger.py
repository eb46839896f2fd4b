"""The ledger's entries and running balances."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from paynode.domain.ledger import Account, Entry, Posting, is_balanced
from paynode.store.database import Tx
from paynode.store.times import to_ms


@dataclass(frozen=True, slots=True)
class Balance:
    store_id: str
    account: Account
    method: str
    units: int


def post(tx: Tx, store_id: str, posting: Posting, *, cause: str, reason: str, now: datetime) -> None:
    """Write a posting and carry the balances along."""
    assert is_balanced(posting), f"{reason} does not sum to zero"
    for entry in posting:
        tx.run(
            "insert into ledger_entries (store_id, account, method, units, cause, reason, at) "
            "values (?, ?, ?, ?, ?, ?, ?)",
            (store_id, entry.account, entry.method, str(entry.units), cause, reason, to_ms(now)),
        )
        before = balance(tx, store_id, entry.account, entry.method)
        tx.run(
            "insert into ledger_balances (store_id, account, method, units) values (?, ?, ?, ?) "
            "on conflict do update set units = excluded.units",
            (store_id, entry.account, entry.method, str(before + entry.units)),
        )


def posted(tx: Tx, cause: str) -> Posting:
    """Every entry that `cause` made, in order."""
    found = tx.rows("select account, method, units from ledger_entries where cause = ? order by id", (cause,))
    return tuple(Entry(Account(account), method, int(units)) for account, method, units in found)


def balance(tx: Tx, store_id: str, account: Account, method: str) -> int:
    row = tx.row(
        "select units from ledger_balances where store_id = ? and account = ? and method = ?",
        (store_id, account, method),
    )
    return 0 if row is None else int(row[0])


def balances(tx: Tx, store_id: str | None = None) -> list[Balance]:
    """Every running balance, of one store or of all."""
    found = tx.rows(
        "select store_id, account, method, units from ledger_balances where ?1 is null or store_id = ?1 "
        "order by store_id, method, account",
        (store_id,),
    )
    return [Balance(store, Account(account), method, int(units)) for store, account, method, units in found]


def summed_entries(tx: Tx) -> dict[tuple[str, Account, str], int]:
    """The balances reckoned anew from all entries."""
    sums: dict[tuple[str, Account, str], int] = {}
    for store, account, method, units in _entries(tx):
        key = (store, Account(account), method)
        sums[key] = sums.get(key, 0) + int(units)
    return sums


def _entries(tx: Tx) -> Iterable[tuple[str, str, str, str]]:
    return tx.rows("select store_id, account, method, units from ledger_entries")
