"""The addresses that payers, whom nobody knows, made us issue within the last day."""

from dataclasses import dataclass
from datetime import datetime

from paynode.store.database import Tx
from paynode.store.records import Columns
from paynode.store.times import from_ms, to_ms


@dataclass(frozen=True, slots=True)
class PayerAddressRecord:
    invoice_id: str
    family: str
    store_id: str
    client: str  # tells the same client from others, and not who it is
    at: datetime


PAYER_ADDRESS = Columns(PayerAddressRecord)


def add(tx: Tx, record: PayerAddressRecord, forget_before: datetime) -> None:
    tx.run("delete from payer_addresses where at <= ?", (to_ms(forget_before),))
    tx.run(PAYER_ADDRESS.insert("payer_addresses"), PAYER_ADDRESS.encode(record))


def unpaid_of_client(tx: Tx, client: str, since: datetime, position: int) -> datetime | None:
    """When the client was issued its newest unpaid address but `position - 1`; None: it has not as many.

    Unpaid is what nothing came to, not even too little.
    """
    return _unpaid(tx, "client", client, since, position)


def unpaid_of_store(tx: Tx, store_id: str, since: datetime, position: int) -> datetime | None:
    """The same of all payers of a store."""
    return _unpaid(tx, "store_id", store_id, since, position)


def _unpaid(tx: Tx, column: str, value: str, since: datetime, position: int) -> datetime | None:
    row = tx.row(
        f"select p.at from payer_addresses p cross join invoices i on i.id = p.invoice_id where p.{column} = ? "
        "and p.at > ? and i.payment_state = 'none' order by p.at desc limit 1 offset ?",
        (value, to_ms(since), position - 1),
    )
    return None if row is None else from_ms(row[0])
