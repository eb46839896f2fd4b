"""A whole node whose screening provider dies, passes and flags: what a shop sees of it over HTTP."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from tests.lab.shop import make_key, open_shop, sim_config
from tests.sources.exchange import Query, Reply, exchange, said

from paynode import daemon
from paynode.domain import screening
from paynode.domain.scopes import STORE_SCOPES
from paynode.services import screening as service
from paynode.store import database as databases

ORDER = {"amount": "10", "currency": "SIM", "methods": ["sim_sim"]}


async def until(client: httpx.AsyncClient, invoice_id: str, state: str) -> Any:
    """The invoice's deposit, once that is in a state; blocks are mined meanwhile."""
    with trio.fail_after(120):
        while True:
            await client.post("/v1/test/mine", json={})
            found = (await client.get(f"/v1/invoices/{invoice_id}/deposits")).json()["data"]
            if found and found[0]["screening"] == state and found[0]["state"] in {"confirmed", "settled"}:
                return found[0]
            await trio.sleep(0.02)


async def test_money_waits_for_a_provider_that_is_down_and_for_a_person_if_it_is_flagged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screening, "ASK_AGAIN_MIN", timedelta(milliseconds=50))
    monkeypatch.setattr(service, "ROUND_SECONDS", 0.05)
    verdict: dict[str, str] = {}

    def script(path: str, query: Query) -> Reply:
        return said(verdict) if verdict else Reply(b"<h1>gone</h1>", status=502)

    async with exchange(script) as provider, trio.open_nursery() as nursery:
        screened = f'[screening]\nrequired = true\nprovider.url = "{provider.url}/{{network}}/{{address}}"\n'
        config = sim_config(tmp_path, f'listen = ["127.0.0.1:0"]\n{screened}')
        databases.create(config.node.database)
        shop = open_shop(config, database=databases.open(config.node.database), now=datetime.now(UTC))
        key = make_key(shop, STORE_SCOPES, now=datetime.now(UTC))
        shop.database.close()
        stop = trio.Event()

        async def start(task_status: trio.TaskStatus[Any]) -> None:
            await daemon.serve(config, stop=stop, task_status=task_status)

        (url,) = await nursery.start(start)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=120) as client:

            async def paid() -> str:
                invoice_id = (await client.post("/v1/invoices", json=ORDER)).json()["id"]
                assert (await client.post(f"/v1/test/invoices/{invoice_id}/pay", json={})).status_code == 201
                return str(invoice_id)

            async def status(invoice_id: str) -> str:
                return str((await client.get(f"/v1/invoices/{invoice_id}")).json()["status"])

            first = await paid()
            waiting = await until(client, first, "not_screened")
            assert (waiting["held"], waiting["screening_reason"], await status(first)) == (
                True,
                "HTTP 502",
                "confirming",
            )
            verdict["verdict"] = "passed"
            assert (await until(client, first, "passed"))["state"] == "settled"
            assert await status(first) == "paid"

            verdict.update(verdict="flagged", reason="a mixer")
            second = await paid()
            held = await until(client, second, "flagged")
            assert (held["held"], held["state"], await status(second)) == (True, "confirmed", "open")
            assert held["screening_reason"].endswith(": a mixer")
            released = await client.post(f"/v1/deposits/{held['id']}/release", json={"note": "known to us"})
            assert (released.json()["state"], await status(second)) == ("settled", "paid")
        stop.set()
