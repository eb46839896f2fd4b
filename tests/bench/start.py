"""From the start of the process to its first 200: a node with one EVM network, from source and frozen."""

from collections.abc import AsyncIterator
from statistics import median

from tests.bench.nodes import FROZEN, PROGRAM, SOURCE, evm_world, made
from tests.bench.report import Line

RUNS = 7
COMMANDS = {"source": SOURCE} | ({"frozen onefile": FROZEN} if PROGRAM.exists() else {})


async def run() -> AsyncIterator[list[Line]]:
    """The median of each; the frozen program only where one was built."""
    async with evm_world() as world:
        for name, command in COMMANDS.items():
            seconds = []
            with made(world.toml(), mode="test", command=command) as node:
                for _ in range(RUNS):
                    node.launch()
                    seconds.append(node.wait_for_answer())
                    node.stop()
            yield [
                Line(
                    f"start → first 200 of GET /v1/status, {name}, median of {RUNS}", median(seconds), "s", at_most=1.8
                ),
                Line("  fastest", min(seconds), "s"),
            ]
