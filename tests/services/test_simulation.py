"""A whole simulated node, over HTTP: what a shop's developer may do to time, and who they may pay as."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from standardwebhooks.webhooks import Webhook
from tests.lab.receiver import Receiver
from tests.lab.sandbox import make

from paynode import daemon
from paynode.chains.sim import keys
from paynode.chains.sim.clock import AHEAD_MAX, MovableClock
from paynode.config import Config

SECONDS_MAX = 120  # only a failing test waits so long
ORDER = {"amount": "10", "currency": "USD", "methods": ["sim_usdt"], "provision": True}
PAYER = "sim1" + "ab" * 20

Json = dict[str, Any]


class Caller:
    """A shop's developer with a key."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def post(self, path: str, body: Json) -> Json:
        reply = await self.client.post(path, json=body)
        assert reply.is_success, reply.text
        found: Json = reply.json()
        return found

    async def refused(self, path: str, body: Json) -> dict[str, str]:
        reply = await self.client.post(path, json=body)
        assert reply.status_code == 422, reply.text
        return {error["pointer"]: error["detail"] for error in reply.json()["errors"]}

    async def until(self, path: str, is_so: Callable[[Json], bool]) -> Json:
        found: Json = {}
        with trio.move_on_after(SECONDS_MAX):
            while True:
                found = (await self.client.get(path)).json()
                if is_so(found):
                    return found
                await trio.sleep(0.02)
        raise AssertionError(found)

    async def invoice(self, **fields: object) -> str:
        return str((await self.post("/v1/invoices", {**ORDER, **fields}))["id"])

    async def pay(self, invoice_id: str, **terms: object) -> Json:
        return await self.post(f"/v1/test/invoices/{invoice_id}/pay", terms)

    async def becomes(self, invoice_id: str, status: str) -> Json:
        return await self.until(f"/v1/invoices/{invoice_id}", lambda seen: bool(seen["status"] == status))


@pytest.fixture
async def receiver(nursery: trio.Nursery) -> Receiver:
    receiver = Receiver()
    await receiver.listen(nursery)
    return receiver


@pytest.fixture
def made(tmp_path: Path, receiver: Receiver) -> tuple[Config, str]:
    """A simulated node that is not up yet, and a key to it."""
    fixed = '[rates]\nstatic = { "usdt/USD" = "1" }\n'
    return make(tmp_path, f'{fixed}[webhooks]\nallow = ["{receiver.allow[0]}"]\n')


@asynccontextmanager
async def up(made: tuple[Config, str]) -> AsyncIterator[Caller]:
    config, key = made
    stop = trio.Event()

    async def start(task_status: trio.TaskStatus[Any]) -> None:
        await daemon.serve(config, stop=stop, task_status=task_status)

    async with trio.open_nursery() as nursery:
        (url,) = await nursery.start(start)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=SECONDS_MAX) as client:
            yield Caller(client)
        stop.set()


async def test_time_moves_on_for_the_node_and_its_chain_and_stays_so_after_a_restart(made: tuple[Config, str]) -> None:
    async with up(made) as caller:
        invoice_id = await caller.invoice(expires_in="30d")
        unasked = await caller.invoice(expires_in="30d", provision=False)
        moved = await caller.post("/v1/test/time", {"advance": "31d"})
        now = datetime.fromisoformat(moved["now"])
        assert timedelta(days=30) < now - datetime.now(UTC) <= timedelta(days=31)
        await caller.becomes(invoice_id, "expired")
        await caller.becomes(unasked, "expired")
    async with up(made) as caller:
        made_at = datetime.fromisoformat((await caller.post("/v1/invoices", ORDER))["created_at"])
        assert made_at - now > timedelta(minutes=-1)
        await caller.pay(second := await caller.invoice())
        await caller.becomes(second, "paid")


async def test_a_late_payment_takes_time_past_the_deadline_and_names_its_sender(made: tuple[Config, str]) -> None:
    async with up(made) as caller:
        invoice_id = await caller.invoice(expires_in="1h")
        await caller.pay(invoice_id, **{"late": True, "from": PAYER.upper()})
        seen = await caller.until(f"/v1/invoices/{invoice_id}", lambda invoice: bool(invoice["deposits"]))
        (deposit,) = seen["deposits"]
        assert (deposit["late"], deposit["from"]) == (True, PAYER)
        assert (await caller.becomes(invoice_id, "expired"))["late"] is True
        for address in ("sim1", seen["methods"][0]["address"], keys.gas_address(0)):
            problems = await caller.refused(f"/v1/test/invoices/{invoice_id}/pay", {"from": address})
            assert list(problems) == ["/from"]
        too_far = await caller.refused("/v1/test/time", {"advance": "3650d"})
        assert "days ahead" in too_far["/advance"]


async def test_a_webhook_is_tried_again_as_soon_as_its_time_is_made_to_come(
    made: tuple[Config, str], receiver: Receiver
) -> None:
    receiver.manners["/shop"] = "500"
    async with up(made) as caller:
        endpoint = {"url": receiver.url("/shop"), "events": ["invoice.created"]}
        secret = (await caller.post("/v1/webhook_endpoints", endpoint))["secret"]
        await caller.invoice()
        await caller.until("/v1/deliveries", lambda seen: bool(seen["data"] and len(seen["data"][0]["attempts"]) == 1))
        await caller.post("/v1/test/time", {"advance": "2h"})
        await caller.until("/v1/deliveries", lambda seen: len(seen["data"][0]["attempts"]) == 2)
        del receiver.manners["/shop"]
        await caller.post("/v1/test/time", {"advance": "2h"})
        *_, last = await receiver.wait_for("/shop", 3)
        # The library compares with the time of day: shops must believe what a simulation of tomorrow tells them.
        Webhook(secret).verify(last.body, dict(last.headers))
        await caller.until("/v1/deliveries", lambda seen: seen["data"][0]["state"] == "delivered")


def test_the_clock_goes_on_with_the_time_of_day_and_never_back() -> None:
    today = datetime(2026, 1, 1, tzinfo=UTC)
    clock = MovableClock(lambda: today)
    hour = timedelta(hours=1)
    assert clock.advance(hour) == clock() == today + hour
    clock.reach(today)
    assert clock() == today + hour
    today += hour
    clock.reach(today + 3 * hour)
    assert clock() == today + 3 * hour
    with pytest.raises(ValueError, match="3650 days ahead"):
        clock.advance(AHEAD_MAX)
