"""The delivery machine: one event owed to one receiver.

    due --accepted--> delivered        due --not yet--> due, later
     |                                  ^
     +--gone, out of tries--> abandoned     replay: any -> due, at once

At-least-once: only the answer that was agreed on makes a delivery delivered, and
one that reached the receiver without our learning of it is sent again. Once
delivered it stays so, whatever a straggling attempt says, until someone replays it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NewType

DeliveryId = NewType("DeliveryId", str)


class Status(StrEnum):
    DUE = "due"  # to be attempted at `next_attempt_at`
    DELIVERED = "delivered"  # the receiver answered as agreed: 2xx, or exactly 200
    ABANDONED = "abandoned"  # we have stopped trying; a replay revives it


NEXT: Mapping[Status, frozenset[Status]] = {
    Status.DUE: frozenset({Status.DUE, Status.DELIVERED, Status.ABANDONED}),
    Status.DELIVERED: frozenset({Status.DUE}),  # replayed
    Status.ABANDONED: frozenset({Status.DUE, Status.DELIVERED}),  # replayed; given up while an attempt was under way
}


ANY_2XX = range(200, 300)
ONLY_200 = range(200, 201)
RETRIES_MAX = 20  # of those that an invoice's maker counts
RETRY_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long to wait before each attempt, and which answers end the waiting.

    The first wait is before the first attempt.
    """

    waits: tuple[timedelta, ...]
    accepted: range = ANY_2XX

    def wait(self, attempts_count: int) -> timedelta | None:
        """The wait once `attempts_count` attempts are made, or None if that was the last."""
        return self.waits[attempts_count] if attempts_count < len(self.waits) else None


STANDARD = Schedule(
    (
        timedelta(0),
        timedelta(seconds=5),
        timedelta(minutes=1),
        timedelta(minutes=5),
        timedelta(minutes=30),
        timedelta(hours=2),
        timedelta(hours=5),
        timedelta(hours=10),
        timedelta(hours=14),
        timedelta(hours=20),
        timedelta(hours=24),
    )
)  # 75 hours and 36 minutes: a receiver that breaks on a Friday evening may be repaired on Monday


def counted(retries: int) -> Schedule:
    """At once, and then so many times more, one a minute, until the answer is exactly 200."""
    assert 0 <= retries <= RETRIES_MAX
    return Schedule((timedelta(0), *[RETRY_EVERY] * retries), ONLY_200)


RETRY_AFTER_MAX = timedelta(hours=24)  # no receiver's wish makes us wait longer than our own longest step
JITTER_PERCENT = 10  # jitter only adds, so that the schedule's span is a lower bound


@dataclass(frozen=True, slots=True)
class Answered:
    """The receiver answered `status` and may have asked us to wait."""

    status: int
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No answer: no such name, no connection, no HTTP, or not in time."""


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Our own policy refused the target; nothing was sent.

    Tried again like any failure: a name that resolved to a wrong address for an hour, or an address the operator is
    yet to allow, must not cost an event (I19).
    """


Outcome = Answered | Unreachable | Forbidden


class Verdict(StrEnum):
    ACCEPTED = "accepted"
    NOT_YET = "not_yet"
    GONE = "gone"  # the receiver wants nothing more from us: it is to get nothing more


@dataclass(frozen=True, slots=True)
class Delivery:
    id: DeliveryId
    status: Status
    attempts_count: int  # since it was created or last replayed
    next_attempt_at: datetime | None  # set if and only if due

    def __post_init__(self) -> None:
        assert (self.status is Status.DUE) == (self.next_attempt_at is not None)


def judge(outcome: Outcome, schedule: Schedule = STANDARD) -> Verdict:
    """What an attempt's outcome means, whatever came before."""
    match outcome:
        case Answered(status) if status in schedule.accepted:
            return Verdict.ACCEPTED
        case Answered(410):
            return Verdict.GONE
        case Answered() | Unreachable() | Forbidden():
            return Verdict.NOT_YET


def after_attempt(
    delivery: Delivery, outcome: Outcome, *, now: datetime, jitter: Decimal, schedule: Schedule = STANDARD
) -> tuple[Delivery, Verdict]:
    """The delivery after one more attempt that ended `now`, and what its outcome means.

    `jitter`, in [0, 1), spreads deliveries that failed together. If the verdict
    is `GONE`, the caller sees to it that the receiver gets nothing more.
    """
    verdict = judge(outcome, schedule)
    attempted = replace(delivery, attempts_count=delivery.attempts_count + 1)
    match verdict:
        case Verdict.ACCEPTED:
            return replace(attempted, status=Status.DELIVERED, next_attempt_at=None), verdict
        case _ if delivery.status is not Status.DUE:
            return attempted, verdict
        case Verdict.GONE:
            return abandon(attempted), verdict
        case Verdict.NOT_YET:
            wait = schedule.wait(attempted.attempts_count)
            if wait is None:
                return abandon(attempted), verdict
            asked = outcome.retry_after if isinstance(outcome, Answered) else None
            return replace(attempted, next_attempt_at=now + _spread(_longer(wait, asked), jitter)), verdict


def abandon(delivery: Delivery) -> Delivery:
    """Stop trying, if still due: it is out of attempts, or its endpoint is disabled or removed."""
    if delivery.status is not Status.DUE:
        return delivery
    return replace(delivery, status=Status.ABANDONED, next_attempt_at=None)


def replay(delivery: Delivery, *, now: datetime) -> Delivery:
    """Send it again, at once, with the whole schedule before it."""
    return replace(delivery, status=Status.DUE, attempts_count=0, next_attempt_at=now)


def _longer(wait: timedelta, asked: timedelta | None) -> timedelta:
    """Our own wait, or the longer one the receiver asked for."""
    return wait if asked is None else max(wait, min(asked, RETRY_AFTER_MAX))


def _spread(wait: timedelta, jitter: Decimal) -> timedelta:
    assert 0 <= jitter < 1
    wait_milliseconds = wait // timedelta(milliseconds=1)
    return wait + timedelta(milliseconds=int(wait_milliseconds * JITTER_PERCENT * jitter / 100))
