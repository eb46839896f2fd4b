"""What following a network costs, in calls as its provider bills them: at the tip, on simulated time."""

from datetime import timedelta

import pytest
import trio
from tests.bench.calls import CALLS_A_DAY, CALLS_A_DAY_IDLE, DAY, World, now, opened_world

from paynode.operations.invoices import cancel


def open_and_cancel(world: World, count: int) -> None:
    """Make invoices that nobody waits for, whose addresses are still watched for late money."""
    world.open(count)
    ids = world.database.read(lambda tx: tx.rows("select id from invoices"))
    for (invoice_id,) in ids:
        world.database.write(cancel, world.catalogue, invoice_id, now())


@pytest.mark.parametrize("past", [0, 20])
async def test_a_day_with_nothing_open_costs_few_calls(past: int, autojump_clock: trio.testing.MockClock) -> None:
    with opened_world(12.0) as world:
        await world.follow(timedelta(minutes=1))
        open_and_cancel(world, past)
        calls = await world.follow(DAY)
    assert 0 < calls.total() <= CALLS_A_DAY_IDLE
    assert calls["eth_getLogs"] > 0  # ranges are closed all the same


@pytest.mark.parametrize("block_seconds", [12.0, 0.25])
async def test_with_open_invoices_an_hour_costs_the_same_on_every_chain(
    block_seconds: float, autojump_clock: trio.testing.MockClock
) -> None:
    hour = timedelta(hours=1)
    with opened_world(block_seconds) as world:
        await world.follow(timedelta(minutes=1))
        world.open(10)
        calls = await world.follow(hour)
    assert 0 < calls.total() <= CALLS_A_DAY * (hour / DAY)
