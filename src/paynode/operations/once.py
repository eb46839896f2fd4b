"""Doing a request once, however often it is sent: the answer is committed with what it did (I20)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from paynode.domain.errors import Invalid
from paynode.store import idempotency
from paynode.store.database import Tx
from paynode.store.idempotency import AnswerRecord


@dataclass(frozen=True, slots=True)
class Request:
    """A caller's name for a request, and what it must not differ in."""

    owner: str
    key: str
    hash: bytes  # of method, path and body


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    is_replayed: bool = False
    kept_body: bytes | None = None  # what to keep instead, where the body shows a secret
    headers: Mapping[str, str] = field(default_factory=dict)  # of answers to people, which are not kept


def once(tx: Tx, request: Request | None, now: datetime, act: Callable[[Tx], Answer]) -> Answer:
    """Run `act` in this transaction, or give the answer that the same request got before.

    Raises:
        Invalid: the key was used for a different request.
    """
    if request is None:
        return act(tx)
    kept = idempotency.find(tx, request.owner, request.key)
    if kept is not None:
        if kept.request_hash != request.hash:
            raise Invalid.field("Idempotency-Key", "idempotency_key_reused", "This key was used for another request.")
        return Answer(kept.status, kept.body, is_replayed=True)
    answer = act(tx)
    body = answer.body if answer.kept_body is None else answer.kept_body
    idempotency.keep(tx, AnswerRecord(request.owner, request.key, request.hash, answer.status, body, now))
    return answer
