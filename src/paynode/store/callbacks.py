"""Callbacks: where one invoice's events go as well, and what signs them."""

from dataclasses import dataclass, field
from datetime import datetime

from paynode.store.database import Tx
from paynode.store.records import Columns
from paynode.store.times import to_ms


@dataclass(frozen=True, slots=True)
class CallbackRecord:
    invoice_id: str
    store_id: str
    url: str
    secret: str | None = field(repr=False)  # None: the store's signs
    echoes_secret: bool
    retries: int | None  # None: the standard schedule
    gone_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallbackSecretRecord:
    """What signs the callbacks of a store's invoices that have no secret of their own."""

    store_id: str
    secret: str = field(repr=False)
    old_secret: str | None = field(default=None, repr=False)
    old_secret_expires_at: datetime | None = None


CALLBACK = Columns(CallbackRecord)
CALLBACK_SECRET = Columns(CallbackSecretRecord)


def add(tx: Tx, record: CallbackRecord) -> None:
    tx.run(CALLBACK.insert("callbacks"), CALLBACK.encode(record))


def of_invoice(tx: Tx, invoice_id: str) -> CallbackRecord | None:
    row = tx.row(f"select {CALLBACK.sql} from callbacks where invoice_id = ?", (invoice_id,))
    return None if row is None else CALLBACK.decode(row)


def set_gone(tx: Tx, invoice_id: str, gone_at: datetime | None) -> None:
    tx.run(
        "update callbacks set gone_at = ? where invoice_id = ?",
        (None if gone_at is None else to_ms(gone_at), invoice_id),
    )


def secret_of_store(tx: Tx, store_id: str) -> CallbackSecretRecord | None:
    row = tx.row(f"select {CALLBACK_SECRET.sql} from callback_secrets where store_id = ?", (store_id,))
    return None if row is None else CALLBACK_SECRET.decode(row)


def set_secret_of_store(tx: Tx, record: CallbackSecretRecord) -> None:
    tx.run("delete from callback_secrets where store_id = ?", (record.store_id,))
    tx.run(CALLBACK_SECRET.insert("callback_secrets"), CALLBACK_SECRET.encode(record))
