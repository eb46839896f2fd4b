"""Exports: what the list lists, as CSV that no spreadsheet takes for a program, however long it is."""

import csv
import io
from typing import Any

import pytest
import trio
from tests.api.conftest import Api, Reply, World
from tests.api.listener import LAST_CHUNK
from tests.api.test_lists import book, paid
from tests.api.test_server import serving

from paynode.api import csv as written
from paynode.api import exports, gate
from paynode.api.app import create_app
from paynode.operations.api_keys import revoke_key


def rows(reply: Reply) -> list[dict[str, Any]]:
    assert reply.status == 200, reply.raw
    return list(csv.DictReader(io.StringIO(reply.raw.decode(), newline=""), strict=True))


async def test_an_export_holds_what_the_list_does_whatever_the_size_of_its_pieces(
    world: World, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PIECE", 2)
    for _ in range(5):
        await paid(world, api)
    world.shop.database.write(book, world)
    for name in ("invoices", "deposits", "ledger", "sweeps"):
        for query in ({}, {"sort": "created_at"}):
            reply = await api.get(f"/v1/exports/{name}.csv", **query)
            listed = (await api.get(f"/v1/{name}", limit="100", **query)).json["data"]
            assert [row["id"] for row in rows(reply)] == [entry["id"] for entry in listed]
            assert len(listed) == {"sweeps": 0, "ledger": 2}.get(name, 5)
            assert reply.headers["Content-Type"] == "text/csv; charset=utf-8"
            assert reply.headers["Content-Disposition"].startswith('attachment; filename="2026-01-01-')


async def test_cells_say_what_the_list_says(world: World, api: Api) -> None:
    invoice_id = await paid(world, api)
    await api.invoice(name='=cmd|"calc"!A1', description='two\nlines, and "quotes"', metadata={"size": "12"})
    odd, plain = rows(await api.get("/v1/exports/invoices.csv"))
    assert (odd["name"], odd["description"]) == ('\'=cmd|"calc"!A1', 'two\nlines, and "quotes"')
    assert (odd["metadata"], plain["metadata"], plain["paid_at"]) == ('{"size": "12"}', "", "")
    assert (plain["id"], plain["amount_paid"], plain["late"], plain["status"]) == (
        invoice_id,
        "20.00",
        "false",
        "confirming",
    )
    [deposit] = rows(await api.get("/v1/exports/deposits.csv"))
    assert (deposit["amount"], deposit["value"], deposit["tx_hash"]) == ("20", "20.00", "0xcc")


async def test_an_export_takes_the_filters_of_its_list_and_refuses_what_it_does(world: World, api: Api) -> None:
    await paid(world, api)
    await api.invoice(order_id="W-1")
    assert len(rows(await api.get("/v1/exports/invoices.csv", order_id="W-1"))) == 1
    assert rows(await api.get("/v1/exports/invoices.csv", q="nothing")) == []
    assert rows(await world.caller_of_other_store().get("/v1/exports/invoices.csv")) == []
    refused = await api.get("/v1/exports/deposits.csv", amount_min="1")
    assert (refused.status, refused.problems) == (422, {"amount_min": "conflicting"})
    refused = await api.get("/v1/exports/ledger.csv", currency="???")
    assert (refused.status, refused.problems) == (422, {"currency": "unknown_currency"})


FORMULAS = ["=1+1", "+1+1", "-1+1", "@sum(1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "--1", "-", "+1"]
FORMULAS += [" =1", "\u00a0=1", "\ufeff=1", "\u200b@sum(1)", "  -1+1", " \uff1d1"]  # behind what nobody sees


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_begins_a_formula(text: str) -> None:
    [[cell]] = csv.reader(io.StringIO(written.line([text]).decode(), newline=""), strict=True)
    assert cell == f"'{text}"


@pytest.mark.parametrize("text", ["-4.5", "-12", "0.1", "plain", " padded ", 'a"b', "a,b", "é日本", "a\r\nb", "'=1"])
def test_all_else_is_itself(text: str) -> None:
    line = written.line([text, None, True, ["a", "b"], 7])
    assert line.endswith(b",,true,a b,7\r\n")
    assert next(csv.reader(io.StringIO(line.decode(), newline=""), strict=True))[0] == text


async def test_one_key_has_so_many_exports_however_many_it_asks_for_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "STREAMS_PER_KEY", 2)
    api = world.caller()
    sent = {"Authorization": f"Bearer {api.key}"}
    app, path = create_app(world.node), "/v1/exports/invoices.csv"
    statuses: list[int] = []

    async def ask() -> None:
        answer = await app.test_client().get(path, headers=sent, scope_base={"client": ("192.0.2.1", 40000)})
        statuses.append(answer.status_code)

    async with trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(ask)
    assert statuses.count(429) == 4, statuses
    assert statuses.count(200) == 2
    for method in ("HEAD", "GET", "HEAD", "GET"):  # and each gives its place back
        answer = await app.test_client().open(
            path, method=method, headers=sent, scope_base={"client": ("192.0.2.1", 40000)}
        )
        assert answer.status_code == 200


async def test_an_export_breaks_off_when_its_key_is_revoked(
    world: World, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PIECE", 1)
    for _ in range(30):
        await api.invoice()
    begun, written_piece = trio.Event(), exports._piece

    def noted(*args: Any) -> Any:
        begun.set()
        return written_piece(*args)

    monkeypatch.setattr(exports, "_piece", noted)

    async def revoke() -> None:
        await begun.wait()
        world.shop.database.write(revoke_key, "key_" + str(api.key).split("_")[2], world.clock())

    got = b""
    async with serving(world.app) as served, await served.connect() as stream, trio.open_nursery() as nursery:
        nursery.start_soon(revoke)
        head = f"GET /v1/exports/invoices.csv HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.key}\r\n\r\n"
        await stream.send_all(head.encode())
        async for part in stream:
            got += part
    assert got.startswith(b"HTTP/1.1 200")
    assert got.count(b"inv_") < 30
    assert not got.endswith(LAST_CHUNK)  # so that nobody takes it for the whole


async def test_however_long_its_rows_are_an_export_is_sent_in_short_parts(
    world: World, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has so many seconds to arrive: who reads slowly is not to be cut off for a shop's long texts."""
    for _ in range(8):
        await api.invoice(metadata={f"key {number}": "v" * 500 for number in range(50)})
    sizes, served = [], world.app.asgi_app

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        async def noted(message: Any) -> None:
            sizes.append(len(message.get("body", b"")))
            await send(message)

        await served(scope, receive, noted)

    monkeypatch.setattr(world.app, "asgi_app", watched)
    assert len(rows(await api.get("/v1/exports/invoices.csv"))) == 8
    assert sum(sizes) > 200_000
    assert max(sizes) <= gate.PART_BYTES
