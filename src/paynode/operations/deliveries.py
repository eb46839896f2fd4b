"""Deliveries: which to attempt now, what an attempt's outcome changes, and sending one again.

A row stays due until its outcome is recorded. So a crash between the post and the record sends the same event once
more, under the same id: at least once, never not at all.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from paynode.domain import delivery
from paynode.domain.delivery import Answered, Delivery, DeliveryId, Outcome, Status, Unreachable, Verdict
from paynode.domain.errors import Conflict, NotFound
from paynode.operations import callbacks, endpoints
from paynode.operations.catalogue import Catalogue
from paynode.operations.receivers import Post, post, receiver_of, schedule_of
from paynode.store import bells, outbox
from paynode.store import callbacks as callback_rows
from paynode.store.callbacks import CallbackRecord
from paynode.store.database import Tx
from paynode.store.outbox import AttemptRecord, DeliveryRecord, EndpointRecord

IN_FLIGHT_PER_LANE_MAX = 4
IN_FLIGHT_MAX = 64  # past it a lane gets one at a time, but always one: a bad receiver delays no other (I19)
IN_FLIGHT_OF_CALLBACKS_MAX = 128  # of all together: unlike endpoints, the servers they name have no number
ATTEMPTS_KEPT_MAX = 50  # of a delivery, the newest; only replays make more than a schedule's eleven
EXCERPT_BYTES_MAX = 1024
KEPT_FOR = timedelta(days=90)  # from when they were made; events are kept for good
FORGOTTEN_AT_ONCE_MAX = 500


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


def due(tx: Tx, now: datetime, in_flight: Mapping[str, str]) -> list[Post]:
    """What to post now: of each lane the deliveries in the order their time came.

    `in_flight` holds the lane of each delivery under way, by its id.
    """
    count_by_lane = Counter(in_flight.values())
    spare = IN_FLIGHT_MAX - len(in_flight)
    callbacks_spare = IN_FLIGHT_OF_CALLBACKS_MAX - sum(map(is_of_callbacks, in_flight.values()))
    found: list[Post] = []
    for lane in outbox.due_lanes(tx, now):
        count, is_callback = count_by_lane[lane], is_of_callbacks(lane)
        room = min(IN_FLIGHT_PER_LANE_MAX - count, max(spare, 0 if count else 1))
        if is_callback:
            room = min(room, callbacks_spare)
        if room <= 0:
            continue
        oldest = outbox.due_deliveries(tx, lane, now, limit=IN_FLIGHT_PER_LANE_MAX)
        chosen = [one for one in oldest if one.delivery.id not in in_flight][:room]
        spare -= len(chosen)
        callbacks_spare -= len(chosen) if is_callback else 0
        found += [post(tx, one, now) for one in chosen]
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
    receiver = receiver_of(tx, record)
    outcome = attempt.outcome
    if receiver is not None and receiver.url != attempt.url and delivery.judge(outcome) is Verdict.GONE:
        outcome = Unreachable()  # the old address is gone; the new one has yet to speak
    schedule = schedule_of(receiver)
    after, verdict = delivery.after_attempt(_machine(record), outcome, now=now, jitter=jitter, schedule=schedule)
    _keep(tx, attempt)
    recorded = _saved(tx, record, after)
    if verdict is Verdict.GONE:
        match receiver:
            case EndpointRecord(state="enabled"):
                endpoints.disable(tx, catalogue, receiver, "The receiver answered 410 Gone.", now)
            case CallbackRecord():
                callbacks.close(tx, receiver, now)
    return recorded


def replay(tx: Tx, delivery_id: str, store_id: str | None, now: datetime) -> DeliveryRecord:
    """Send a delivery again, at once and under the same event id, with the whole schedule before it.

    Raises:
        NotFound: no such delivery of this store.
        Conflict: its endpoint is disabled or deleted.
    """
    record = load(tx, delivery_id, store_id)
    match receiver_of(tx, record):
        case None:
            raise Conflict("endpoint_deleted", "The webhook endpoint of this delivery was deleted.")
        case EndpointRecord() as endpoint:
            endpoints.require_enabled(endpoint)
        case CallbackRecord() as callback:
            callback_rows.set_gone(tx, callback.invoice_id, None)
    return replay_now(tx, record, now)


def replay_now(tx: Tx, record: DeliveryRecord, now: datetime) -> DeliveryRecord:
    """Make a delivery due, whatever became of it; its receiver is known to be in force."""
    tx.ring(bells.DELIVERIES)
    return _saved(tx, record, delivery.replay(_machine(record), now=now))


def forget_old(tx: Tx, now: datetime) -> int:
    """Drop some of what is over for longer than anybody asks about it; returns how many."""
    return outbox.forget_deliveries(tx, now - KEPT_FOR, limit=FORGOTTEN_AT_ONCE_MAX)


def load(tx: Tx, delivery_id: str, store_id: str | None) -> DeliveryRecord:
    """The delivery.

    Raises:
        NotFound: there is none, or it is not of the given store.
    """
    record = outbox.delivery(tx, delivery_id)
    if record is None or store_id not in {None, record.store_id}:
        raise NotFound("delivery")
    return record


def is_of_callbacks(lane: str) -> bool:
    return not lane.startswith("whe_")


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
