"""Callbacks: a URL of one invoice that hears of that invoice's events, beside the store's endpoints."""

from dataclasses import dataclass, field
from datetime import datetime

from paynode.domain.errors import Invalid
from paynode.operations import webhook_secrets
from paynode.outbound import Target
from paynode.store import callbacks, outbox
from paynode.store.callbacks import CallbackRecord, CallbackSecretRecord
from paynode.store.database import Tx


@dataclass(frozen=True, slots=True)
class CreateCallback:
    """What an invoice's maker wants to hear, parsed: the URL is one that we would post to."""

    url: str
    secret: str | None = field(default=None, repr=False)  # None: the store's signs
    retries: int | None = None  # None: the standard schedule
    echoes_secret: bool = False


def add_callback(tx: Tx, invoice_id: str, store_id: str, command: CreateCallback) -> CallbackRecord:
    """Give a new invoice its callback."""
    if command.secret is None:
        _secret_of_store(tx, store_id)
    record = CallbackRecord(
        invoice_id, store_id, command.url, command.secret, command.echoes_secret, retries=command.retries
    )
    callbacks.add(tx, record)
    return record


def lane(record: CallbackRecord) -> str:
    """What shares places: all callbacks of a store to one server. One that hangs then delays no other."""
    target = Target.parse(record.url)
    return f"{record.store_id} {target.host}:{target.port}"


def signing_secrets(tx: Tx, record: CallbackRecord, now: datetime) -> list[str]:
    if record.secret is not None:
        return [record.secret]
    of_store = _secret_of_store(tx, record.store_id)
    return webhook_secrets.in_force(of_store.secret, of_store.old_secret, of_store.old_secret_expires_at, now)


def rotate_secret(tx: Tx, store_id: str, *, secret: str | None, now: datetime) -> CallbackSecretRecord:
    """Give a store a new secret for callbacks, its owner's or a random one; the one before it signs a day more.

    Raises:
        Invalid: a malformed secret, or the one that it has.
    """
    if problems := webhook_secrets.problems(secret):
        raise Invalid(problems)
    before = callbacks.secret_of_store(tx, store_id)
    new = webhook_secrets.rotated(None if before is None else before.secret, secret, now)
    record = CallbackSecretRecord(store_id, new.secret, new.old_secret, new.old_secret_expires_at)
    callbacks.set_secret_of_store(tx, record)
    return record


def close(tx: Tx, record: CallbackRecord, now: datetime) -> None:
    """Send nothing more to a callback whose receiver is gone, and abandon what is due to it."""
    callbacks.set_gone(tx, record.invoice_id, now)
    outbox.abandon_callbacks(tx, lane(record), record.invoice_id)


def _secret_of_store(tx: Tx, store_id: str) -> CallbackSecretRecord:
    """The store's secret; made when the first callback needs it."""
    record = callbacks.secret_of_store(tx, store_id)
    if record is None:
        record = CallbackSecretRecord(store_id, webhook_secrets.chosen_or_random(None))
        callbacks.set_secret_of_store(tx, record)
    return record
