"""The memory of a node that has nothing to do: proportional set size of all its processes."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import trio
from tests.bench.nodes import BenchNode, evm_world, made, sim_toml
from tests.bench.report import Line

SETTLING_SECONDS = 6.0  # imports that are put off until after the start, and a few looks
PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


async def run() -> AsyncIterator[list[Line]]:
    """Lines for one and for five networks."""
    yield [await _line("1 simulated network", sim_toml(), "sim")]
    for count in (1, 5):
        async with evm_world(count) as world:
            yield [await _line(f"{count} EVM network{'s' if count > 1 else ''}", world.toml(), "test")]


async def _line(name: str, toml: str, mode: str) -> Line:
    with made(toml, mode=mode) as node:
        node.start()
        await trio.sleep(SETTLING_SECONDS)
        pids = node.pids()
        mib = pss_mib(node)
        node.stop()
    return Line(f"idle PSS, {name}, {len(pids)} process{'es' if len(pids) > 1 else ''}", mib, "MiB", at_most=90)


def pss_mib(node: BenchNode) -> float:
    """Of the node and its descendants."""
    found = [PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text()) for pid in node.pids()]
    return sum(int(each[1]) for each in found if each is not None) / 1024
