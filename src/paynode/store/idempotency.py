"""Answers kept under the caller's name for a request, so that sending it twice does it once (I20)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from paynode.store.database import Tx
from paynode.store.records import Columns
from paynode.store.times import to_ms

KEPT_FOR = timedelta(hours=48)  # we promise 24; callers' clocks and queues may be late


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    owner: str
    key: str
    request_hash: bytes
    status: int
    body: bytes
    created_at: datetime


ANSWER = Columns(AnswerRecord)


def find(tx: Tx, owner: str, key: str) -> AnswerRecord | None:
    row = tx.row(f"select {ANSWER.sql} from idempotency where owner = ? and key = ?", (owner, key))
    return None if row is None else ANSWER.decode(row)


def keep(tx: Tx, record: AnswerRecord) -> None:
    tx.run(ANSWER.insert("idempotency"), ANSWER.encode(record))


def forget_old(tx: Tx, now: datetime) -> int:
    """Drop what is kept longer than promised; returns how many."""
    return tx.run("delete from idempotency where created_at < ?", (to_ms(now - KEPT_FOR),))
