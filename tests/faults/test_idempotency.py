"""One object and one answer per idempotency key, also across a kill -9 (I20)."""

from collections.abc import Callable
from pathlib import Path

import httpx
import trio
from tests.cli.commands import make_sim_node
from tests.cli.test_real_run import free_address, running

CALLERS = 50
BODY = {"amount": "5", "currency": "USDT", "methods": ["sim_usdt"]}


async def answers_of(client: httpx.AsyncClient, then: Callable[[], None] = lambda: None) -> list[httpx.Response]:
    """What fifty callers at once are answered, all with the same request; `then` is done as the first one hears.

    Whoever was not answered when the node died is left out.
    """
    answers: list[httpx.Response] = []

    async def post() -> None:
        try:
            answer = await client.post("/v1/invoices", json=BODY, headers={"Idempotency-Key": "order-1"})
        except httpx.TransportError:
            return
        if not answers:
            then()
        answers.append(answer)

    async with trio.open_nursery() as nursery:
        for _ in range(CALLERS):
            nursery.start_soon(post)
    return answers


async def test_fifty_equal_posts_make_one_invoice_though_the_node_is_killed_between(tmp_path: Path) -> None:
    address = free_address()
    key = make_sim_node(tmp_path)
    path = tmp_path / "paynode.toml"
    path.write_text(path.read_text().replace("127.0.0.1:8080", address))
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"http://{address}", headers=headers, trust_env=False, timeout=120) as client:
        with running(tmp_path) as (daemon, _):
            before = await answers_of(client, then=daemon.kill)
        with running(tmp_path):
            after = await answers_of(client)
            listed = (await client.get("/v1/invoices")).json()["data"]
    assert before
    assert len(after) == CALLERS
    assert {answer.status_code for answer in [*before, *after]} == {201}
    assert len({answer.content for answer in [*before, *after]}) == 1
    assert {answer.headers.get("Idempotent-Replayed") for answer in after} == {"true"}
    assert [invoice["id"] for invoice in listed] == [after[0].json()["id"]]
