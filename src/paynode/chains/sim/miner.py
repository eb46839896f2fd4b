"""Blocks by the clock, for as long as it runs."""

from typing import NoReturn

import trio

from paynode.chains.sim.world import World


async def run(world: World, block_seconds: float) -> NoReturn:
    """Make a block every `block_seconds`; during an outage the network goes on, as others do."""
    while True:
        await trio.sleep(block_seconds)
        world.mine()
