"""Sweeps over HTTP: previewed by whoever may read, ordered once per name by whoever may move money."""

from tests.api.conftest import Api, World
from tests.api.test_deposits import BLOCK, DOLLAR

from paynode.domain.chain import BlockRef, Observation, Row, RowKind, RowSource
from paynode.operations.observations import apply_observation, load_books
from paynode.operations.weighing import Prices, note_prices
from paynode.store.sweeps import TreasuryRecord, set_treasury

TREASURY = "sim1" + "7e" * 20


async def paid(world: World, api: Api) -> str:
    """An invoice whose twenty dollars are final, and a network that has told its prices."""
    invoice = await api.invoice(methods=["sim_usdt"], provision=True)
    address, now = invoice["methods"][0]["address"], world.clock()
    database, catalogue = world.shop.database, world.shop.catalogue
    row = Row(RowKind.IN, RowSource.LOG, address, "sim_usdt", 20 * DOLLAR, BLOCK, tx_hash="0xcc", sender="0xdd")
    deep = BlockRef(20, "0xdd", BLOCK.at)
    books = database.read(load_books, catalogue, "sim")
    database.write(apply_observation, catalogue, "sim", books, Observation(BLOCK, BLOCK, rows=(row,)), now)
    books = database.read(load_books, catalogue, "sim")
    [row_id] = [each.id for each in books.rows]
    assert row_id is not None
    seen = Observation(deep, deep, confirmed={row_id: 20 * DOLLAR})
    database.write(apply_observation, catalogue, "sim", books, seen, now)
    store_id = world.shop.store_id
    database.write(set_treasury, TreasuryRecord("sim", store_id, TREASURY, now))
    database.write(note_prices, "sim", Prices(1, {"sim_usdt": 10**15}, {store_id: 10**18}), now)
    return str(invoice["id"])


async def test_a_preview_tells_what_an_order_brings_and_costs(world: World, api: Api) -> None:
    invoice_id = await paid(world, api)
    shown = (await api.post("/v1/sweeps/preview", {"invoices": [invoice_id]})).json
    [total], [outlook] = shown["sums"], shown["deposits"]
    assert (total["method"], total["gross"], total["net"]) == ("sim_usdt", "20", "20")
    assert (total["fee"], total["fee_method"], total["addresses"]) == ("0.001", "sim_sim", 1)
    assert (outlook["invoice"], outlook["collected"], outlook["reason"]) == (invoice_id, True, None)
    assert (await api.post("/v1/sweeps/preview", {})).json == shown
    assert (await api.get("/v1/sweeps")).json["data"] == []


async def test_an_order_needs_a_name_a_scope_and_a_choice_and_is_done_once(world: World, api: Api) -> None:
    chosen = {"invoices": [await paid(world, api)]}
    assert (await api.post("/v1/sweeps", chosen)).json["code"] == "idempotency_key_required"
    assert (await api.post("/v1/sweeps", {}, named="1")).status == 422
    assert (await api.post("/v1/sweeps", {"method": "sim_gold"}, named="2")).problems == {"/method": "unknown_method"}
    for empty in ({"invoices": []}, {"method": "sim_usdt", "invoices": []}, {"method": "sim_usdt", "deposits": []}):
        assert (await api.post("/v1/sweeps", empty, named="empty")).status == 422
        assert (await api.post("/v1/sweeps/preview", empty)).status == 422
    reader = world.caller("sweeps:read", "deposits:write")
    assert (await reader.post("/v1/sweeps", chosen, named="3")).json["code"] == "forbidden"
    made = await api.post("/v1/sweeps", chosen, named="sweep-1")
    assert made.status == 201
    [sweep] = made.json["sweeps"]
    assert (sweep["state"], sweep["gross"]) == ("queued", "20")
    again = await api.post("/v1/sweeps", chosen, named="sweep-1")
    assert (again.status, again.json, again.headers["Idempotent-Replayed"]) == (201, made.json, "true")
    refused = await api.post("/v1/sweeps", chosen, named="sweep-2")
    assert (refused.status, refused.json["code"]) == (409, "nothing_to_sweep")
    assert len((await api.get("/v1/sweeps")).json["data"]) == 1


async def test_an_order_is_called_off_by_its_store_only(world: World, api: Api) -> None:
    await paid(world, api)
    [sweep] = (await api.post("/v1/sweeps", {"method": "sim_usdt"}, named="1")).json["sweeps"]
    path = f"/v1/sweeps/{sweep['id']}/cancel"
    assert (await world.caller_of_other_store().post(path)).status == 404
    cancelled = await api.post(path)
    assert (cancelled.json["state"], cancelled.json["items"][0]["state"]) == ("cancelled", "cancelled")
    assert (await api.post(path)).json == cancelled.json
