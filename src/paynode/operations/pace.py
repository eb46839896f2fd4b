"""How long a scanner waits before its next look: by what is at stake, and never faster than the blocks come."""

from datetime import datetime, timedelta

from paynode.operations.catalogue import Catalogue
from paynode.store import chain, chain_rows, deposits, outgoing, rescues, watches
from paynode.store.database import Tx

HURRY_SECONDS = 2.0  # at least, while somebody waits
HEARTBEAT_SECONDS = 600.0  # nothing is open: a day costs less than 600 calls, with all that is asked besides looking
MOVING = timedelta(hours=1)  # so long a transaction of ours is hurried for: one that is paused or stuck may be for days
PROPAGATION_SECONDS = 1.0  # from a block's time until most providers have it


def is_urgent(tx: Tx, name: str, now: datetime) -> bool:
    """Whether money is on its way to be final; what is disputed, unproven or stuck is looked for at the usual pace."""
    return deposits.is_any_deepening(tx, name) or outgoing.is_any_moving(tx, name, now - MOVING)


def pause_seconds(tx: Tx, catalogue: Catalogue, name: str, now: datetime, *, is_watched: bool) -> float:
    """How long to wait before the next look at a network that is not stopped, were calls for free.

    `is_watched`: somebody waits in front of a checkout page.
    """
    upper = float(catalogue.networks[name].tick_seconds)
    if is_watched or is_urgent(tx, name, now):
        return min(_until_next_block(tx, name, now), upper)
    is_unfinished = deposits.is_any_unfinished(tx, name) or bool(outgoing.under_way(tx, name))
    if is_unfinished or watches.is_awaiting(tx, name) or _may_be_undone(tx, catalogue, name):
        return upper
    asked_for = rescues.next_look_at(tx, name)
    rest = HEARTBEAT_SECONDS if asked_for is None else min((asked_for - now).total_seconds(), HEARTBEAT_SECONDS)
    return max(upper, rest)


def _may_be_undone(tx: Tx, catalogue: Catalogue, name: str) -> bool:
    """Whether something is booked in blocks that a reorganisation may still replace: it is noticed soon."""
    cursor = chain.cursor(tx, name)
    return cursor is not None and chain_rows.is_any_above(
        tx, name, cursor.number - catalogue.networks[name].reorg_horizon
    )


def _until_next_block(tx: Tx, name: str, now: datetime) -> float:
    """Until about the time of the next block; if that is over, as short as may be."""
    head_at, seconds = chain.network(tx, name).head_at, chain.block_seconds(tx, name)
    if head_at is None or seconds is None:
        return HURRY_SECONDS
    due = (head_at - now).total_seconds() + seconds + PROPAGATION_SECONDS
    return min(max(due, HURRY_SECONDS), max(seconds, HURRY_SECONDS))
