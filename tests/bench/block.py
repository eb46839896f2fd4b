"""Block mined → webhook received, on a real chain, above the poll floor.

The floor is the wait for the node's next look: a bystander between node and chain notes when each look begins.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import trio
from tests.bench.nodes import evm_world, made
from tests.bench.report import Line, percentile
from tests.lab.receiver import Receiver
from tests.lab.stub import Script, in_front_of, stub

from paynode.chains.evm.ways import LENT_ADDRESS

SAMPLES = 200
HOOK_SECONDS_MAX = 30.0
UNITS = 10_000_000  # ten dollars
INVOICE = {"amount": "10", "currency": "USD", "methods": ["eth0_usdt"], "provision": True}


async def run() -> AsyncIterator[list[Line]]:
    """The median and the higher percentiles, and the whole way for comparison."""
    looked_at: list[float] = []
    receiver = Receiver()
    async with evm_world() as world, trio.open_nursery() as nursery:
        await receiver.listen(nursery)
        (lab,), (token,) = world.labs, world.tokens
        async with stub(_watching(in_front_of(lab, lambda _call, answer: answer), looked_at)) as between:
            toml = f"{world.toml(rpc=between.url)}[webhooks]\nallow = {receiver.allow}\n"
            with made(toml, mode="test") as node:
                node.launch()
                await trio.to_thread.run_sync(node.wait_until_watching)
                async with httpx.AsyncClient(base_url=node.url, headers=node.headers, trust_env=False) as client:
                    hook = {"url": receiver.url("/hooks"), "events": ["invoice.deposit_detected"]}
                    (await client.post("/v1/webhook_endpoints", json=hook)).raise_for_status()
                    addresses = [await _address(client) for _ in range(SAMPLES)]
                above, whole = [], []
                for count, address in enumerate(addresses, start=1):
                    await lab.transfer(token, address, UNITS)
                    mined_at = trio.current_time()
                    with trio.fail_after(HOOK_SECONDS_MAX):
                        await receiver.wait_for("/hooks", count)
                    received_at = trio.current_time()
                    above.append((received_at - looked_at[-1]) * 1000)
                    whole.append((received_at - mined_at) * 1000)
                node.stop()
        nursery.cancel_scope.cancel()
    yield [
        Line("block mined → webhook received, above the poll floor, median", percentile(above, 50), "ms", at_most=50),
        Line("  95th percentile", percentile(above, 95), "ms"),
        Line("  99th percentile", percentile(above, 99), "ms", at_most=150),
        Line("  with the poll floor of 1 s, median", percentile(whole, 50), "ms"),
    ]


def _watching(script: Script, looked_at: list[float]) -> Script:
    """`script`, noting when each look began: with the head, which others ask for as well, before its own call."""
    head_asked_at = 0.0

    async def answer(body: Any) -> Any:
        nonlocal head_asked_at
        for call in body if isinstance(body, list) else [body]:
            if call["method"] == "eth_getBlockByNumber" and call["params"][0] == "latest":
                head_asked_at = trio.current_time()
            elif call["method"] == "eth_call" and call["params"][0].get("to") == LENT_ADDRESS:
                looked_at.append(head_asked_at)
        return await script(body)

    return answer


async def _address(client: httpx.AsyncClient) -> str:
    answer = await client.post("/v1/invoices", json=INVOICE)
    answer.raise_for_status()
    found: str = answer.json()["methods"][0]["address"]
    return found
