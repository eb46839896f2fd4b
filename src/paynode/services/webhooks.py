"""The webhooks service: posts what is due, signed, and records how it went.

Memory holds only what is under way. Each lane, an endpoint or a server that callbacks go to, has places of its own, so
one that hangs delays no other; each attempt is a task of its own, and attempts that end together are recorded in one
commit.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import structlog
import trio

from paynode import __version__
from paynode.domain.delivery import Answered, Forbidden, Unreachable, Verdict, judge
from paynode.operations import deliveries
from paynode.operations.catalogue import Catalogue
from paynode.operations.deliveries import Attempt
from paynode.operations.receivers import Post
from paynode.outbound import Failed, Outbound, Refused
from paynode.store import bells, outbox
from paynode.store.database import Database

CLOCK_STEP_SECONDS = 60.0  # smaller corrections of a clock delay a retry by no more than that
POLL_SECONDS = 1  # commands write from another process, whose bells do not ring here
USER_AGENT = f"paynode/{__version__}"
HOST = re.compile(r"https?://([^/?#@]*)(?=[/?#]|$)", re.IGNORECASE)  # all of a URL that a log may show

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


async def run(
    database: Database,
    catalogue: Catalogue,
    outbound: Outbound,
    *,
    clock: Callable[[], datetime],
    time_of_day: Callable[[], datetime],
    jitter: Callable[[], Decimal],
    beat: Callable[[], None],
    passing: Callable[[str], None],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Attempt every delivery when its time comes, for ever. `passing` is told of the points around each post.

    Messages are signed for the `time_of_day`, which receivers compare with their own, wherever the `clock` may be.
    """
    lane_by_delivery: dict[str, str] = {}  # under way
    landed: list[Attempt] = []  # ended, not yet recorded

    async def deliver(post: Post) -> None:
        passing("before webhook")
        landed.append(await attempt(outbound, post, clock, time_of_day))
        passing("after webhook")
        database.bells.ring(bells.DELIVERIES)  # there is an outcome to record, and room for another

    async with trio.open_nursery() as nursery:
        task_status.started()
        now, at = clock(), trio.current_time()
        while True:
            beat()
            now, at = _brought_forward(database, clock(), now, trio.current_time() - at), trio.current_time()
            if landed:
                database.write(deliveries.record_attempts, catalogue, landed, now=now, jitter=jitter)
                for ended in landed:
                    del lane_by_delivery[ended.delivery_id]
                landed.clear()
            for post in database.read(deliveries.due, now, lane_by_delivery):
                lane_by_delivery[post.delivery_id] = post.lane
                nursery.start_soon(deliver, post)
            next_at = database.read(outbox.next_attempt_after, now)
            pause_seconds = POLL_SECONDS if next_at is None else min(POLL_SECONDS, (next_at - now).total_seconds())
            await database.bells.wait(bells.DELIVERIES, seconds=pause_seconds)


def _brought_forward(database: Database, now: datetime, before: datetime, seconds: float) -> datetime:
    """`now`, after `seconds` since `before`; where the clock was set back, retries wait no longer for it."""
    fallen = before + timedelta(seconds=seconds) - now
    if fallen.total_seconds() > CLOCK_STEP_SECONDS:
        log.warning("clock_set_back", seconds=int(fallen.total_seconds()))
        database.write(outbox.bring_forward, fallen)
    return now


async def attempt(
    outbound: Outbound, post: Post, clock: Callable[[], datetime], time_of_day: Callable[[], datetime]
) -> Attempt:
    """Sign and post a delivery once; says how it went, whatever happened."""
    sent_at, started_at = clock(), trio.current_time()
    headers = {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        **post.signer.headers(post.event_id, time_of_day(), post.body),
    }
    outcome: Answered | Unreachable | Forbidden
    error, excerpt = None, None
    try:
        answer = await outbound.post(post.url, body=post.body, headers=headers)
    except Refused as refused:
        outcome, error = Forbidden(), refused.reason
    except Failed as failed:
        outcome, error = Unreachable(), failed.reason
    else:
        outcome = Answered(answer.status, answer.retry_after)
        excerpt = None if post.has_secret else answer.excerpt
    duration_ms = int((trio.current_time() - started_at) * 1000)
    if judge(outcome, post.schedule) is not Verdict.ACCEPTED:
        log.info(
            "webhook_not_accepted",
            delivery=post.delivery_id,
            lane=post.lane,
            host=_host(post.url),
            status=outcome.status if isinstance(outcome, Answered) else None,
            error=error,
        )
    return Attempt(post.delivery_id, post.url, sent_at, duration_ms, outcome, error, excerpt)


def _host(url: str) -> str:
    found = HOST.match(url)
    return "" if found is None else found[1]
