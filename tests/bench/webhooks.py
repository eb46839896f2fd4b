"""Signed webhooks a second to one receiver, and how much later it hears when others are dead."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from statistics import median

import httpx
import trio
from tests.bench.nodes import BenchNode, made, sim_toml
from tests.bench.report import Line, percentile
from tests.lab.anvil import _die_with_parent
from tests.lab.receiver import Receiver

from paynode.cli.opening import opened
from paynode.config import load_config
from paynode.operations.creating import CreateInvoice, create_invoice
from paynode.store.database import Tx

COUNT, SKIPPED = 4000, 500  # the node is still starting while it sends the first
DRAIN_SECONDS_MAX = 120.0
DEAD = 10
SAMPLES = 100
INVOICE = {"amount": "10", "currency": "USD", "methods": ["sim0_usdt"]}


async def run() -> AsyncIterator[list[Line]]:
    """The rate, then the delay."""
    yield [await _rate()]
    yield await _delay()


async def _rate() -> Line:
    """A node that finds thousands of deliveries due when it starts."""
    with (
        _sink() as (sink, port),
        made(f"{sim_toml()}[webhooks]\nallow = {[f'127.0.0.1:{port}']}\n", mode="sim") as node,
    ):
        node.start()
        async with httpx.AsyncClient(base_url=node.url, headers=node.headers, trust_env=False) as client:
            await _endpoint(client, f"http://127.0.0.1:{port}/hooks", "*")
        node.stop()
        _owe(node)
        node.launch()
        assert sink.stdout is not None, "it is piped"
        with trio.fail_after(DRAIN_SECONDS_MAX):
            seconds = float(await trio.to_thread.run_sync(sink.stdout.readline, abandon_on_cancel=True))
        node.stop()
    return Line("signed webhooks to one receiver", (COUNT - SKIPPED) / seconds, "/s", at_least=500)


def _owe(node: BenchNode) -> None:
    """Write invoices behind the node's back, whose events it then owes."""
    with opened(load_config(node.config, environ={})) as (database, catalogue):
        store_id = next(iter(catalogue.store_keys))
        command = CreateInvoice(Decimal(10), "USD", ["sim0_usdt"], metadata={"cart": "7c1f"})

        def create_all(tx: Tx) -> None:
            now = datetime.now(UTC)
            for _ in range(COUNT):
                create_invoice(tx, catalogue, store_id, command, lambda *_: "", now)

        database.write(create_all)


@contextmanager
def _sink() -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "tests.bench.sink", str(COUNT), str(SKIPPED)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=_die_with_parent) as process:
        try:
            assert process.stdout is not None, "it is piped"
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


async def _delay() -> list[Line]:
    """One invoice at a time: from the request to the webhook, without and with dead receivers beside the good one."""
    receiver = Receiver()
    receiver.manners |= {f"/dead{number}": "hang" for number in range(DEAD)}
    async with trio.open_nursery() as nursery:
        await receiver.listen(nursery)
        with made(f"{sim_toml()}[webhooks]\nallow = {receiver.allow}\n", mode="sim") as node:
            node.start()
            async with httpx.AsyncClient(base_url=node.url, headers=node.headers, trust_env=False) as client:
                await _endpoint(client, receiver.url("/good"), "*")
                alone = await _sampled(client, receiver)
                for path in receiver.manners:
                    await _endpoint(client, receiver.url(path), "*")
                beside = await _sampled(client, receiver)
            node.stop()
        nursery.cancel_scope.cancel()
    return [
        Line("  invoice requested → its webhook received, median", median(alone), "ms"),
        Line("  the same, 99th percentile", percentile(alone, 99), "ms"),
        Line(
            f"delay that {DEAD} dead receivers add, median", max(0.0, median(beside) - median(alone)), "ms", at_most=50
        ),
        Line("  at the 99th percentile", max(0.0, percentile(beside, 99) - percentile(alone, 99)), "ms"),
    ]


async def _sampled(client: httpx.AsyncClient, receiver: Receiver) -> list[float]:
    found = []
    for _ in range(SAMPLES):
        expected = len(receiver.hooks_of("/good")) + 1
        started = trio.current_time()
        (await client.post("/v1/invoices", json=INVOICE)).raise_for_status()
        with trio.fail_after(DRAIN_SECONDS_MAX):
            await receiver.wait_for("/good", expected)
        found.append((trio.current_time() - started) * 1000)
    return found


async def _endpoint(client: httpx.AsyncClient, url: str, pattern: str) -> None:
    (await client.post("/v1/webhook_endpoints", json={"url": url, "events": [pattern]})).raise_for_status()
