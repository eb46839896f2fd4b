"""An outage of thousands of blocks with customers in it, and a free tier to catch up on.

The node is dead while the chain goes on. Then its only provider caps log queries, refuses every fifth request, and
the node is killed once more half way. In the end each invoice is judged as if the node had been up all the time, and
whoever reads its API meanwhile notices nothing. Calls are counted at the provider; times are printed.
"""

import itertools
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio
from tests.bench.report import percentile
from tests.faults.chaosproxy import Fault, Rule
from tests.faults.checker import never_more_than
from tests.faults.street import SEED, USDT, Street, street
from tests.faults.test_spine import address, blocks
from tests.lab.node import Node

CATCH_UP_SECONDS = 300.0
READ_EVERY_SECONDS = 0.1
LIST_EVERY_SECONDS = 1.0  # all of hundreds: often, that would be the node's main work
CALLS_PER_SECOND = 50  # the node's budget; a second's worth may be spent at once
LOG_BLOCKS_MAX = 50


@dataclass(frozen=True, slots=True)
class Size:
    """How long the outage is, and how strict the provider."""

    blocks: int
    payments: int
    results: int  # the most logs that the provider gives at once
    calls_max: int  # to catch up with


SMALL = Size(blocks=300, payments=24, results=3, calls_max=2_000)
WHOLE = Size(blocks=5_000, payments=200, results=20, calls_max=10_000)


async def test_after_an_outage_a_free_tier_and_a_second_death_each_invoice_is_judged_right(tmp_path: Path) -> None:
    await caught_up(tmp_path, SMALL)


@pytest.mark.soak
async def test_after_an_outage_of_five_thousand_blocks_all_is_right_within_minutes(tmp_path: Path) -> None:
    await caught_up(tmp_path, WHOLE)


async def caught_up(folder: Path, size: Size) -> None:
    budget = f"budget = {{ calls_per_second = {CALLS_PER_SECOND} }}"
    async with street(folder, goes_on=False, network=budget, states=2 * size.blocks) as town:
        shop = town.shop
        await town.open(size.payments, expires_in=size.blocks * 3 // 4)
        shop.kill()
        paid_at = await outage(town, size)
        late = {one["id"] for one in town.invoices if paid_at[one["id"]] > datetime.fromisoformat(one["expires_at"])}
        assert 0 < len(late) < size.payments

        town.nursery.start_soon(blocks, town.lab)
        town.proxy.rules = free_tier(size)
        began = trio.current_time()
        await shop.start_blind()
        async with never_more_than(shop, town.paid_by_invoice), readers(shop) as reading:
            await shop.until(partial(are_seen, shop, size.payments // 4), "a quarter is seen", CATCH_UP_SECONDS)
            async with reading.paused():
                shop.kill()
                await shop.start_blind()
            await shop.until(partial(are_judged, shop, late), "each invoice is judged", CATCH_UP_SECONDS)
        seconds = trio.current_time() - began
        calls, busiest = len(town.proxy.calls_since(began)), town.proxy.busiest_second(began)
        print(f"caught up in {seconds:.0f} s with {calls} calls, at most {busiest} in a second")
        print(f"{len(reading.seconds)} reads of the API: 95 % within {percentile(reading.seconds, 95) * 1000:.0f} ms")
        assert busiest < 3 * CALLS_PER_SECOND
        assert calls < size.calls_max
        assert reading.seconds
        town.proxy.calm()
        await town.assert_books_are_true(quiet_seconds=CATCH_UP_SECONDS)


def free_tier(size: Size) -> Sequence[Rule]:
    return [
        Rule(Fault.RANGE_CAP, value=LOG_BLOCKS_MAX),
        Rule(Fault.RESULT_CAP, value=size.results),
        Rule(Fault.RATE_LIMIT, 0.1),
        Rule(Fault.RATE_LIMIT, 0.1, value=1),
    ]


async def outage(town: Street, size: Size) -> dict[str, datetime]:
    """Payments in blocks all over the time; at its end a rush, many in one block. Returns when each was paid."""
    lab, order = town.lab, random.Random(SEED).sample(range(size.payments), size.payments)
    rush = [number for number in order if number % 3 == 0][: size.results * 3 // 2]
    alone = [number for number in order if number not in rush]
    paid_at: dict[str, datetime] = {}

    async def note(numbers: Sequence[int]) -> None:
        at = datetime.fromtimestamp(int((await lab.block())["timestamp"], 16), UTC)
        paid_at.update({town.invoices[number]["id"]: at for number in numbers})

    for number in alone:
        await town.pay(number)
        await note([number])
        await lab.rpc("anvil_mine", hex(size.blocks // len(alone) - 1), hex(1))
    batch = await lab.deploy("Batch")
    for some in (rush[::2], rush[1::2]):
        await lab.pay_many(batch, town.usdt, [(address(town.invoices[number]), 20 * USDT) for number in some])
        await note(some)
    return paid_at


async def are_seen(shop: Node, count: int) -> bool:
    await trio.sleep(LIST_EVERY_SECONDS)
    return len(await shop.all_of("deposits")) >= count


async def are_judged(shop: Node, late: set[str]) -> bool:
    """As if the node had been up: in the first blocks in time, in the last ones late."""
    await trio.sleep(LIST_EVERY_SECONDS)
    return all(
        (one["status"], one["payment_state"], one["late"])
        == ("expired" if one["id"] in late else "paid", "exact", one["id"] in late)
        for one in await shop.all_of("invoices")
    )


@dataclass
class Reading:
    """Somebody who reads the API all the while: a list and one invoice by turns. A failure fails the test."""

    shop: Node
    client: httpx.Client
    seconds: list[float] = field(default_factory=list)
    lock: trio.Lock = field(default_factory=trio.Lock)

    async def run(self) -> None:
        (first, *_) = (await self.shop.get("/v1/invoices?limit=1"))["data"]
        for path in itertools.cycle([f"/v1/invoices/{first['id']}", "/v1/invoices?limit=20", "/v1/deposits?limit=20"]):
            async with self.lock:
                self.seconds.append(await trio.to_thread.run_sync(self._read, path))
            await trio.sleep(READ_EVERY_SECONDS)

    def _read(self, path: str) -> float:
        """In a thread, where the test's own work does not count."""
        began = time.perf_counter()
        answer = self.client.get(self.shop.url + path, headers={"Authorization": f"Bearer {self.shop.key}"})
        assert answer.status_code == 200, f"GET {path}: {answer.status_code}"
        return time.perf_counter() - began

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        async with self.lock:
            yield


@asynccontextmanager
async def readers(shop: Node) -> AsyncIterator[Reading]:
    with httpx.Client(trust_env=False, timeout=30) as client:
        reading = Reading(shop, client)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reading.run)
            yield reading
            nursery.cancel_scope.cancel()
