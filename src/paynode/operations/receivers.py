"""Whom a delivery goes to, an endpoint of the store or an invoice's callback: where, how signed, how often tried."""

from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from paynode.domain.delivery import STANDARD, Schedule, counted
from paynode.domain.signing import Secret, SignatureFormat, Signer
from paynode.operations import callbacks, webhook_secrets
from paynode.store import callbacks as callback_rows
from paynode.store import outbox
from paynode.store.callbacks import CallbackRecord
from paynode.store.database import Tx
from paynode.store.outbox import DeliveryRecord, DueDelivery, EndpointRecord

Receiver = EndpointRecord | CallbackRecord


@dataclass(frozen=True, slots=True)
class Post:
    """All that one attempt needs."""

    delivery_id: str
    lane: str
    event_id: str
    url: str
    body: bytes = field(repr=False)
    signer: Signer
    schedule: Schedule
    has_secret: bool  # in its body: then nothing of the answer is kept, which may repeat it


def receiver_of(tx: Tx, record: DeliveryRecord) -> Receiver | None:
    """Whom the delivery is owed to; None: an endpoint that was deleted."""
    if record.endpoint_id is not None:
        return outbox.endpoint(tx, record.endpoint_id)
    assert record.callback_of is not None, "a delivery has a receiver of one kind"
    return callback_rows.of_invoice(tx, record.callback_of)


def schedule_of(receiver: Receiver | None) -> Schedule:
    """How often to try: an invoice's maker may have counted."""
    if isinstance(receiver, CallbackRecord) and receiver.retries is not None:
        return counted(receiver.retries)
    return STANDARD


def post(tx: Tx, due: DueDelivery, now: datetime) -> Post:
    """What to send to a delivery's receiver now."""
    receiver = receiver_of(tx, due.delivery)
    assert receiver is not None, "what was due to a deleted endpoint is abandoned"
    body, has_secret = due.payload, False
    match receiver:
        case EndpointRecord():
            secrets = webhook_secrets.in_force(
                receiver.secret, receiver.old_secret, receiver.old_secret_expires_at, now
            )
            signer = _signer(receiver.signature_format, secrets)
        case CallbackRecord():
            signer = _signer(SignatureFormat.STANDARD, callbacks.signing_secrets(tx, receiver, now))
            if receiver.echoes_secret and receiver.secret is not None:
                body, has_secret = _with_secret(body, receiver.secret), True
    return Post(
        due.delivery.id,
        due.delivery.lane,
        due.delivery.event_id,
        receiver.url,
        body,
        signer,
        schedule_of(receiver),
        has_secret,
    )


def _signer(signature_format: SignatureFormat, secrets: list[str]) -> Signer:
    read = Secret.of_any if signature_format is SignatureFormat.STANDARD else Secret.from_text
    return Signer(signature_format, tuple(read(text) for text in secrets))


def _with_secret(payload: bytes, secret: str) -> bytes:
    """The event's body with the callback's secret in it, also by the name that one gateway gave it."""
    echoed = msgspec.json.encode({"callback_secret": secret, "secret_key": secret})
    return payload[:-1] + b"," + echoed[1:]
