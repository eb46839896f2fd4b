"""Server-sent events over real sockets: nothing is missed, nothing comes twice, and every stream ends when it must."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import trio
import trio.testing
from tests.api.conftest import Api, World
from tests.api.listener import listening
from tests.api.test_server import Served, serving

from paynode.api import gate, streams
from paynode.api.app import create_app
from paynode.domain.events import EventType
from paynode.operations.announcing import announce
from paynode.operations.api_keys import revoke_key, rotate_key
from paynode.store import bells


@pytest.fixture
async def served(world: World) -> AsyncIterator[Served]:
    async with serving(world.app) as served:
        yield served


def tell(world: World, subject: str = "inv_1", kind: EventType = EventType.INVOICE_PAID, **changed: object) -> str:
    wanted: dict[str, Any] = {"store_id": world.shop.store_id, "view": {"object": "invoice"}, **changed}
    return world.shop.database.write(announce, world.shop.catalogue, kind, subject=subject, now=world.clock(), **wanted)


async def test_events_come_as_they_happen_each_as_the_api_shows_it(world: World, api: Api, served: Served) -> None:
    tell(world)
    async with listening(served, "/v1/events/stream", api.key) as listener:
        assert listener.status == 200
        assert listener.headers["content-type"] == "text/event-stream"
        assert listener.headers["x-accel-buffering"] == "no"
        assert listener.headers["cache-control"] == "no-store"
        for _ in range(3):
            event_id = tell(world)
            sent = await listener.next()
            assert (sent.name, sent.id) == ("invoice.paid", event_id)
            assert sent.data == (await api.get(f"/v1/events/{event_id}")).json


async def test_who_comes_back_gets_what_was_missed_once_and_in_order(
    world: World, api: Api, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than one look's worth, and while new ones are written."""
    monkeypatch.setattr("paynode.api.events.EVENTS_AT_ONCE", 3)
    expected = [tell(world) for _ in range(10)]
    async with listening(served, "/v1/events/stream", api.key, Last_Event_ID=expected[0]) as listener:
        first = [(await listener.next()).id for _ in range(4)]
        expected += [tell(world) for _ in range(5)]
        first += [(await listener.next()).id for _ in range(3)]
    assert first == expected[1:8]
    async with listening(served, "/v1/events/stream", api.key, Last_Event_ID=first[-1] or "") as listener:
        assert [(await listener.next()).id for _ in range(7)] == expected[8:]
    async with listening(served, f"/v1/events/stream?starting_after={expected[-2]}", api.key) as listener:
        assert (await listener.next()).id == expected[-1]


async def test_a_stream_has_only_what_was_asked_for_and_what_is_the_callers(
    world: World, api: Api, served: Served
) -> None:
    async with listening(served, "/v1/events/stream?type=invoice.paid&subject=inv_1", api.key) as listener:
        tell(world, "inv_2")
        tell(world, "inv_1", EventType.INVOICE_CREATED)
        tell(world, store_id=world.other_store_id)
        mine = tell(world, "inv_1")
        assert (await listener.next()).id == mine
    async with listening(served, "/v1/events/stream", api.key) as listener:
        tell(world, store_id=world.other_store_id)
        of_node = tell(world, "sim", EventType.NETWORK_DEGRADED, store_id=None)
        assert (await listener.next()).id == of_node
    async with listening(served, "/v1/events/stream", world.caller(of_node=True).key) as listener:
        foreign = tell(world, store_id=world.other_store_id)
        assert (await listener.next()).id == foreign


@pytest.mark.parametrize(
    ("key_scopes", "headers", "status"),
    [(None, {}, 401), (["invoices:read"], {}, 403), (["events:read"], {"Last-Event-ID": "1"}, 422)],
    ids=["no key", "wrong scope", "no event's id"],
)
async def test_a_stream_passes_the_same_gate_as_all(
    world: World, key_scopes: list[str] | None, headers: dict[str, str], status: int
) -> None:
    caller = Api(world.app, None) if key_scopes is None else world.caller(*key_scopes)
    assert (await caller.send("GET", "/v1/events/stream", headers=headers)).status == status


async def test_a_head_request_opens_no_stream(api: Api) -> None:
    reply = await api.send("HEAD", "/v1/events/stream")
    assert (reply.status, reply.raw) == (200, b"")


async def test_a_stream_ends_when_its_key_is_revoked(world: World, api: Api, served: Served) -> None:
    async with listening(served, "/v1/events/stream", api.key) as listener:
        tell(world)
        await listener.next()
        key_id = "key_" + str(api.key).split("_")[2]
        world.shop.database.write(revoke_key, key_id, world.clock())
        assert await listener.is_over()


async def test_a_stream_ends_when_its_key_is_rotated_without_overlap(world: World, api: Api, served: Served) -> None:
    key_id = "key_" + str(api.key).split("_")[2]
    async with listening(served, "/v1/events/stream", api.key) as listener:
        tell(world)
        await listener.next()
        await trio.testing.wait_all_tasks_blocked()
        world.shop.database.write(rotate_key, world.shop.catalogue, key_id, timedelta(0), world.clock())
        with trio.fail_after(streams.HEARTBEAT_SECONDS / 2):  # and not with the next sign of life
            assert await listener.is_over()


async def test_one_key_has_so_many_streams_and_gets_a_place_back_from_each_that_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "STREAMS_PER_KEY", 2)
    first, second = world.caller(), world.caller()
    app = create_app(world.node)
    async with serving(app) as served, listening(served, "/v1/events/stream", first.key):
        async with listening(served, "/v1/events/stream", first.key):
            refused = await replace(first, app=app).get("/v1/events/stream")
            assert (refused.status, refused.headers["Retry-After"]) == (429, "30")
            async with listening(served, "/v1/events/stream", second.key) as other:
                assert other.status == 200
        status = 0
        while status != 200:  # that its client left is noticed in the server's own time
            async with listening(served, "/v1/events/stream", first.key) as again:
                status = again.status


async def test_a_silent_stream_gives_signs_of_life_and_outlasts_the_time_for_a_request(
    world: World, api: Api, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr("paynode.api.server.READ_SECONDS", 0.1)
    async with listening(served, "/v1/events/stream", api.key) as listener:
        for _ in range(8):
            assert await listener.comment() == ": still here"
        event_id = tell(world)
        assert (await listener.next()).id == event_id


async def test_a_stop_ends_every_stream_at_once(world: World, api: Api) -> None:
    invoice = await api.invoice()
    async with (
        serving(world.app) as served,
        listening(served, "/v1/events/stream", api.key) as followed,
        listening(served, f"/checkout/{invoice['id']}/events") as page,
    ):
        await page.next()
        world.node.stopping.set()
        assert await followed.is_over()
        assert await page.is_over()


async def test_a_payers_page_is_told_at_every_change_until_nothing_more_is_to_come(
    world: World, api: Api, served: Served
) -> None:
    invoice = await api.invoice(methods=["sim_usdt"], metadata={"private": "yes"}, callback_url="https://shop.example")
    path = f"/checkout/{invoice['id']}"
    async with listening(served, f"{path}/events") as listener:
        assert listener.headers["access-control-allow-origin"] == "*"
        first = await listener.next()
        assert (first.name, first.data) == ("checkout", (await api.get(path)).json)
        await api.post(f"{path}/methods/sim_usdt")
        assert (await listener.next()).data["methods"][0]["state"] == "active"
        world.clock.advance(timedelta(seconds=5))  # of itself no change: a page counts down by itself
        await api.post(f"/v1/invoices/{invoice['id']}/cancel")
        last = await listener.next()
        assert (last.data["status"], last.data["expires_in"]) == ("cancelled", first.data["expires_in"] - 5)
        end = await listener.next()
        assert (end.name, end.id) == ("end", "end")
        assert await listener.is_over()
    assert "private" not in str(last.data)
    again = await api.send("GET", f"{path}/events", headers={"Last-Event-ID": "end"})
    assert (again.status, again.raw) == (204, b"")


async def test_a_payers_page_hears_of_nobody_elses_invoice(world: World, api: Api, served: Served) -> None:
    mine, other = await api.invoice(methods=["sim_usdt"]), await api.invoice(methods=["sim_usdt"])
    async with listening(served, f"/checkout/{mine['id']}/events") as listener:
        await listener.next()
        await api.post(f"/checkout/{other['id']}/methods/sim_usdt")
        await api.post(f"/v1/invoices/{other['id']}/cancel")
        await api.post(f"/v1/invoices/{mine['id']}/cancel")
        sent = await listener.next()
        assert (sent.data["id"], sent.data["status"]) == (mine["id"], "cancelled")
    assert (await Api(world.app, None).get("/checkout/inv_none/events")).status == 404


async def test_an_open_page_counts_as_attention_and_wakes_who_looks(
    world: World, api: Api, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoice = await api.invoice(methods=["sim_usdt"], provision=True)
    rung: list[str] = []
    monkeypatch.setattr(world.shop.database.bells, "ring", rung.append)
    async with listening(served, f"/checkout/{invoice['id']}/events") as listener:
        await listener.next()
        assert world.node.attention.is_on("sim")
        assert bells.WATCHES in rung


async def test_so_many_pages_may_be_open_at_one_address(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "PUBLIC_STREAMS_PER_CLIENT", 1)
    invoice = await world.caller().invoice()
    app = create_app(world.node)
    async with serving(app) as served, listening(served, f"/checkout/{invoice['id']}/events") as listener:
        await listener.next()
        async with listening(served, f"/checkout/{invoice['id']}/events") as refused:
            assert refused.status == 429
        elsewhere = Api(app, None)
        assert (await elsewhere.send("HEAD", f"/checkout/{invoice['id']}/events", peer="192.0.2.9")).status == 200
