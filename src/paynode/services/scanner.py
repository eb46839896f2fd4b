"""The scanner: one per network. Each turn loads the books, lets the chain look, and stores what it saw.

Ticks are driven by time and by what is at stake, not by blocks.
"""

from collections.abc import Callable
from datetime import datetime

import structlog
import trio

from paynode.chains.base import Chain, DeepReorg, Unavailable
from paynode.domain.attention import Attention
from paynode.operations import networks, pace
from paynode.operations.catalogue import Catalogue
from paynode.operations.observations import apply_observation, load_books
from paynode.store import bells, chain, provider_usage, watches
from paynode.store.database import Database

TICK_SECONDS_MAX = 120.0  # one tick may search for long after an outage; past this, its provider is to blame
RETRY_SECONDS_MAX = 15.0  # half of the time in which we want to be back once an outage is over
TROUBLE_SECONDS = 15.0  # what is over sooner is not told: a free provider fails now and then
WIDE_SECONDS = 600.0  # how often to look at addresses that nobody waits for, while they would cost calls of their own

log = structlog.get_logger()


async def run(
    database: Database,
    catalogue: Catalogue,
    network: Chain,
    *,
    attention: Attention,
    clock: Callable[[], datetime],
    beat: Callable[[], None],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Follow one network for ever; its failures degrade it alone."""
    name = network.network
    failures = 0
    trouble_since: float | None = -float("inf")  # what is wrong at the start is told at once
    wide_at = -WIDE_SECONDS
    task_status.started()
    while True:
        beat()
        began = trio.current_time()
        is_wide = began - wide_at >= WIDE_SECONDS or database.read(watches.are_few, name)
        trouble: str | None = None
        try:
            with trio.fail_after(TICK_SECONDS_MAX):
                trouble = await tick(database, catalogue, network, clock, is_wide=is_wide)
        except DeepReorg as reorg:
            database.write(networks.stop, catalogue, name, str(reorg), clock())
            log.error("network_stopped", network=name, reason=str(reorg))
        except (Unavailable, trio.TooSlowError) as error:
            failures += 1
            trouble = str(error) or f"no tick ended within {TICK_SECONDS_MAX:.0f} s"
            log.warning("network_degraded", network=name, reason=trouble, failures=failures)
        else:
            failures = 0
            wide_at = began if is_wide else wide_at
        if trouble is None:
            trouble_since = None
        else:
            trouble_since = began if trouble_since is None else trouble_since
            if trio.current_time() - trouble_since >= TROUBLE_SECONDS:
                database.write(networks.note_trouble, catalogue, name, trouble, clock())
        note_usage(database, network, clock())
        if failures:
            await trio.sleep(min(2.0**failures / 2, RETRY_SECONDS_MAX))
        else:
            await rest(database, catalogue, network, attention, clock())


async def tick(
    database: Database, catalogue: Catalogue, network: Chain, clock: Callable[[], datetime], *, is_wide: bool = True
) -> str | None:
    """One look at the network, stored; why its view is doubtful or incomplete, or None if it is not.

    A network that an operator must look at first is left alone.
    """
    name = network.network
    if database.read(chain.network, name).state == "stopped":
        return None
    books = database.read(load_books, catalogue, name, is_wide=is_wide)
    observation = await network.observe(books)
    database.write(apply_observation, catalogue, name, books, observation, clock())
    trouble = observation.hold or observation.trouble
    if trouble is None and database.read(chain.network, name).state != "ok":
        database.write(networks.note_recovery, catalogue, name, clock())
    return trouble


def note_usage(database: Database, network: Chain, now: datetime) -> None:
    """Note down now and then what the providers were asked, so that a restart does not begin their day anew."""
    usage_by_provider = {health.name: health.usage for health in network.providers()}
    if database.read(provider_usage.is_due, network.network, usage_by_provider, now):
        database.write(provider_usage.note, network.network, usage_by_provider, now)


async def rest(database: Database, catalogue: Catalogue, network: Chain, attention: Attention, now: datetime) -> None:
    """Wait until the next look: as long as we like, or as the providers' budgets ask for."""
    name = network.network
    if database.read(chain.network, name).state == "stopped":
        await trio.sleep(RETRY_SECONDS_MAX)
        return
    wanted = database.read(pace.pause_seconds, catalogue, name, now, is_watched=attention.is_on(name))
    pause = network.pace(wanted, is_urgent=database.read(pace.is_urgent, name, now))
    if pause > wanted:
        await trio.sleep(pause)  # through every bell: whoever asks for many addresses must not burn the budget
    else:
        await database.bells.wait(bells.WATCHES, seconds=wanted)
