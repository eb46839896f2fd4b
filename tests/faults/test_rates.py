"""A whole node whose sources of rates live, lie and die: what a shop sees of it over HTTP."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from tests.lab.shop import make_key, open_shop, sim_config
from tests.sources.exchange import Exchange, Query, Reply, exchange, said

from paynode import daemon
from paynode.domain.scopes import STORE_SCOPES
from paynode.services import rates
from paynode.store import database as databases

ORDER = {"amount": "100", "currency": "EUR", "methods": ["sim_sim"]}


class Shop:
    """The shop's side: its key, and a clock that the test may put forward."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def order(self, **fields: object) -> httpx.Response:
        return await self._client.post("/v1/invoices", json={**ORDER, **fields})

    async def rate(self) -> Any:
        listed = (await self._client.get("/v1/rates")).json()["data"]
        return next((rate for rate in listed if (rate["base"], rate["quote"]) == ("sim", "EUR")), None)

    async def until(self, holds: Callable[[Any], bool]) -> Any:
        """The rate of sim in euros, as soon as it is as it should be."""
        with trio.fail_after(120):
            while True:
                rate = await self.rate()
                if rate is not None and holds(rate):
                    return rate
                await trio.sleep(0.01)


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "SETTLE_SECONDS", 0.05)
    monkeypatch.setattr(rates, "ROUND_SECONDS", 0.2)
    monkeypatch.setattr(rates, "RESTS_SECONDS", (0.2,))


@asynccontextmanager
async def served(folder: Path, exchanges: list[Exchange], clock: Callable[[], datetime]) -> AsyncIterator[Shop]:
    """A node that asks these exchanges, and its shop."""
    urls = ", ".join(f'x{place} = "{each.url}/{{base}}/{{quote}}"' for place, each in enumerate(exchanges))
    config = sim_config(folder, f'listen = ["127.0.0.1:0"]\n[rates]\nurls = {{ {urls} }}\n')
    databases.create(config.node.database)
    shop = open_shop(config, database=databases.open(config.node.database), now=clock())
    key = make_key(shop, STORE_SCOPES, now=clock())
    shop.database.close()
    stop = trio.Event()
    async with trio.open_nursery() as nursery:

        async def start(task_status: trio.TaskStatus[Any]) -> None:
            await daemon.serve(config, stop=stop, clock=clock, task_status=task_status)

        (url,) = await nursery.start(start)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=120) as client:
            yield Shop(client)
        stop.set()


async def test_a_shop_sells_in_a_new_currency_survives_a_liar_and_is_refused_when_nobody_is_heard(
    tmp_path: Path,
) -> None:
    """Goal: I27 and E6, from exchange to shop. Method: three exchanges on loopback; one goes mad, then all go dark."""
    price_by_exchange: dict[int, object] = {}  # nobody is heard before the first order
    ahead = timedelta(0)

    def speaks(place: int) -> Callable[[str, Query], Reply]:
        def script(path: str, query: Query) -> Reply:
            if place not in price_by_exchange:
                return Reply(b"<h1>gone</h1>", status=502)
            return said(price_by_exchange[place]) if path == "/sim/EUR" else Reply(status=404)

        return script

    async with exchange(speaks(0)) as x0, exchange(speaks(1)) as x1, exchange(speaks(2)) as x2:
        async with served(tmp_path, [x0, x1, x2], lambda: datetime.now(UTC) + ahead) as shop:
            first = await shop.order()
            assert (first.status_code, first.json()["code"], first.headers["retry-after"]) == (
                503,
                "rate_unavailable",
                "5",
            )
            price_by_exchange.update({0: "2000", 1: 2001, 2: {"price": "2002"}})
            rate = await shop.until(lambda rate: len(rate["sources"]) == 3)
            assert (rate["usable"], rate["rate"], rate["sources"]) == (True, "2001", ["x0", "x1", "x2"])
            sold = (await shop.order()).json()
            assert sold["methods"][0]["amount"] == "0.04997502"

            price_by_exchange[1] = 2001000
            rate = await shop.until(lambda rate: rate["sources"] == ["x0", "x2"])
            assert rate["rate"] == "2001"

            price_by_exchange.clear()
            await shop.until(lambda rate: rate["usable"])
            ahead = timedelta(minutes=6)
            await shop.until(lambda rate: not rate["usable"] and "x0: HTTP 502" in rate["reason"])
            refused = await shop.order()
            assert refused.status_code == 503
            assert "x0: HTTP 502" in refused.json()["detail"]
            assert (await shop.order(currency="SIM", amount="1")).status_code == 201

            price_by_exchange.update({0: "2100", 2: "2100"})
            assert (await shop.until(lambda rate: rate["usable"]))["rate"] == "2100"
            assert (await shop.order()).status_code == 201
