"""Invoices a second over HTTP, each with one method, its address and an idempotency key, committed with FULL."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator

from tests.bench.load import WARM_UP
from tests.bench.nodes import evm_world, made, sim_toml
from tests.bench.report import Line, commits_per_second, percentile

COUNT = 2000
SECONDS_MAX = 150
TARGETS = {1: (230, 12), 16: (350, 80)}  # by clients: invoices a second, and the 99th percentile in ms


async def run() -> AsyncIterator[list[Line]]:
    """Lines for the simulated and the EVM family, at one and at 16 clients."""
    for clients in TARGETS:
        yield measured(sim_toml(), "sim", "sim0_usdt", clients)
    async with evm_world() as world:
        for clients in TARGETS:
            yield measured(world.toml(), "test", "eth0_usdt", clients)


def measured(toml: str, mode: str, method: str, clients: int) -> list[Line]:
    """Start a fresh node and load it."""
    commits = commits_per_second()
    with made(toml, mode=mode) as node:
        node.start()
        cpu_seconds = node.cpu_seconds()
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.load", str(node.port), node.key, method, str(clients), str(COUNT)],
            stdout=subprocess.PIPE,
            timeout=SECONDS_MAX,
            check=True,
        )
        cpu_seconds = node.cpu_seconds() - cpu_seconds
        node.stop()
    result = json.loads(done.stdout)
    assert len(result["ms"]) == COUNT
    at_least, at_most = TARGETS[clients]
    name = f"{'simulated' if mode == 'sim' else 'EVM'}, {clients} client{'s' if clients > 1 else ''}"
    return [
        Line(f"invoices created, {name}", COUNT / result["seconds"], "/s", at_least=at_least),
        Line("  bare commits just before and after, mean", (commits + commits_per_second()) / 2, "/s"),
        Line("  processor time of the node per invoice", cpu_seconds / (COUNT + WARM_UP) * 1000, "ms"),
        Line("  latency, median", percentile(result["ms"], 50), "ms"),
        Line("  latency, 99th percentile", percentile(result["ms"], 99), "ms", at_most=at_most),
    ]
