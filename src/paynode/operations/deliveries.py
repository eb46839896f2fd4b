"""Deliveries: which to attempt now, what an attempt's outcome changes, and sending one again.

A row stays due until its outcome is recorded. So a crash between the post and the record sends the same event once
more, under the same id: at least once, never not at all.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from paynode.domain import delivery
from paynode.domain.delivery import Answered, Delivery, DeliveryId, Outcome, Status, Unreachable, Verdict
from paynode.domain.errors import Conflict, NotFound
from paynode.operations import endpoints
from paynode.operations.catalogue import Catalogue
from paynode.store import bells, outbox
from paynode.store.database import Tx
from paynode.store.outbox import AttemptRecord, DeliveryRecord, DueDelivery

IN_FLIGHT_PER_ENDPOINT_MAX = 4
IN_FLIGHT_MAX = 64  # past it an endpoint gets one at a time, but always one: a bad receiver delays no other (I19)
ATTEMPTS_KEPT_MAX = 50  # of a delivery, the newest; only replays make more than a schedule's eleven
EXCERPT_BYTES_MAX = 1024


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a delivery, as it ended."""

    delivery_id: str
    url: str  # where it went
    at: datetime  # when it was sent
    duration_ms: int
    outcome: Outcome
    error: str | None = None  # why there was no answer
    excerpt: bytes | None = None  # the answer's beginning, as sent


def due(tx: Tx, now: datetime, in_flight: Mapping[str, str]) -> list[DueDelivery]:
    """The deliveries to attempt now, each endpoint's in the order their time came.

    `in_flight` holds the endpoint's id of each delivery under way, by the delivery's.
    """
    count_by_endpoint = Counter(in_flight.values())
    spare = IN_FLIGHT_MAX - len(in_flight)
    found: list[DueDelivery] = []
    for endpoint in outbox.due_endpoints(tx, now):
        count = count_by_endpoint[endpoint.id]
        room = min(IN_FLIGHT_PER_ENDPOINT_MAX - count, max(spare, 0 if count else 1))
        if room <= 0:
            continue
        oldest = outbox.due_deliveries(tx, endpoint, now, limit=IN_FLIGHT_PER_ENDPOINT_MAX)
        chosen = [one for one in oldest if one.delivery.id not in in_flight][:room]
        spare -= len(chosen)
        found += chosen
    return found


def record_attempts(
    tx: Tx, catalogue: Catalogue, attempts: Sequence[Attempt], *, now: datetime, jitter: Callable[[], Decimal]
) -> None:
    """`record_attempt` for each: attempts that ended together share a commit."""
    for attempt in attempts:
        record_attempt(tx, catalogue, attempt, now=now, jitter=jitter())


def record_attempt(tx: Tx, catalogue: Catalogue, attempt: Attempt, *, now: datetime, jitter: Decimal) -> DeliveryRecord:
    """Store an attempt and what follows from it for its delivery and, if the receiver is gone, for its endpoint."""
    record = outbox.delivery(tx, attempt.delivery_id)
    assert record is not None, "a delivery under way stays"
    endpoint = outbox.endpoint(tx, record.endpoint_id)
    outcome = attempt.outcome
    if endpoint is not None and endpoint.url != attempt.url and delivery.judge(outcome) is Verdict.GONE:
        outcome = Unreachable()  # the old address is gone; the new one has yet to speak
    after, verdict = delivery.after_attempt(_machine(record), outcome, now=now, jitter=jitter)
    _keep(tx, attempt)
    recorded = _saved(tx, record, after)
    if verdict is Verdict.GONE and endpoint is not None and endpoint.state == "enabled":
        endpoints.disable(tx, catalogue, endpoint, "The receiver answered 410 Gone.", now)
    return recorded


def replay(tx: Tx, delivery_id: str, store_id: str | None, now: datetime) -> DeliveryRecord:
    """Send a delivery again, at once and under the same event id, with the whole schedule before it.

    Raises:
        NotFound: no such delivery of this store.
        Conflict: its endpoint is disabled or deleted.
    """
    record = outbox.delivery(tx, delivery_id)
    if record is None or store_id not in {None, record.store_id}:
        raise NotFound("delivery")
    endpoint = outbox.endpoint(tx, record.endpoint_id)
    if endpoint is None:
        raise Conflict("endpoint_deleted", "The webhook endpoint of this delivery was deleted.")
    endpoints.require_enabled(endpoint)
    tx.ring(bells.DELIVERIES)
    return _saved(tx, record, delivery.replay(_machine(record), now=now))


def excerpt_text(excerpt: bytes) -> str:
    """An answer's beginning as text that is safe to show: no control characters, at most a kibibyte of UTF-8."""
    text = excerpt[:EXCERPT_BYTES_MAX].decode(errors="replace")
    shown = "".join(character for character in text if character.isprintable() or character in "\n\t")
    return shown.encode()[:EXCERPT_BYTES_MAX].decode(errors="ignore")


def _machine(record: DeliveryRecord) -> Delivery:
    return Delivery(DeliveryId(record.id), Status(record.state), record.attempt_count, record.next_attempt_at)


def _saved(tx: Tx, record: DeliveryRecord, after: Delivery) -> DeliveryRecord:
    saved = replace(
        record, state=after.status, attempt_count=after.attempts_count, next_attempt_at=after.next_attempt_at
    )
    outbox.save_delivery(tx, saved)
    return saved


def _keep(tx: Tx, attempt: Attempt) -> None:
    number = outbox.next_attempt_number(tx, attempt.delivery_id)
    outbox.add_attempt(
        tx,
        AttemptRecord(
            delivery_id=attempt.delivery_id,
            number=number,
            at=attempt.at,
            status=attempt.outcome.status if isinstance(attempt.outcome, Answered) else None,
            duration_ms=attempt.duration_ms,
            error=attempt.error,
            response_excerpt=None if attempt.excerpt is None else excerpt_text(attempt.excerpt),
        ),
    )
    if number > ATTEMPTS_KEPT_MAX:
        outbox.forget_attempts(tx, attempt.delivery_id, number - ATTEMPTS_KEPT_MAX)
